"""Which of the entities that were shown, or of the options that were named, a user takes."""

from dialog.slot_types.base import JsonValue
from dialog.task.commands import Choose
from dialog.tracker.situation import Offered, Situation
from dialog.tracker.words import Word, find_phrase, first_phrase, split, words_of

_BY_NAME = 0.96
_BY_NUMBER = 0.93
_BY_COLUMN = 0.85
_LONG = 4


def chosen(situation: Situation) -> Choose | None:
    """Return the choice that the words make, None if they make none or more than one."""
    words = words_of(situation.text)
    by_name = _named(situation, words)
    if by_name is not None:
        return by_name
    count = len(_offered(situation)) or len(situation.question.options)
    number = _ordinal(situation, count)
    if number:
        return Choose(n=number, entity=_key(situation, number), p=_BY_NUMBER)
    return _described(situation, words)


def _offered(situation: Situation) -> tuple[Offered, ...]:
    """Return the rows that were shown, unless something else is to be chosen from first."""
    return () if situation.question.kind == "clarify" else situation.offered


def _named(situation: Situation, words: tuple[Word, ...]) -> Choose | None:
    names = [(o.n, o.key, o.name) for o in _offered(situation)] or [
        (n, None, name)
        for n, called in enumerate(situation.question.option_words, start=1)
        for name in called
    ]
    hits = [(n, key, name) for n, key, name in names if _says(words, name)]
    if len(hits) > 1:  # "the Grand" and "the Grand Plaza": the longer name is meant
        longest = max(len(name) for _, _, name in hits)
        hits = [hit for hit in hits if len(hit[2]) == longest]
    if len({n for n, _, _ in hits}) != 1:
        return None
    n, key, _ = hits[0]
    return Choose(n=n, entity=key, p=_BY_NAME)


def _says(words: tuple[Word, ...], name: str) -> bool:
    parts = split(name)
    if find_phrase(words, parts):
        return True
    telling = [part for part in parts if len(part) >= _LONG]
    return len(parts) > 1 and bool(telling) and bool(find_phrase(words, telling[:1]))


def _ordinal(situation: Situation, count: int) -> int:
    if not count:
        return 0
    ordinals = situation.phrases.ordinals
    found = first_phrase(situation.text, ordinals, fuzzy=False)
    if found is not None:
        n = ordinals[found.phrase]
        return n if 0 < n <= count else count if n < 0 else 0
    said = [w.folded for w in words_of(situation.text) if w.folded not in _AROUND]
    if len(said) == 1 and said[0].isdigit() and 0 < int(said[0]) <= count:
        return int(said[0])
    return 0


_AROUND = frozenset({"number", "option", "nummer", "numero", "please", "bitte", "the", "take"})


def _key(situation: Situation, number: int) -> JsonValue:
    return next((o.key for o in _offered(situation) if o.n == number), None)


def _described(situation: Situation, words: tuple[Word, ...]) -> Choose | None:
    """Return the only offer one of whose columns the words name: "the one near the station"."""
    if first_phrase(situation.text, ("one", "das", "die", "der", "celui", "celle")) is None:
        return None
    hits = [offered for offered in _offered(situation) if _describes(offered, words)]
    return Choose(n=hits[0].n, entity=hits[0].key, p=_BY_COLUMN) if len(hits) == 1 else None


def _describes(offered: Offered, words: tuple[Word, ...]) -> bool:
    return any(
        isinstance(value, str) and len(value) > 2 and find_phrase(words, split(value))
        for value in offered.row.values()
    )
