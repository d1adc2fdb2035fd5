"""Where a value of a state can have come from; what has no source was invented.

Sources are those that the grammar of a turn admits: values that schema, table or list name, words
of the last two user turns and what the slot's normaliser makes of them, what the system said for
any slot, and the values of other slots. Judged from the dialogue alone, whatever the tracker says.
"""

from collections.abc import Iterable, Mapping, Sequence

from dialog.evaluation.corpus import DONTCARE, Corpus, CorpusTurn
from dialog.tracker.options import Listed
from dialog.tracker.situation import SlotView
from dialog.tracker.words import split

_TURNS = 2
"""So many user turns can be copied from."""

State = Mapping[str, Sequence[str]]


class ValueSources:
    """Follows one dialogue after the other and tells which values of its states were invented."""

    def __init__(self, corpus: Corpus, views: Iterable[SlotView]) -> None:
        """Take the slots as the tracker sees them, with their types."""
        self._views = {view.place: view for view in views}
        self._listed = {
            place: frozenset((*_schema_values(corpus, view), *_type_values(view)))
            for place, view in self._views.items()
        }
        self.begin()

    def begin(self) -> None:
        """Forget the dialogue before."""
        self._turns: list[str] = []
        self._said: list[tuple[str, ...]] = []
        self._before: dict[tuple[str, str], str] = {}
        self._invented: set[tuple[str, str]] = set()

    def invented(self, turn: CorpusTurn, states: Mapping[str, State]) -> tuple[str, ...]:
        """Return the values without a source in the states after a turn, as "service.slot=value".

        A value stays invented for as long as it stays in the state.
        """
        self._turns = [*self._turns, turn.user][-_TURNS:]
        self._said += [split(value) for act in turn.system_acts for value in act.values]
        self._said.append(split(turn.system))
        now = {(d, s): values[0] for d, state in states.items() for s, values in state.items()}
        for place, value in now.items():
            if self._before.get(place) != value:
                if self._has_source(place, value):
                    self._invented.discard(place)
                else:
                    self._invented.add(place)
        self._before = now
        self._invented &= now.keys()
        return tuple(f"{d}.{s}={now[d, s]}" for d, s in sorted(self._invented))

    def _has_source(self, place: tuple[str, str], value: str) -> bool:
        if value == DONTCARE or value in self._listed.get(place, ()) or self._was_said(value):
            return True
        view = self._views.get(place)
        if view is not None and any(
            str(candidate.value) == value
            for text in self._turns
            for candidate in view.type.parse(text, view.context)
        ):
            return True
        return self._other_had_it(place, value)

    def _was_said(self, value: str) -> bool:
        words = split(value)
        texts = [*(split(text) for text in self._turns), *self._said]
        return bool(words) and any(_holds(text, words) for text in texts)

    def _other_had_it(self, place: tuple[str, str], value: str) -> bool:
        """Tell whether another slot held the value before, and had it from somewhere."""
        return any(
            other != place and held == value and other not in self._invented
            for other, held in self._before.items()
        )


def _holds(text: Sequence[str], words: Sequence[str]) -> bool:
    size = len(words)
    return any(tuple(text[i : i + size]) == tuple(words) for i in range(len(text) - size + 1))


def _type_values(view: SlotView) -> tuple[str, ...]:
    return tuple(view.type.values) if isinstance(view.type, Listed) else ()


def _schema_values(corpus: Corpus, view: SlotView) -> tuple[str, ...]:
    service = corpus.services.get(view.task)
    slot = None if service is None else service.slot(view.name)
    return () if slot is None else slot.values
