"""The double of the `SlotType` port, and the contract that every slot type keeps."""

from dataclasses import dataclass

import pytest

from dialog.slot_types.base import Candidate, JsonValue, SlotType, TextContext, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedType:
    """A type whose values are the words of a list, each as it is written."""

    values: tuple[str, ...]
    name: str = "listed"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:  # noqa: ARG002 - of the port
        """Return the words that stand in the text."""
        found = [(text.find(value), value) for value in self.values if value in text]
        return [
            Candidate(start=start, end=start + len(value), value=value)
            for start, value in sorted(found)
        ]

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - of the port
        """Return the word."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the word.

        Raises:
            ValueError: it is not in the list.
        """
        del context
        if value not in self.values:
            raise ValueError(f"{value!r} is none of {self.values}")
        return value, None


class SlotTypeContract:
    """Laws of the `SlotType` port; inherit and give `kind`, `samples` and `context`."""

    @pytest.fixture
    def kind(self) -> SlotType:
        """Return the type."""
        raise NotImplementedError

    @pytest.fixture
    def samples(self) -> list[JsonValue]:
        """Return canonical values that the type allows."""
        raise NotImplementedError

    @pytest.fixture
    def context(self) -> TextContext:
        """Return a context in which the slot is asked for."""
        raise NotImplementedError

    def test_what_is_said_is_read_again(
        self, kind: SlotType, samples: list[JsonValue], context: TextContext
    ) -> None:
        """The first reading of the words is the value."""
        for value in samples:
            found = kind.parse(kind.say(value, context.locale), context)
            assert found
            assert found[0].value == value

    def test_a_canonical_value_stays_as_it_is(
        self, kind: SlotType, samples: list[JsonValue], context: TextContext
    ) -> None:
        """Canonical forms are fixed points, and break nothing without bounds."""
        for value in samples:
            assert kind.canonical(value, context) == (value, None)

    def test_spans_lie_in_the_text_and_in_their_order(
        self, kind: SlotType, samples: list[JsonValue], context: TextContext
    ) -> None:
        """A span is a part of the text, and the earlier comes first."""
        words = [kind.say(value, context.locale) for value in samples]
        text = f"well, {' or rather '.join(words)}!"
        found = kind.parse(text, context)
        assert all(0 <= c.start < c.end <= len(text) for c in found)
        assert [c.start for c in found] == sorted(c.start for c in found)

    def test_reading_is_pure(
        self, kind: SlotType, samples: list[JsonValue], context: TextContext
    ) -> None:
        """The same words in the same context mean the same; nothing is in no words."""
        text = kind.say(samples[0], context.locale)
        assert kind.parse(text, context) == kind.parse(text, context)
        assert kind.parse("", context) == []
        assert kind.parse(" \n…", context) == []
