"""The texts of a bot: per language, in variants, with expressions in braces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dialog.bot.expressions import UNKNOWN, Expression, Scope, Unknown
from dialog.bot.source import SourceLine
from dialog.slot_types.base import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """`{people}`, `{nights * price}`, `{price:money}` or `{nights|night|nights}` in a text.

    `forms` are the words behind a number: for one, and for all others.
    """

    expression: Expression
    renderer: str = ""  # the type that says the value; "" = the expression's own
    forms: tuple[str, str] | None = None

    def form(self, value: JsonValue) -> str:
        """Return the word behind the number, with its blank; "" without forms."""
        if self.forms is None:
            return ""
        return f" {self.forms[0] if value in {1, -1} else self.forms[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One variant of a text: literal pieces and placeholders in their order."""

    text: str
    pieces: tuple[str | Placeholder, ...]
    source: SourceLine

    def render(self, scope: Scope, say: Callable[[Placeholder, JsonValue], str]) -> str | Unknown:
        """Return the words, or UNKNOWN where a placeholder has no value; `say` words a value."""
        words: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                words.append(piece)
                continue
            value = piece.expression.evaluate(scope)
            if isinstance(value, Unknown):
                return UNKNOWN
            words.append(f"{say(piece, value)}{piece.form(value)}")
        return "".join(words)

    @property
    def names(self) -> frozenset[str]:
        """The names that the placeholders mention, attributes not counted."""
        return frozenset().union(
            *(p.expression.names for p in self.pieces if isinstance(p, Placeholder))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A text in each locale the file gives it in, each with its variants.

    A text without a language in the file stands under the bot's default locale.
    """

    variants: Mapping[str, tuple[Template, ...]]
    source: SourceLine
    buttons: tuple[str, ...] = ()

    def of(self, locale: str, default: str) -> tuple[Template, ...]:
        """Return the variants in `locale`, else in its language, else in the default locale."""
        for key in (locale, locale.split("-", maxsplit=1)[0], default):
            if key in self.variants:
                return self.variants[key]
        return next(iter(self.variants.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SayTexts:
    """The section `say:`; a key is an act ("welcome") or an act and a slot ("ask.guest")."""

    texts: Mapping[str, Texts] = field(default_factory=dict)
    rephrase: str = "light"  # off | light | free
    style: str = ""
