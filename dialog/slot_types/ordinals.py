"""Ordinals: "the second", "3rd", "der dritte", "la première", "the last one"."""

import re

from dialog.slot_types.number_words import spell
from dialog.slot_types.words import language_of, words_of

_IRREGULAR = {
    "en": {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12},
    "de": {"erste": 1, "dritte": 3, "siebte": 7, "achte": 8},
    "fr": {
        "premier": 1, "première": 1, "second": 2, "seconde": 2, "cinquième": 5, "neuvième": 9,
    },
}  # fmt: skip
_LAST = {
    "en": {"last"},
    "de": {"letzte", "letzter", "letzten", "letztes"},
    "fr": {"dernier", "dernière"},
}
_SUFFIX = {"en": "th", "de": "te", "fr": "ième"}
_DIGITS = {
    "en": re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b", re.IGNORECASE),
    "de": re.compile(r"\b(\d{1,2})\.(?!\d)"),
    "fr": re.compile(r"\b(\d{1,2})(?:er|ère|re|e|ème|ième)\b", re.IGNORECASE),
}
_MOST = 31


def _regular(n: int, language: str) -> str:
    word = spell(n, language)
    if language == "en":
        return f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th"
    if language == "de":
        return f"{word}{'te' if n < 20 else 'ste'}"
    return f"{word.removesuffix('e')}ième"


def _table(language: str) -> dict[str, int]:
    irregular = _IRREGULAR.get(language, _IRREGULAR["en"])
    table = {_regular(n, language).replace("-", " "): n for n in range(1, _MOST + 1)}
    if language == "en":
        tens = {"twenty": 20, "thirty": 30}
        ones = {name: n for name, n in [*irregular.items(), *table.items()] if n < 10}
        table |= {f"{t} {o}": v + n for t, v in tens.items() for o, n in ones.items()}
    if language == "de":
        table |= irregular
        return {f"{name}{end}": n for name, n in table.items() for end in ("", "r", "n", "s", "m")}
    return table | irregular


_TABLES = {language: _table(language) for language in ("en", "de", "fr")}


def find_ordinals(text: str, locale: str, last: int) -> list[tuple[int, int, int]]:
    """Return (start, end, number) of the ordinals of a text; "the last" is the number `last`."""
    language = language_of(locale)
    table = _TABLES.get(language, _TABLES["en"])
    pattern = _DIGITS.get(language, _DIGITS["en"])
    found = [(m.start(), m.end(), int(m[1])) for m in pattern.finditer(text)]
    words, at = words_of(text), 0
    while at < len(words):
        for length in (2, 1):
            span = " ".join(word.text for word in words[at : at + length])
            if span in table and at + length <= len(words):
                found.append((words[at].start, words[at + length - 1].end, table[span]))
                at += length
                break
        else:
            if words[at].text in _LAST.get(language, ()):
                found.append((words[at].start, words[at].end, last))
            at += 1
    return sorted(found)
