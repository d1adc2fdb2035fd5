"""Numbers in words, by spelling them: what is spelled can be read.

Each language spells 0 to 999; thousands and millions are put before them. Reading looks the longest
run of words up in the table of spellings, so the two cannot disagree.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from dialog.slot_types.words import Word

_EN = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_EN_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DE = [
    "null",
    "ein",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
_DE_TENS = [
    "_",
    "_",
    "zwanzig",
    "dreißig",
    "vierzig",
    "fünfzig",
    "sechzig",
    "siebzig",
    "achtzig",
    "neunzig",
]
_FR = [
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "dix-sept",
    "dix-huit",
    "dix-neuf",
]
_FR_TENS = ["_", "_", "vingt", "trente", "quarante", "cinquante", "soixante"]

_MOST = 999


def _spell_en(n: int) -> str:
    if n < 20:
        return _EN[n]
    if n < 100:
        ten, one = divmod(n, 10)
        return f"{_EN_TENS[ten]} {_EN[one]}" if one else _EN_TENS[ten]
    hundred, rest = divmod(n, 100)
    return f"{_EN[hundred]} hundred{f' and {_spell_en(rest)}' if rest else ''}"


def _spell_de(n: int) -> str:
    if n < 20:
        return _DE[n] if n != 1 else "eins"
    if n < 100:
        ten, one = divmod(n, 10)
        return f"{_DE[one]}und{_DE_TENS[ten]}" if one else _DE_TENS[ten]
    hundred, rest = divmod(n, 100)
    return f"{_DE[hundred]}hundert{_spell_de(rest) if rest else ''}"


def _spell_fr(n: int) -> str:
    if n < 20:
        return _FR[n]
    if n < 70:
        ten, one = divmod(n, 10)
        word = _FR_TENS[ten]
        return word if not one else f"{word} et un" if one == 1 else f"{word}-{_FR[one]}"
    if n < 80:
        return "soixante et onze" if n == 71 else f"soixante-{_FR[n - 60]}"
    if n < 100:
        return "quatre-vingts" if n == 80 else f"quatre-vingt-{_FR[n - 80]}"
    hundred, rest = divmod(n, 100)
    head = "cent" if hundred == 1 else f"{_FR[hundred]} cent"
    return (
        f"{head}s"
        if hundred > 1 and not rest
        else f"{head} {_spell_fr(rest)}".strip()
        if rest
        else head
    )


_SPELLERS: Mapping[str, Callable[[int], str]] = {"en": _spell_en, "de": _spell_de, "fr": _spell_fr}
_LARGE: Mapping[str, Mapping[str, int]] = {
    "en": {"thousand": 1_000, "million": 1_000_000},
    "de": {"tausend": 1_000, "million": 1_000_000, "millionen": 1_000_000},
    "fr": {"mille": 1_000, "million": 1_000_000, "millions": 1_000_000},
}
_EXTRA: Mapping[str, Mapping[str, int]] = {
    "en": {
        "a couple": 2, "a couple of": 2, "couple of": 2, "a pair": 2, "a pair of": 2, "both": 2,
        "a dozen": 12, "half a dozen": 6, "an": 1, "a hundred": 100, "a thousand": 1000, "oh": 0,
        "nil": 0, "none": 0,
    },
    "de": {
        "ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "zwo": 2, "ein paar": 2, "ein"
        " dutzend": 12,
        "hundert": 100, "zu zweit": 2, "zu dritt": 3, "zu viert": 4, "dreissig": 30, "beide": 2,
    },
    "fr": {
        "une": 1, "une douzaine": 12, "une dizaine": 10, "une quinzaine": 15, "un couple": 2,
        "septante": 70, "huitante": 80, "nonante": 90, "quatre vingt": 80,
    },
}  # fmt: skip
ARTICLES: Mapping[str, frozenset[str]] = {
    "en": frozenset({"one", "an", "both", "none", "oh", "nil"}),
    "de": frozenset({"ein", "eine", "einen", "einem", "einer", "beide"}),
    "fr": frozenset({"un", "une"}),
}
"""Words that are numbers only where a number is expected."""

VAGUE = frozenset({"a couple", "a couple of", "couple of", "ein paar"})


def _form(text: str) -> str:
    return text.replace("-", " ")


@lru_cache(maxsize=8)
def spellings(language: str) -> Mapping[str, int]:
    """Return the numbers 0 to 999 by their spelling, hyphens as blanks."""
    spell = _SPELLERS.get(language, _spell_en)
    found = {_form(spell(n)): n for n in range(_MOST + 1)}
    if language == "en":
        found |= {name.replace(" and ", " "): n for name, n in list(found.items())}
    if language == "de":
        found |= {f"{head}tausend": n * 1_000 for n in range(1, 100) for head in [_head(n)]}
        found |= {f"ein{name}": n for name, n in list(found.items()) if name.startswith("hundert")}
    if language == "fr":
        found |= {name.replace(" et ", " "): n for name, n in list(found.items())}
    return {**found, **_EXTRA.get(language, {})}


def _head(n: int) -> str:
    word = _spell_de(n)
    return word[:-1] if word.endswith("eins") else word


@lru_cache(maxsize=8)
def _longest(language: str) -> int:
    return max(name.count(" ") + 1 for name in spellings(language))


def read_words(words: list[Word], first: int, language: str) -> tuple[int, int] | None:
    """Return (number, index behind its last word) of the number that begins at a word, if any."""
    small = _small(words, first, language)
    large = _LARGE.get(language, _LARGE["en"])
    if small is None:
        factor = large.get(words[first].text)
        if factor is None or language == "en":
            return None
        small = (1, first)
    total, at = small
    while at < len(words) and (factor := large.get(words[at].text)) is not None:
        total, at = total * factor, at + 1
        joint = at + 1 if at < len(words) and words[at].text in {"and", "und", "et"} else at
        rest = _small(words, joint, language) if joint < len(words) else None
        if rest is None or rest[0] >= factor or (joint > at and rest[0] >= 100):
            break
        total, at = total + rest[0], rest[1]
    return total, at


def _small(words: list[Word], first: int, language: str) -> tuple[int, int] | None:
    table = spellings(language)
    for last in range(min(len(words), first + _longest(language)), first, -1):
        found = table.get(" ".join(word.text for word in words[first:last]))
        if found is not None:
            return found, last
    word = words[first].text
    if language == "de" and "tausend" in word:
        head, _, tail = word.partition("tausend")
        thousands, rest = table.get(head or "ein"), table.get(tail) if tail else 0
        if thousands and rest is not None:
            return thousands * 1_000 + rest, first + 1
    return None


def spell(n: int, language: str) -> str:
    """Return the words of a number from 0 to 999.

    Raises:
        ValueError: it is outside of these.
    """
    if not 0 <= n <= _MOST:
        raise ValueError(f"only 0 to {_MOST} are spelled, got {n}")
    return _SPELLERS.get(language, _spell_en)(n)
