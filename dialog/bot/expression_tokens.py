"""The words of an expression: names, numbers, moments, texts and signs."""

import re
from dataclasses import dataclass
from enum import StrEnum

from dialog.slot_types.currencies import CURRENCY_CODES

MAX_CHARS = 1_000

CURRENCIES = CURRENCY_CODES
UNITS = {  # name: (months, seconds)
    **dict.fromkeys(("s", "sec", "second", "seconds"), (0, 1)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), (0, 60)),
    **dict.fromkeys(("h", "hour", "hours"), (0, 3_600)),
    **dict.fromkeys(("d", "day", "days", "night", "nights"), (0, 86_400)),
    **dict.fromkeys(("w", "week", "weeks"), (0, 604_800)),
    **dict.fromkeys(("month", "months"), (1, 0)),
    **dict.fromkeys(("y", "year", "years"), (12, 0)),
}

_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<time>\d{1,2}:\d\d(?::\d\d)?)"
    r"|(?P<number>\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>==|!=|<=|>=|[-+*/<>=()\[\],.%])"
    r")"
)


class TokenKind(StrEnum):
    """What sort of word it is."""

    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    TEXT = "text"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word and where it begins."""

    kind: TokenKind
    text: str
    start: int


class ExpressionError(ValueError):
    """An expression that cannot be read or typed; `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(message)


def tokens_of(text: str) -> list[Token]:
    """Return the words of an expression, an END last.

    Raises:
        ExpressionError: a sign that is none of the language's, an unclosed quote.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"an expression has at most {MAX_CHARS} characters", 0)
    tokens: list[Token] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if not found or found.lastgroup is None:
            rest = text[at:].lstrip()
            hint = "; close the quote" if rest[0] in "'\"" else ""
            raise ExpressionError(f"{rest[0]!r} means nothing here{hint} (in {text!r})", at)
        kind, word = TokenKind(found.lastgroup), found[found.lastgroup]
        start = found.start(found.lastgroup)
        if kind is TokenKind.TEXT:
            word = word[1:-1]
        elif kind is TokenKind.TIME:
            word = word.rjust(5, "0") if word.count(":") == 1 else word.rjust(8, "0")
        tokens.append(Token(kind, word, start))
        at = found.end()
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens
