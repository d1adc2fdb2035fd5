"""Reading YAML nodes as what they must be; what they are not is noted, never skipped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence
from dialog.bot.expression_parser import parse_expression
from dialog.bot.expression_tokens import ExpressionError
from dialog.bot.expressions import Expression, Scope
from dialog.bot.file_keys import LEVELS, nearest_key
from dialog.bot.problems import Problems
from dialog.bot.source import SourceLine
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.base import JsonValue
from dialog.slot_types.moments import Duration

_E = TypeVar("_E", bound=StrEnum)
_NO_SCOPE = Scope(now=datetime(2000, 1, 1, tzinfo=UTC))  # for what mentions no names


def written(node: YamlNode) -> str:
    """Return a node roughly as it stood in the file."""
    match node:
        case YamlScalar():
            return node.text
        case YamlSequence():
            return f"[{', '.join(written(item) for item in node.items)}]"
        case _:
            return f"{{{', '.join(f'{k}: {written(v)}' for k, v in node.entries.items())}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReader:
    """Reads nodes; each method returns None after it has noted a problem."""

    problems: Problems
    locales: tuple[str, ...] = ("en",)
    names: Mapping[str, ValueType] = field(default_factory=dict)
    result_fields: frozenset[str] = frozenset()  # that the texts of a task mention

    def fail(self, node: YamlNode, message: str, *, example: str = "", remedy: str = "") -> None:
        """Note a problem of a node."""
        self.problems.add(node.source, message, text=written(node), example=example, remedy=remedy)

    def mapping(self, node: YamlNode, level: str) -> YamlMapping | None:
        """Return a mapping of the keys that `level` has; unknown keys are noted."""
        if not isinstance(node, YamlMapping):
            example = next(iter(LEVELS[level].values()))
            self.fail(node, f"expected keys and values ({level})", example=example)
            return None
        self.check_keys(node, level)
        return node

    def check_keys(self, node: YamlMapping, level: str) -> None:
        """Note each unknown key with the nearest of its level."""
        known = LEVELS[level]
        for key, value in node.entries.items():
            if key in known:
                continue
            is_cut = node.is_flow and isinstance(value, YamlScalar) and value.is_null
            near = nearest_key(key, list(known))
            if is_cut and near is None:
                self.problems.add(
                    node.at(key), f"unknown key {key!r}: the text before it ends at its comma",
                    text=key, remedy='put quotes round this text: "…, …"',
                )  # fmt: skip
                continue
            hint = (
                f"did you mean {near!r}?" if near else f"the level {level!r} has {', '.join(known)}"
            )
            self.problems.add(
                node.at(key), f"unknown key {key!r}; {hint}", text=f"{key}: {written(value)}",
                example=known[near] if near else "",
            )  # fmt: skip

    def any_mapping(self, node: YamlNode, what: str, example: str) -> YamlMapping | None:
        """Return a mapping of names that the author chooses."""
        if isinstance(node, YamlMapping):
            return node
        self.fail(node, f"expected {what}", example=example)
        return None

    def text(self, node: YamlNode, what: str, example: str = "") -> str | None:
        """Return a text that is not empty."""
        if isinstance(node, YamlScalar) and not node.is_null:
            return node.text
        remedy = ""
        if isinstance(node, YamlScalar):
            remedy = 'nothing is written here; write a text, "" for an empty one'
        elif isinstance(node, YamlMapping) and node.is_flow:
            remedy = 'a text that begins with a brace needs quotes: "{…} …"'
        elif isinstance(node, YamlMapping) and len(node.entries) == 1:
            key, value = next(iter(node.entries.items()))
            remedy = f'a text with a colon needs quotes: "{key}: {written(value)}"'
        self.fail(node, f"expected {what}, a text", example=example, remedy=remedy)
        return None

    def items(self, node: YamlNode) -> Sequence[YamlNode]:
        """Return the items of a list, or the one node as a list of one."""
        if isinstance(node, YamlSequence):
            return node.items
        return () if isinstance(node, YamlScalar) and node.is_null else (node,)

    def texts(self, node: YamlNode, what: str, example: str = "") -> tuple[str, ...]:
        """Return a list of texts; one text is a list of one."""
        read = [self.text(item, what, example) for item in self.items(node)]
        return tuple(text for text in read if text is not None)

    def boolean(self, node: YamlNode, key: str) -> bool | None:
        """Return true or false."""
        if isinstance(node, YamlScalar) and node.text in {"true", "false"}:
            return node.text == "true"
        self.fail(node, f"{key} is true or false", example=f"{key}: true")
        return None

    def integer(self, node: YamlNode, key: str, *, least: int, most: int) -> int | None:
        """Return a whole number within bounds."""
        if isinstance(node, YamlScalar) and node.text.lstrip("-").isascii():
            digits = node.text.lstrip("-")
            if digits.isdigit() and len(digits) < 10 and least <= int(node.text) <= most:
                return int(node.text)
        self.fail(
            node, f"{key} is a whole number from {least} to {most}", example=f"{key}: {least + 1}"
        )
        return None

    def number(self, node: YamlNode, key: str, *, least: float, most: float) -> float | None:
        """Return a number within bounds."""
        try:
            value = float(written(node))
        except ValueError:
            value = float("nan")
        if least <= value <= most:
            return value
        self.fail(node, f"{key} is a number from {least:g} to {most:g}", example=f"{key}: {most:g}")
        return None

    def choice(self, node: YamlNode, key: str, enum: type[_E]) -> _E | None:
        """Return one of the words of an enum."""
        words = [str(member) for member in enum]
        word = self.word(node, key, words)
        return None if word is None else enum(word)

    def word(self, node: YamlNode, key: str, words: Sequence[str]) -> str | None:
        """Return one of some words."""
        if isinstance(node, YamlScalar):
            if node.text in words:
                return node.text
            near = nearest_key(node.text, list(words))
            hint = f"; did you mean {near!r}?" if near else ""
            self.fail(
                node, f"{key} is one of {', '.join(words)}{hint}", example=f"{key}: {words[0]}"
            )
            return None
        self.fail(node, f"{key} is one of {', '.join(words)}", example=f"{key}: {words[0]}")
        return None

    def duration_s(self, node: YamlNode, key: str) -> float | None:
        """Return the seconds of a duration such as 30m."""
        found = self.expression(node, key, names={}, kinds={Kind.DURATION})
        value = None if found is None else found.root.value(_NO_SCOPE)
        return value.length.total_seconds() if isinstance(value, Duration) else None

    def expression(
        self,
        node: YamlNode,
        key: str,
        *,
        names: Mapping[str, ValueType] | None = None,
        kinds: set[Kind] | None = None,
    ) -> Expression | None:
        """Return an expression over `names`; `kinds` are those that its value may have."""
        if not isinstance(node, YamlScalar) or node.is_null:
            self.fail(node, f"{key} takes an expression", example=f"{key}: people > 8")
            return None
        known = self.names if names is None else names
        found = self.expression_of(node.text, node.source, known)
        if found and kinds and found.type.kind not in {*kinds, Kind.ANY}:
            wanted = " or ".join(sorted(kinds))
            self.fail(node, f"{key} takes a {wanted}, this is a {found.type}")
            return None
        return found

    def expression_of(
        self, text: str, source: SourceLine, names: Mapping[str, ValueType], *, within: str = ""
    ) -> Expression | None:
        """Return the expression that a text is; `within` is the text around it."""
        try:
            return parse_expression(text, names, source)
        except ExpressionError as error:
            self.problems.add(source, str(error), text=within or text)
            return None

    def condition(self, node: YamlNode, key: str) -> Expression | None:
        """Return an expression that is true or false."""
        return self.expression(node, key, kinds={Kind.BOOL})

    def plain(self, node: YamlNode) -> JsonValue:
        """Return a node as plain JSON; unquoted true, false and numbers are what they look like.

        Dates, times and codes with leading zeros stay text.
        """
        match node:
            case YamlScalar():
                return _typed(node)
            case YamlSequence():
                return [self.plain(item) for item in node.items]
            case _:
                return {key: self.plain(value) for key, value in node.entries.items()}


def _typed(node: YamlScalar) -> JsonValue:
    if node.is_quoted:
        return node.text
    if node.is_null:
        return None
    if node.text in {"true", "false"}:
        return node.text == "true"
    text = node.text.removeprefix("-")
    whole, _, places = text.partition(".")
    is_number = text.isascii() and (whole + places).isdigit() and len(text) < 16
    if not is_number or (len(whole) > 1 and whole.startswith("0")):
        return node.text
    return float(node.text) if "." in text else int(node.text)
