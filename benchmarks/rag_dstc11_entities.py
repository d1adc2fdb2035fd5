"""Which hotels and restaurants a dialogue speaks of, by their names as people write them."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

Entity = tuple[str, int]

_GENERIC = frozenset(
    [
        *(
            "the",
            "a",
            "an",
            "and",
            "of",
            "at",
            "in",
            "cambridge",
            "hotel",
            "guest",
            "house",
            "lodge",
        ),
        *("guesthouse", "inn", "bed", "breakfast", "b", "restaurant", "bar", "cafe"),
    ]
)
_AMBIGUOUS = frozenset(["ask", "j", "cote"])  # words, too: only beside "restaurant"
_ALIKE = 0.85
_MIN_MISSPELT, _MIN_MISSPELT_ALONE = 5, 7  # letters of a word that may be misspelt


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters, without apostrophes."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))


class NamedEntities:
    """Finds names in turns: what is left of a name without `hotel`, `the` and the like."""

    def __init__(self, names: Mapping[Entity, str]) -> None:
        """Take the entities by their names."""
        self._cores: dict[Entity, tuple[str, ...]] = {}
        for entity, name in names.items():
            words = words_of(name)
            self._cores[entity] = tuple(w for w in words if w not in _GENERIC) or tuple(words)
        self._named = lru_cache(maxsize=None)(self._find)

    def last_named(self, turns: Sequence[str]) -> tuple[Entity, ...]:
        """Return the entities in the last turn that names any."""
        return next((found for turn in reversed(turns) if (found := self.named_in(turn))), ())

    def named_in(self, turn: str) -> tuple[Entity, ...]:
        """Return the entities that a turn names, exactly or nearly so."""
        return self._named(turn)

    def _find(self, turn: str) -> tuple[Entity, ...]:
        words = words_of(turn)
        exact = [
            entity
            for entity in self._holding(words, is_exact=True)
            if not _AMBIGUOUS.issuperset(self._cores[entity]) or "restaurant" in words
        ]
        near = [one for one in self._holding(words, is_exact=False) if one not in exact]
        longer = [one for one in near if len(self._cores[one]) > 1]
        alone = [
            one
            for one in near
            if len(self._cores[one]) == 1 and len(self._cores[one][0]) >= _MIN_MISSPELT_ALONE
        ]
        return tuple(dict.fromkeys([*exact, *longer, *(() if exact else alone)]))

    def _holding(self, words: Sequence[str], *, is_exact: bool) -> list[Entity]:
        telling = [word for word in words if word not in _GENERIC]
        found = [e for e, core in self._cores.items() if _stands_in(core, telling, is_exact)]
        # "Pizza Hut Fen Ditton" holds the name of no other "Pizza Hut".
        return [
            one
            for one in found
            if not any(set(self._cores[one]) < set(self._cores[other]) for other in found)
        ]


def _stands_in(core: Sequence[str], words: Sequence[str], is_exact: bool) -> bool:
    return any(
        all(_same(a, b, is_exact) for a, b in zip(core, words[i : i + len(core)], strict=True))
        for i in range(len(words) - len(core) + 1)
    )


def _same(name: str, word: str, is_exact: bool) -> bool:
    if name == word:
        return True
    if is_exact or len(name) < _MIN_MISSPELT:
        return False
    return SequenceMatcher(None, name, word).ratio() >= _ALIKE
