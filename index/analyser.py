"""Text in, terms out: what the keyword index counts, for documents and questions alike.

A term is made of letters and digits only, folded and stemmed, so that the index keeps it as it is:

- A word is lower-cased, loses its accents and is stemmed as English (Snowball).
- An identifier stays whole and gives its parts as well: `str.join` is `xidstr2ejoin`, `str` and
  `join`; `OSError` is `oserror`, `os` and `error`.
- An operator is spelled in hexadecimal: `//` is `xop2f2f`.
- A run of a script that writes no spaces gives its pairs of characters: 茶文化 is 茶文, 文化. A
  character that stands alone is a term by itself.

Words that are keywords of programming languages (`with`, `is`, `in`, `not`, ...) are no stop words.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version

import snowballstemmer  # type: ignore[import-untyped]

# Written beside the terms of a collection: a change of this makes them anew. Raise the number with
# any change below that changes a term.
FINGERPRINT = f"terms-1/snowball-{version('snowballstemmer')}"

MAX_TERM_CHARS = 64  # a longer "word" is data; its beginning tells it from others

_STOP_WORDS = """
a about also am an any are be been being but can could did do does doing don done each had has
have having he her here hers him his how i into it its itself ll may me might mine more most
must my myself of on our ours shall she should so some such than that the their theirs them
then there these they this those to too ve very was we were what when where which who whom whose
why will would you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

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

# Accents, Hebrew points and Arabic vowel signs; none of the marks that are letters to their script.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670]"
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
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
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")

_STEMMER = snowballstemmer.stemmer("english")
_STEMMER_LOCK = threading.Lock()  # it keeps the word at hand in itself


def analyse(text: str) -> list[str]:
    """Return the terms of a text in its order, each as often as it occurs; stop words are left out.

    Analysing a term again need not give it back: pass text here, and terms to the index.
    """
    folded = _fold(text)
    terms: list[str] = []
    for match in _TOKEN.finditer(folded):
        kind, token = match.lastgroup, match.group()
        if kind == "word":
            terms += _of_word(token)
        elif kind == "operator":
            terms += _of_operators(folded, match.start(), token)
    return terms


def _fold(text: str) -> str:
    """Return the text without accents and compatibility forms, its case untouched."""
    if text.isascii():
        return text
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)))
    return unicodedata.normalize("NFC", decomposed)


@lru_cache(maxsize=1 << 16)
def _of_word(token: str) -> tuple[str, ...]:
    if token.isascii():
        return tuple(_of_spaced(token))
    return tuple(
        term
        for run in _RUN.finditer(token)
        for term in (_pairs if run.lastgroup else _of_spaced)(run.group())
    )


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def _of_spaced(token: str) -> list[str]:
    """Return the terms of a word, a number or an identifier, the whole before its parts."""
    parts = _PART.findall(token)
    if parts == [token]:
        humps = _HUMP.split(token)
        words = [token, *humps] if len(humps) > 1 else humps
        return [term for word in words for term in _plain(word)]
    terms = [term for part in parts for term in _plain(part)]
    if not parts or len(token) > MAX_TERM_CHARS:
        return terms
    whole = token.casefold().replace("_", "5f").replace(".", "2e")
    return [f"xid{whole}", *terms]


def _plain(word: str) -> Iterator[str]:
    word = word.casefold()[:MAX_TERM_CHARS]
    if word not in STOP_WORDS:
        yield _stem(word)


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    with _STEMMER_LOCK:
        return _STEMMER.stemWord(word)


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
