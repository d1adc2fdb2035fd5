"""A slot type over a fixed set of values with synonyms: the longest names first, slips forgiven.

For tables and ontologies that come with data; a bot's `choice` and `entity` types are in
`dialog.slot_types`. Values are text.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.tracker.words import Word, is_like, split, words_of

EXACT = 0.95
ALIKE = 0.8


class Lexicon:
    """Finds the names of values in a text; of overlapping names the longest is found."""

    def __init__(
        self,
        values: Mapping[str, Iterable[str]],
        *,
        name: str = "choice",
        is_fuzzy: bool = True,
        by_itself: bool = True,
    ) -> None:
        """Take values with what else they are called; `by_itself`, each by its own text too."""
        self.name = name
        self.values = tuple(values)
        self._is_fuzzy = is_fuzzy
        self._exact: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._letters: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        seen: dict[tuple[str, ...], str] = {}
        for value, names in values.items():
            for spelling in (*([value] if by_itself else []), *names):
                parts = split(spelling)
                if parts and seen.setdefault(parts, value) == value:
                    self._exact[parts[0]].append((parts, value))
                    self._letters[parts[0][0]].append((parts, value))
        for index in (self._exact, self._letters):
            for entries in index.values():
                entries.sort(key=lambda entry: -len(entry[0]))

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the values that are named, by their place in the text."""
        del context
        words = words_of(text)
        found: list[Candidate] = []
        i = 0
        while i < len(words):
            hit = self._at(words, i)
            if hit is None:
                i += 1
                continue
            size, value, p = hit
            found.append(
                Candidate(start=words[i].start, end=words[i + size - 1].end, value=value, p=p)
            )
            i += size
        return found

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the value: it is called by itself."""
        del locale
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the value that a text names as a whole.

        Raises:
            ValueError: it names none.
        """
        found = self.parse(str(value), context)
        if len(found) != 1:
            raise ValueError(f"{value!r} is none of the {len(self)} values of {self.name!r}")
        return found[0].value, None

    def __len__(self) -> int:
        return len({value for entries in self._exact.values() for _, value in entries})

    def _at(self, words: tuple[Word, ...], i: int) -> tuple[int, str, float] | None:
        for parts, value in self._exact.get(words[i].folded, ()):
            if tuple(w.folded for w in words[i : i + len(parts)]) == parts:
                return len(parts), value, EXACT
        if not self._is_fuzzy:
            return None
        for parts, value in self._letters.get(words[i].folded[0], ()):
            there = words[i : i + len(parts)]
            if len(there) == len(parts) and all(
                is_like(w.folded, part) for w, part in zip(there, parts, strict=True)
            ):
                return len(parts), value, ALIKE
        return None
