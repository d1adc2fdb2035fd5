"""What comes of a dialogue of MultiWOZ, by hand: offers, attributes, bookings."""

from collections.abc import Mapping

from dialog.evaluation.corpus import (
    Corpus,
    CorpusAct,
    CorpusDialogue,
    CorpusFrame,
    CorpusTurn,
    DomainGoal,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.corpus_tracker import CorpusTracker
from dialog.evaluation.evaluator import evaluate
from dialog.evaluation.fulfilment import Fulfilled, Fulfilment, reference_states
from dialog.evaluation.task_metrics import meets

_SLOTS = ("area", "name", "parking", "book day", "book people")
_GOAL = {
    "hotel": DomainGoal(
        constraints={"area": "east", "parking": "yes"},
        requests=("phone",),
        booking={"day": "monday", "people": "2"},
    ),
    "taxi": DomainGoal(constraints={"leaveAt": "17:00"}),
}
_ROWS = (
    {"name": "the adler", "area": "east", "parking": "yes"},
    {"name": "rose", "area": "west", "parking": "yes"},
)


def _act(act: str, slot: str = "", *values: str, service: str = "hotel") -> CorpusAct:
    return CorpusAct(service=service, act=act, slot=slot, values=values)


def _dialogue(*replies: tuple[CorpusAct, ...], **state: str) -> CorpusDialogue:
    """Return a dialogue whose user says all at once, and is answered so often."""
    filled = {slot.replace("_", " "): (value,) for slot, value in state.items()}
    frames = (CorpusFrame(service="hotel", state=filled),)
    turns = tuple(
        CorpusTurn(user="go on", system_acts=acts, frames=frames) for acts in ((), *replies[:-1])
    )
    return CorpusDialogue(
        id="1", services=("hotel",), turns=turns, goal=_GOAL, closing_acts=replies[-1]
    )


def _corpus(dialogue: CorpusDialogue) -> Corpus:
    hotel = ServiceSchema(name="hotel", slots=tuple(SlotSchema(name=name) for name in _SLOTS))
    return Corpus(
        format="multiwoz",
        services={"hotel": hotel},
        dialogues=(dialogue,),
        tables={"hotel": _ROWS},
    )


def _judged(dialogue: CorpusDialogue) -> Fulfilled | None:
    return Fulfilment(_corpus(dialogue)).judge(dialogue, reference_states(dialogue))


_RIGHT: Mapping[str, str] = {
    "area": "east", "parking": "free", "book_day": "monday", "book_people": "2",
}  # fmt: skip
_OFFER = (_act("RECOMMEND", "Name", "Adler"),)
_DETAILS = (_act("INFORM", "Phone", "123"), _act("BOOK", "Ref", "X1", service="booking"))


def test_a_dialogue_in_which_all_is_right() -> None:
    """The offer meets the goal, the phone number is told, the booking is of the state."""
    assert _judged(_dialogue(_OFFER, _DETAILS, **_RIGHT)) == Fulfilled(
        informs=True, succeeds=True, book=1.0
    )


def test_the_state_decides_what_is_offered() -> None:
    """With the wrong area the named row is not found, and the first that is found is offered."""
    wrong = {**_RIGHT, "area": "west"}
    assert _judged(_dialogue(_OFFER, _DETAILS, **wrong)) == Fulfilled(
        informs=False, succeeds=False, book=1.0
    )
    nowhere = {**_RIGHT, "area": "north"}
    assert _judged(_dialogue(_OFFER, _DETAILS, **nowhere)) == Fulfilled(
        informs=False, succeeds=False, book=1.0
    )


def test_an_attribute_that_nobody_told_is_no_success() -> None:
    """But it informs; a wrong day is no booking, and no booking is none."""
    booked = (_act("BOOK", "Ref", "X1", service="booking"),)
    wrong_day = {**_RIGHT, "book_day": "friday"}
    assert _judged(_dialogue(_OFFER, booked, **wrong_day)) == Fulfilled(
        informs=True, succeeds=False, book=0.0
    )
    assert _judged(_dialogue(_OFFER, _DETAILS[:1], **_RIGHT)) == Fulfilled(
        informs=True, succeeds=True, book=0.0
    )


def test_who_names_an_entity_is_offered_that_one() -> None:
    """Though the reply tells no more than its number."""
    named = {"name": "adler", "book_day": "monday", "book_people": "2"}
    assert _judged(_dialogue(_DETAILS, **named)) == Fulfilled(informs=True, succeeds=True, book=1.0)


def test_without_a_goal_there_is_nothing_to_judge() -> None:
    """Then it counts for nothing."""
    dialogue = CorpusDialogue(id="1", services=(), turns=(CorpusTurn(user="hello"),))
    assert Fulfilment(_corpus(dialogue)).judge(dialogue, reference_states(dialogue)) is None


def test_the_evaluator_gives_them_beside_those_of_the_references_states() -> None:
    """The tracker reads nothing of "go on"; the reference's state books."""
    corpus = _corpus(_dialogue(_OFFER, _DETAILS, **_RIGHT))
    figures = evaluate(corpus, CorpusTracker(corpus)).figures
    assert (figures["inform.reference"], figures["success.reference"]) == (1.0, 1.0)
    assert (figures["book"], figures["book.reference"]) == (0.0, 1.0)


def test_rows_that_meet_constraints() -> None:
    """Journeys leave at the earliest, arrive at the latest; spellings of one name are one."""
    train = {"leaveAt": "17:30", "arriveBy": "18:20", "day": "monday"}
    assert meets(train, {"leaveAt": "17:00", "arriveBy": "18:30"})
    assert not meets(train, {"leaveAt": "17:31"})
    assert not meets(train, {"arriveBy": "18:00"})
    assert not meets(train, {"leaveAt": "17:00"}, is_exact=True)
    assert meets({"type": "nightclub"}, {"type": "night club", "area": "dontcare"})
    assert not meets({"type": "nightclub"}, {"area": "east"})
