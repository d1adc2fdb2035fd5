"""Which values of a state have a source, by hand; and that a tracker that invents is found out."""

from dialog.evaluation.corpus import (
    Corpus,
    CorpusAct,
    CorpusDialogue,
    CorpusFrame,
    CorpusTurn,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.corpus_tracker import CorpusTracker
from dialog.evaluation.evaluator import evaluate
from dialog.task.commands import Set
from dialog.task.understanding import Understanding
from dialog.tracker.situation import Situation
from dialog.tracker.task_intents import TaskIntents

_SERVICE = ServiceSchema(
    name="restaurant",
    slots=(
        SlotSchema(name="food"),
        SlotSchema(name="area", is_categorical=True, values=("north", "south")),
    ),
)


def _turn(user: str, *acts: CorpusAct) -> CorpusTurn:
    return CorpusTurn(user=user, system_acts=acts, frames=(CorpusFrame(service="restaurant"),))


def _corpus(*turns: CorpusTurn) -> Corpus:
    dialogue = CorpusDialogue(id="1", services=("restaurant",), turns=turns)
    return Corpus(format="woz", services={"restaurant": _SERVICE}, dialogues=(dialogue,))


class _Scripted:
    """A reader that sets what it was told to, one value a turn."""

    name = "scripted"

    def __init__(self, *edits: tuple[str, str]) -> None:
        self._edits = list(edits)

    def understand(self, situation: Situation, intents: TaskIntents) -> Understanding:
        """Return the next edit."""
        del situation, intents
        slot, value = self._edits.pop(0)
        return Understanding(commands=(Set(task="restaurant", slot=slot, value=value),))


def _invented(corpus: Corpus, *edits: tuple[str, str]) -> list[tuple[str, ...]]:
    tracker = CorpusTracker(corpus, reader=_Scripted(*edits))
    (dialogue,) = corpus.dialogues
    tracker.begin(dialogue)
    return [tracker.turn(turn).invented for turn in dialogue.turns]


def test_words_lists_and_what_the_system_said_are_sources() -> None:
    """Of this turn, the schema, the own list of cuisines, an act of the system."""
    offer = CorpusAct(service="restaurant", act="OFFER", slot="food", values=("Lunar Fusion",))
    corpus = _corpus(
        _turn("something Martian"), _turn("no"), _turn("no"), _turn("yes", offer), _turn("no")
    )
    edits = (
        ("food", "martian"),
        ("area", "south"),
        ("food", "italian"),
        ("food", "lunar fusion"),
        ("area", "dontcare"),
    )
    assert _invented(corpus, *edits) == [()] * 5


def test_a_value_from_nowhere_is_invented_until_it_is_replaced() -> None:
    """Also one that was said too long ago, and one that another slot invented."""
    corpus = _corpus(_turn("martian food"), *[_turn("no")] * 5)
    edits = (
        ("food", "atlantean"),
        ("area", "south"),
        ("food", "martian"),
        ("area", "martian"),
        ("food", "italian"),
        ("area", "north"),
    )
    assert _invented(corpus, *edits) == [
        ("restaurant.food=atlantean",),
        ("restaurant.food=atlantean",),
        ("restaurant.food=martian",),
        ("restaurant.area=martian", "restaurant.food=martian"),
        ("restaurant.area=martian",),
        (),
    ]


def test_a_value_may_be_copied_from_another_slot() -> None:
    """That had it from the user, however long ago."""
    corpus = _corpus(_turn("martian food"), *[_turn("no")] * 3)
    edits = (("food", "martian"), ("area", "north"), ("area", "south"), ("area", "martian"))
    assert _invented(corpus, *edits)[-1] == ()


def test_the_evaluator_counts_them_over_all_turns() -> None:
    """One value, invented in the first of two turns and kept: two of two."""
    corpus = _corpus(_turn("hello"), _turn("no"))
    edits = (("food", "atlantean"), ("food", "atlantean"))
    figures = evaluate(corpus, CorpusTracker(corpus, reader=_Scripted(*edits))).figures
    assert (figures["invented_values"], figures["num_slot_values"]) == (2, 2)
