"""A tool: a function that a model may call, with what must be known before it is.

@tool(effect="write", timeout_s=5, idempotent_by=("guest", "day"))
def book_table(guest: str, day: date, people: Annotated[int, Range(least=1)]) -> Booking: ...
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from llm.chat import ToolSpec
from tools.call_context import CallContext
from tools.errors import ToolDeclarationError
from tools.json_check import check_schema
from tools.schema import FunctionSchema, function_schema

MAX_TIMEOUT_S = 600.0
MAX_RETRIES = 5

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Effect(StrEnum):
    """Whether a tool changes anything outside of the conversation."""

    READ = "read"
    WRITE = "write"


class Confirm(StrEnum):
    """When the user must agree to a call.

    UNGROUNDED: when an argument is not the user's own words, see `tools.provenance`.
    """

    NEVER = "never"
    ALWAYS = "always"
    UNGROUNDED = "ungrounded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function, what the model is told of it, and how it may be called.

    An effect that nobody declared counts as WRITE, and a WRITE asks before it does anything unless
    `confirm` says less; one that reads may ask too, as what it sends may tell strangers something.
    `timeout_s` is for all attempts together; `retries` further ones follow a `RetryableError`.

    `idempotent_by` names the arguments that make two calls the same deed (empty: all of them). The
    same call is then answered with the result on record, and all attempts have the same key. One in
    doubt (begun, no end known) is tried again only if the function takes a `CallContext`, whose key
    it hands on to whatever does the deed. None means that a second call is a second deed.
    `sensitive` arguments are never written to the audit log.
    """

    name: str
    spec: ToolSpec
    function: Callable[..., object]
    signature: FunctionSchema | None = None  # None: it takes the JSON values as they are
    effect: Effect = Effect.WRITE
    confirm: Confirm | None = None  # None: ALWAYS for WRITE, NEVER for READ
    timeout_s: float = 10.0
    retries: int = 0
    idempotent_by: tuple[str, ...] | None = None
    max_result_bytes: int = 20_000
    sensitive: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.spec.name != self.name:
            raise ToolDeclarationError(
                f"a tool's name is 1 to 64 of A-Z a-z 0-9 _ . - and that of its spec, got"
                f" {self.name!r} and {self.spec.name!r}"
            )
        self._check_bounds()
        schema = self.schema
        check_schema(schema, where=self.name)
        if schema.get("type") != "object":
            raise ToolDeclarationError(f"{self.name}: the arguments must be an object")
        known = set(schema.get("properties", {}))
        for name in sorted({*self.sensitive, *(self.idempotent_by or ())} - known):
            raise ToolDeclarationError(
                f"{self.name} has no argument {name!r}; it has {sorted(known)}"
            )

    def _check_bounds(self) -> None:
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise ToolDeclarationError(
                f"{self.name}: timeout_s must be in (0, {MAX_TIMEOUT_S:g}], got {self.timeout_s}"
            )
        if not 0 <= self.retries <= MAX_RETRIES:
            raise ToolDeclarationError(
                f"{self.name}: retries must be 0 to {MAX_RETRIES}, got {self.retries}"
            )
        if self.max_result_bytes < 1:
            raise ToolDeclarationError(f"{self.name}: max_result_bytes must be at least 1")
        if self.effect is Effect.WRITE and self.confirm is Confirm.NEVER:
            raise ToolDeclarationError(
                f"{self.name} writes: it must ask at least for ungrounded arguments; set confirm"
                " to 'ungrounded'"
            )
        if self.effect is Effect.WRITE and self.retries and self.idempotent_by is None:
            raise ToolDeclarationError(
                f"{self.name} writes: to try again is safe only with idempotent_by; declare it or"
                " set retries to 0"
            )

    @property
    def asks(self) -> Confirm:
        """When the user must agree."""
        if self.confirm is not None:
            return self.confirm
        return Confirm.ALWAYS if self.effect is Effect.WRITE else Confirm.NEVER

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        found: dict[str, Any] = json.loads(self.spec.parameters)
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        """Call the function itself, as our own code does: no gate, no deadline."""
        return self.function(*args, **kwargs)

    def call(self, arguments: Mapping[str, Any], context: CallContext) -> object:
        """Call the function with checked JSON arguments.

        Raises:
            InvalidArgumentError: a value that the schema allows and the type does not.
        """
        if self.signature is None:
            return self.function(**arguments)
        typed = self.signature.read(arguments)
        if self.signature.context:
            typed[self.signature.context] = context
        return self.function(**typed)

    @classmethod
    def from_function(
        cls,
        function: Callable[..., object],
        *,
        name: str = "",
        description: str = "",
        **declared: Any,
    ) -> "Tool":
        """Return the tool that a typed function is; `declared` are further fields of `Tool`.

        Raises:
            ToolDeclarationError: its signature cannot be described, or a field is out of bounds.
        """
        for field, kind in (("effect", Effect), ("confirm", Confirm | None)):
            # The text "read" must not pass for an effect that is not READ.
            if field in declared and not isinstance(declared[field], kind):
                raise ToolDeclarationError(f"{field} must be {kind}, got {declared[field]!r}")
        signature = function_schema(function)
        title = name or getattr(function, "__name__", "")
        spec = ToolSpec(
            name=title,
            description=description or signature.description,
            parameters=signature.text,
        )
        return cls(name=title, spec=spec, function=function, signature=signature, **declared)


def tool(
    *,
    effect: Literal["read", "write"] = "write",
    name: str = "",
    timeout_s: float = 10.0,
    retries: int = 0,
    idempotent_by: tuple[str, ...] | None = None,
    confirm: Literal["always", "ungrounded", "never"] | None = None,
    sensitive: tuple[str, ...] = (),
) -> Callable[[Callable[..., object]], Tool]:
    """Return what makes a tool of the function below it; the tool can be called like it."""

    def made(function: Callable[..., object]) -> Tool:
        return Tool.from_function(
            function,
            name=name,
            effect=Effect(effect),
            timeout_s=timeout_s,
            retries=retries,
            idempotent_by=idempotent_by,
            confirm=None if confirm is None else Confirm(confirm),
            sensitive=frozenset(sensitive),
        )

    return made
