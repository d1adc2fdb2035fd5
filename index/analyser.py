"""Text in, terms out: what the keyword index counts, for documents and questions alike.

A term is made of letters and digits only, folded and stemmed, so that the index keeps it as it is:

- A word is lower-cased, loses its accents and is stemmed by Snowball, in the collection's language.
- An identifier stays whole and gives its parts as well: `str.join` is `xidstr2ejoin`, `str` and
  `join`; `OSError` is `oserror`, `os` and `error`.
- Letters and digits of one word give their runs as well, of two characters and more: `COVID19` is
  `covid19`, `covid` and `19`.
- An operator is spelled in hexadecimal: `//` is `xop2f2f`.
- A run of a script that writes no spaces gives its pairs of characters: 茶文化 is 茶文, 文化. A
  character that stands alone is a term by itself.

Beside the terms there are surfaces: the words as they are written, folded, in their order, and the
single characters of scripts without spaces. Phrases and beginnings of words are looked for in them.

English keywords of programming languages (`with`, `is`, `in`, `not`, ...) are no stop words.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version

import snowballstemmer  # type: ignore[import-untyped]

from index.folding import fold
from index.stop_words import STOP_WORDS, Language

MAX_TERM_CHARS = 64  # a longer "word" is data; its beginning tells it from others

_OPERATOR_LIST = """
... ** // >> << := -> == != <= >= += -= *= /= %= @= &= |= ^= **= //= >>= <<= && || ++
@ ~ ^ & | + - * / % < > =
"""
_OPERATORS = frozenset(_OPERATOR_LIST.split())
_PART_OF_PROSE = frozenset("+-*/%<>=")  # operators only where they stand by themselves
_OPERATOR_CHARS = re.escape("!%&*+-./:<=>@^|~")
_LONGEST_FIRST = re.compile(
    "|".join(re.escape(op) for op in sorted(_OPERATORS, key=lambda op: (-len(op), op)))
)

# Thai to Lao, Myanmar, Khmer, Japanese, Chinese, Korean
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd"
)
# Signs of the Indic scripts are no `\w`, but stand within words; dandas end sentences.
_LETTER = r"[\w\u0900-\u0963\u0966-\u0dff]"
_TOKEN = re.compile(
    rf"(?P<word>{_LETTER}+(?:\.{_LETTER}+)*)"
    r"|(?<=[^\W\d_])['\u2019](?:s|t|d|m|ll|re|ve)\b"  # what an apostrophe leaves of a word
    r"|://"
    rf"|(?P<operator>[{_OPERATOR_CHARS}]+)",
    re.IGNORECASE,
)
_RUN = re.compile(f"(?P<unspaced>[{_UNSPACED}]+)|[^{_UNSPACED}]+")
_PART = re.compile(r"[^\W_]+(?:[\u0900-\u0963\u0966-\u0dff]+[^\W_]*)*")
_WRITTEN = re.compile(
    rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:[\u0900-\u0963\u0966-\u0dff]+[^\W_{_UNSPACED}]*)*"
)
_SAME = re.compile(r"\d+|[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")

_STEMMER_LOCK = threading.Lock()  # a stemmer keeps the word at hand in itself
_STEMMERS = {
    language: snowballstemmer.stemmer(language.value)
    for language in Language
    if language is not Language.NONE
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A term or a surface, and the span of the folded text that it stands for."""

    text: str
    start: int
    end: int


def fingerprint(language: Language) -> str:
    """Return what is written beside the terms of a collection: a change makes them anew.

    Raise the number with any change here, in `index.folding` or in `index.stop_words` that changes
    a term.
    """
    return f"terms-3/{language.value}/snowball-{version('snowballstemmer')}"


def language_of(fingerprint: str) -> Language:
    """Return the language that a fingerprint names; English for those of older programs."""
    parts = fingerprint.split("/")
    return Language(parts[1]) if len(parts) == 3 else Language.ENGLISH


def analyse(text: str, language: Language = Language.ENGLISH) -> list[str]:
    """Return the terms of a text in its order, each as often as it occurs; stop words are left out.

    Analysing a term again need not give it back: pass text here, and terms to the index.
    """
    return [term for _, terms in _analysed(fold(text), language) for term, _, _ in terms]


