"""Where the words of a query stand in a text, by the analyser's own offsets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.analyser import Token, analyse, surfaces, tokens
from index.folding import fold_with_origins
from index.lexical_query import parse_words
from index.stop_words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """A span of characters of a text, `start` to before `end`."""

    start: int
    end: int


def highlights(
    text: str, query: str, language: Language = Language.ENGLISH
) -> tuple[Highlight, ...]:
    """Return the spans of a text that a query finds, in order, those that touch joined.

    They are its terms in any form, its phrases, and the words that begin with its beginnings.
    """
    words = parse_words(query)
    folded = fold_with_origins(text)
    wanted = set(analyse(words.text, language))
    found = [token for token in tokens(folded.text, language) if token.text in wanted]
    if words.has_conditions:
        written = list(surfaces(folded.text))
        found += [token for token in written if token.text.startswith(words.prefixes)]
        for phrase in words.phrases:
            found += _phrases(written, phrase)
    spans = (folded.origin_of(token.start, token.end) for token in found)
    return tuple(Highlight(start=start, end=end) for start, end in _joined(spans))


def _phrases(written: Sequence[Token], phrase: tuple[str, ...]) -> list[Token]:
    size = len(phrase)
    return [
        Token(text="", start=written[i].start, end=written[i + size - 1].end)
        for i in range(len(written) - size + 1)
        if tuple(token.text for token in written[i : i + size]) == phrase
    ]


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
