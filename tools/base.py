"""A tool: a function that a model may call, with what must be known before it is.

@tool(effect="write", timeout=5, idempotent_by=("guest", "day"), undo="cancel_table")
def book_table(guest: str, day: date, people: Annotated[int, Range(least=1)]) -> Booking: ...
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    `sensitive` arguments are never written to the audit log. `needs` are conditions in the words of
    whoever runs the tool, such as a bot's expressions: the gate asks it whether they hold. `undo`
    is the name of the tool that takes the deed back.

    `untyped` arguments have no annotation; a registry takes the tool once `typed` has given them.
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
    needs: tuple[str, ...] = ()
    undo: str = ""

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
    def untyped(self) -> frozenset[str]:
        """The arguments of which nobody has said what they take."""
        return frozenset() if self.signature is None else self.signature.untyped

    def typed(self, types: Mapping[str, Any]) -> "Tool":
        """Return the same tool whose untyped arguments have these annotations.

        Names that the function does not take, and those that it annotates itself, are left alone:
        a bot gives all of its slots.

        Raises:
            ToolDeclarationError: an annotation has no JSON form, or does not take the default.
        """
        signature = function_schema(self.function, types, takes_untyped=True)
        spec = replace(self.spec, parameters=signature.text)
        return replace(self, spec=spec, signature=signature)

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
        takes_untyped: bool = False,
        **declared: Any,
    ) -> "Tool":
        """Return the tool that a typed function is; `declared` are further fields of `Tool`.

        With `takes_untyped`, arguments without an annotation are left for `typed`.

        Raises:
            ToolDeclarationError: its signature cannot be described, or a field is out of bounds.
        """
        for field, kind in (("effect", Effect), ("confirm", Confirm | None)):
            # The text "read" must not pass for an effect that is not READ.
            if field in declared and not isinstance(declared[field], kind):
                raise ToolDeclarationError(f"{field} must be {kind}, got {declared[field]!r}")
        signature = function_schema(function, takes_untyped=takes_untyped)
        title = name or getattr(function, "__name__", "")
        spec = ToolSpec(
            name=title,
            description=description or signature.description,
            parameters=signature.text,
        )
        return cls(name=title, spec=spec, function=function, signature=signature, **declared)


def tool(  # noqa: PLR0913  # the words of a declaration, all of them by name
    *,
    effect: Literal["read", "write"] = "write",
    name: str = "",
    timeout: float = 10.0,
    retry: int = 0,
    idempotent_by: Sequence[str] | None = None,
    confirm: Literal["always", "ungrounded", "never"] | None = None,
    needs: str | Sequence[str] = (),
    undo: str = "",
    sensitive: Sequence[str] = (),
) -> Callable[[Callable[..., object]], Tool]:
    """Return what makes a tool of the function below it; the tool can be called like it.

    `timeout` is in seconds, for all attempts; `retry` further ones are made. An argument without an
    annotation gets its type later, by `Tool.typed`. The rest is that of `Tool`.

    Raises:
        ToolDeclarationError: as `Tool` does; also where one text stands for a list of names.
    """
    for field, names in (("idempotent_by", idempotent_by), ("sensitive", sensitive)):
        if isinstance(names, str):  # a text is a sequence of letters, too
            raise ToolDeclarationError(f'{field} holds names, as in ("{names}",), got {names!r}')

    def made(function: Callable[..., object]) -> Tool:
        return Tool.from_function(
            function,
            name=name,
            takes_untyped=True,
            effect=Effect(effect),
            timeout_s=timeout,
            retries=retry,
            idempotent_by=None if idempotent_by is None else tuple(idempotent_by),
            confirm=None if confirm is None else Confirm(confirm),
            needs=(needs,) if isinstance(needs, str) else tuple(needs),
            undo=undo,
            sensitive=frozenset(sensitive),
        )

    return made