def tokens(folded: str, language: Language) -> Iterator[Token]:
    """Yield the terms of a folded text, as `analyse` gives them, with their places."""
    for offset, terms in _analysed(folded, language):
        for term, start, end in terms:
            yield Token(text=term, start=offset + start, end=offset + end)


def surfaces(folded: str) -> Iterator[Token]:
    """Yield the words of a folded text as they are written, also those that are no terms."""
    for match in _WRITTEN.finditer(folded):
        word = match.group().casefold()
        yield Token(text=word[:MAX_TERM_CHARS], start=match.start(), end=match.end())


_Part = tuple[str, int, int]  # a term and its span, from the beginning of its token


def _analysed(folded: str, language: Language) -> Iterator[tuple[int, Sequence[_Part]]]:
    for match in _TOKEN.finditer(folded):
        kind, token = match.lastgroup, match.group()
        if kind == "word":
            yield match.start(), _of_word(token, language)
        elif kind == "operator":
            terms = _of_operators(folded, match.start(), token)
            yield match.start(), [(term, 0, len(token)) for term in terms]


@lru_cache(maxsize=1 << 16)
def _of_word(token: str, language: Language) -> tuple[_Part, ...]:
    if token.isascii():
        return tuple(_of_spaced(token, 0, language))
    return tuple(
        part
        for run in _RUN.finditer(token)
        for part in (
            _pairs(run.group(), run.start())
            if run.lastgroup
            else _of_spaced(run.group(), run.start(), language)
        )
    )


def _pairs(run: str, at: int) -> list[_Part]:
    return [
        (run[i : i + 2], at + i, at + min(i + 2, len(run))) for i in range(max(1, len(run) - 1))
    ]


def _of_spaced(token: str, at: int, language: Language) -> list[_Part]:
    """Return the terms of a word, a number or an identifier, the whole before its parts."""
    found = list(_PART.finditer(token))
    if len(found) == 1 and found[0].group() == token:
        humps = _HUMP.split(token)
        parts = [*_plain(token, at, language), *_mixed(token, at, language)]
        if len(humps) > 1:
            for hump in humps:
                parts += _plain(hump, at, language)
                at += len(hump)
        return parts
    terms = [
        part
        for p in found
        for of in (_plain, _mixed)
        for part in of(p.group(), at + p.start(), language)
    ]
    if not found or len(token) > MAX_TERM_CHARS:
        return terms
    whole = token.casefold().replace("_", "5f").replace(".", "2e")
    return [(f"xid{whole}", at, at + len(token)), *terms]


def _mixed(word: str, at: int, language: Language) -> Iterator[_Part]:
    """Yield the runs of letters and of digits of a word that has both."""
    if word.isalpha() or word.isdigit():
        return
    runs = list(_SAME.finditer(word))
    if len(runs) > 1:
        for run in runs:
            if len(run.group()) > 1:
                yield from _plain(run.group(), at + run.start(), language)


def _plain(word: str, at: int, language: Language) -> Iterator[_Part]:
    end = at + len(word)
    word = word.casefold()[:MAX_TERM_CHARS]
    if word not in STOP_WORDS[language]:
        yield _stem(word, language), at, end


@lru_cache(maxsize=1 << 16)
def _stem(word: str, language: Language) -> str:
    if language is Language.NONE:
        return word
    with _STEMMER_LOCK:
        return _STEMMERS[language].stemWord(word)


def _of_operators(text: str, start: int, run: str) -> Iterator[str]:
    """Yield the operators of a run of punctuation; none of a ruler, a prompt or a hyphen."""
    if run in _OPERATORS:
        operators = [run]
    elif len(set(run)) == 1:
        return
    else:
        operators = _LONGEST_FIRST.findall(run)
    around = text[max(0, start - 1) : start] + text[start + len(run) : start + len(run) + 1]
    is_within_words = any(char.isalnum() or char == "_" for char in around)
    for operator in operators:
        if not (is_within_words and operator in _PART_OF_PROSE):
            yield f"xop{operator.encode().hex()}"
