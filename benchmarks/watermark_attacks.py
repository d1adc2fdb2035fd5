"""What is done to a marked text so that its mark is lost.

Edits of tokens take a rate: each token is hit with this probability. Edits of words take text; the
synonyms are a small list of our own, so a swap changes few words of most texts. None knows the key.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Edit = Callable[[list[int], np.random.Generator], list[int]]

_PAIRS = """
big large; small little; begin start; end finish; help assist; buy purchase; show display
need require; ask request; answer reply; quick fast; happy glad; sad unhappy; smart clever
hard difficult; easy simple; choose select; keep retain; get obtain; use employ; make create
fix repair; near close; far distant; also too; maybe perhaps; often frequently; many numerous
enough sufficient; whole entire; wrong incorrect; right correct; about around; film movie
shop store; trip journey; town city; kid child; job task; idea thought; place spot; way manner
speak talk; look watch; think believe; try attempt
"""
_WORD = re.compile(r"[A-Za-z]+")


def synonyms() -> dict[str, str]:
    """Return for each word of the list its partner."""
    found: dict[str, str] = {}
    for pair in re.split(r"[;\n]", _PAIRS.strip()):
        one, other = pair.split()
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A named edit of tokens."""

    name: str
    edit: Edit


def delete(tokens: list[int], rate: float, rng: np.random.Generator) -> list[int]:
    """Leave tokens out."""
    return [
        token for token, lot in zip(tokens, rng.random(len(tokens)), strict=True) if lot >= rate
    ]


def insert(
    tokens: list[int], rate: float, rng: np.random.Generator, human: Sequence[int]
) -> list[int]:
    """Put tokens of another text between."""
    edited: list[int] = []
    for token in tokens:
        if rng.random() < rate:
            edited.append(int(rng.choice(human)))
        edited.append(token)
    return edited


def replace(
    tokens: list[int], rate: float, rng: np.random.Generator, human: Sequence[int]
) -> list[int]:
    """Put tokens of another text in the place of some."""
    return [int(rng.choice(human)) if rng.random() < rate else token for token in tokens]


def truncate(tokens: list[int], share: float) -> list[int]:
    """Keep the first tokens."""
    return tokens[: max(round(len(tokens) * share), 1)]


def paste(tokens: list[int], human: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Put the whole text somewhere into another one."""
    at = int(rng.integers(len(human) + 1))
    return [*human[:at], *tokens, *human[at:]]


def swap_words(
    text: str, rate: float, rng: np.random.Generator, words: Mapping[str, str] | None = None
) -> str:
    """Replace words by synonyms, with this probability where there is one."""
    partners = synonyms() if words is None else words

    def swapped(match: re.Match[str]) -> str:
        word = match[0]
        other = partners.get(word.lower())
        if other is None or rng.random() >= rate:
            return word
        return other.capitalize() if word[0].isupper() else other

    return _WORD.sub(swapped, text)


def retokenise(
    tokens: list[int],
    decode: Callable[[list[int]], str],
    encode: Callable[[str], Sequence[int]],
) -> list[int]:
    """Return the tokens of the text, which may differ from those it was made of."""
    return list(encode(decode(tokens)))


def attacks(human: Sequence[int], rates: Sequence[float] = (0.05, 0.1, 0.2, 0.3)) -> list[Attack]:
    """Return all edits of tokens; `human` is what foreign tokens are taken from."""
    found = [Attack(name="none", edit=lambda tokens, _: tokens)]
    for rate in rates:
        found += [
            Attack(name=f"delete {rate:.0%}", edit=_at(delete, rate)),
            Attack(name=f"insert {rate:.0%}", edit=_with(insert, rate, human)),
            Attack(name=f"replace {rate:.0%}", edit=_with(replace, rate, human)),
        ]
    found += [
        Attack(name="truncate to half", edit=lambda tokens, _: truncate(tokens, 0.5)),
        Attack(name="truncate to a quarter", edit=lambda tokens, _: truncate(tokens, 0.25)),
        Attack(name="paste", edit=lambda tokens, rng: paste(tokens, human, rng)),
    ]
    return found


def _at(edit: Callable[[list[int], float, np.random.Generator], list[int]], rate: float) -> Edit:
    return lambda tokens, rng: edit(tokens, rate, rng)


def _with(
    edit: Callable[[list[int], float, np.random.Generator, Sequence[int]], list[int]],
    rate: float,
    human: Sequence[int],
) -> Edit:
    return lambda tokens, rng: edit(tokens, rate, rng, human)
