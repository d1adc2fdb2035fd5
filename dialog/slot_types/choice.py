"""One of the values that the bot file lists: by key, synonym, plural, slip or place."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.linking import Link, Linker
from dialog.slot_types.ordinals import find_ordinals
from dialog.slot_types.words import is_negated, language_of

_ENDINGS = ("s", "es", "e", "en", "er", "n", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceType:
    """A choice; `values` has the words of each key by locale, those under "" count in all."""

    values: Mapping[str, Mapping[str, tuple[str, ...]]]
    name: str = "choice"
    _linkers: dict[str, Linker] = field(default_factory=dict, init=False, repr=False, compare=False)

    def words(self, key: str, locale: str) -> tuple[str, ...]:
        """Return what a value may be called in a locale, the word that is said first."""
        by_locale = self.values[key]
        own = by_locale.get(locale) or by_locale.get(language_of(locale)) or ()
        spoken = key.replace("_", " ")
        return tuple(dict.fromkeys((*own, spoken, key, *by_locale.get("", ()))))

    def _linker(self, locale: str) -> Linker:
        linker = self._linkers.get(locale)
        if linker is None:
            linker = Linker({key: self._forms(key, locale) for key in self.values})
            self._linkers[locale] = linker
        return linker

    def _forms(self, key: str, locale: str) -> tuple[str, ...]:
        words = self.words(key, locale)
        more = [word + ending for word in words if word[-1:].isalpha() for ending in _ENDINGS]
        return (*words, *more)

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the values named; "the second" where the choice is asked for."""
        links = self._linker(context.locale).link(text)
        found = candidates_of(text, links)
        if context.is_asked and not found:
            keys = list(self.values)
            for start, end, n in find_ordinals(text, context.locale, len(keys)):
                if 1 <= n <= len(keys):
                    found.append(Candidate(start=start, end=end, value=keys[n - 1], p=0.85))
        return found

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the locale's first word for the value."""
        key = str(value)
        return self.words(key, locale)[0] if key in self.values else key

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the key; another text is a violation that names the nearest keys.

        Raises:
            ValueError: it is no text.
        """
        if isinstance(value, bool | int | float):
            value = str(value).lower()
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no choice; it is one of {sorted(self.values)}")  # noqa: TRY004
        if value in self.values:
            return value, None
        links = [li for li in self._linker(context.locale).link(value) if li.p > 0.9]
        if len({link.key for link in links}) == 1:
            return links[0].key, None
        nearest = self._linker(context.locale).nearest(value, 3)
        return value, Violation(kind=ViolationKind.NOT_A_CHOICE, nearest=tuple(nearest))


def candidates_of(text: str, links: list[Link], most: int = 16) -> list[Candidate]:
    """Return one candidate per span: its best key, the others beside it as further readings."""
    spans: dict[tuple[int, int], list[Link]] = {}
    for link in links:
        spans.setdefault((link.start, link.end), []).append(link)
    found = []
    for (start, end), same in sorted(spans.items()):
        ranked = sorted(same, key=lambda link: (-link.p, link.key))
        found.append(
            Candidate(
                start=start,
                end=end,
                value=ranked[0].key,
                p=ranked[0].p,
                ambiguous_with=tuple(link.key for link in ranked[1:most]),
                is_negated=is_negated(text, start),
            )
        )
    return found
