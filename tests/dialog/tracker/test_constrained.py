"""The constrained tracker on a model without sense: nothing invented, all of it parses."""

import math
import random

import pytest

from dialog.bot.definition import BotDefinition
from dialog.task.canonical import canonical_json
from dialog.task.commands import Command, SlotEdit, Unclear, command_from_payload
from dialog.task.state import DialogState
from dialog.task.testing import agent_of, turn
from dialog.task.understanding import Tracker, Understanding
from dialog.tracker.admissible import situation_of
from dialog.tracker.constrained import ConstrainedTracker, Weights
from dialog.tracker.options import MAX_OPTIONS, options_of
from dialog.tracker.rule import RuleTracker
from dialog.tracker.words import split
from llm.testing import LetterScorer

ALONE = Weights(prior=False)
_WORDS = split(
    "friday harbour two 3 italian no yes the second hotel adler from bern tomorrow at seven"
    " ana lind cancel why cheaper any same centre window bag twelve 45 zürich"
)


class _Watched(ConstrainedTracker):
    """Keeps what the state admitted and what was made of it."""

    def __init__(self, scorer: LetterScorer, weights: Weights) -> None:
        super().__init__(scorer, weights)
        self.admitted: dict[tuple[str, str], set[str]] = {}
        self.read_now: list[Understanding] = []

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Read, and remember the options of each slot."""
        situation = situation_of(bot, state, message)
        self.admitted = {
            slot.place: {option.key for option in options_of(situation, slot)}
            for slot in situation.slots
        }
        for read in RuleTracker().read(bot, state, message).commands:  # by rules, with a source
            if isinstance(read, SlotEdit):
                values = read.value if isinstance(read.value, list) else [read.value]
                self.admitted[read.task, read.slot] |= set(map(canonical_json, values))
        understanding = super().read(bot, state, message)
        self.read_now.append(understanding)
        for command in understanding.commands:
            self._check(command)
        return understanding

    def _check(self, command: Command) -> None:
        assert command_from_payload(command.to_payload()) == command
        if isinstance(command, SlotEdit):
            value = command.value[0] if isinstance(command.value, list) else command.value
            keys = self.admitted[command.task, command.slot]
            assert canonical_json(value) in keys or canonical_json(command.value) in keys


@pytest.mark.parametrize("weights", [ALONE, Weights()])
def test_random_weights_invent_no_value_and_every_command_applies(
    travel: BotDefinition, weights: Weights
) -> None:
    """Random words on random scores; posteriors sum to 1. A handoff ends a dialogue."""
    num_read = 0
    for seed in range(12):
        rng = random.Random(seed)
        tracker = _Watched(LetterScorer(seed=seed), weights)
        agent = agent_of(travel, tracker=tracker)
        for _ in range(10):
            turn(agent, text=" ".join(rng.choices(_WORDS, k=rng.randint(1, 7))))
        num_read += len(tracker.read_now)
        for understanding in tracker.read_now:
            for posterior in understanding.posteriors.values():
                assert math.fsum(part.p for part in posterior) == pytest.approx(1.0)
    assert num_read > 40


def test_options_are_bounded_and_told_apart_by_their_texts(travel: BotDefinition) -> None:
    """However long the turn."""
    state = DialogState(now="2025-03-03T09:00:00+00:00")
    situation = situation_of(travel, state, "word " * 500)
    origin = next(slot for slot in situation.slots if slot.name == "origin")
    options = options_of(situation, origin)
    assert len(options) <= MAX_OPTIONS
    assert len({option.text.casefold() for option in options}) == len(options)


def test_spellings_of_one_value_are_added(travel: BotDefinition) -> None:
    """A span and a normaliser may say the same; they are one value of the posterior."""
    tracker = ConstrainedTracker(LetterScorer(), ALONE)
    situation = situation_of(travel, DialogState(now="2025-03-03T09:00:00+00:00"), "in the centre")
    for posterior in tracker.posteriors(situation, situation.slots, "x"):
        keys = [option.key for option, _ in posterior.options]
        assert len(keys) == len(set(keys))


def test_with_the_prior_a_plain_turn_is_read_as_by_the_recogniser(travel: BotDefinition) -> None:
    """The model alone cannot overrule clear words at its default weight."""
    agent_tracker = _Watched(LetterScorer(), Weights(weight=0.0))
    agent = agent_of(travel, tracker=agent_tracker)
    turn(agent, text="I need a room in the centre for 2 people")
    commands = agent_tracker.read_now[0].commands
    assert {c.slot: c.value for c in commands if isinstance(c, SlotEdit)} == {
        "area": "centre",
        "people": 2,
    }


@pytest.mark.parametrize(
    "text",
    [
        "I don't mind the food",
        "Hotel Adler, does it have parking?",
        "what is half board?",
        "auf Deutsch bitte",
        "from Bern on Friday at 7pm with a bag",
        "somewhere to sleep in the port",
        "cancel that",
    ],
)
def test_without_a_word_of_the_model_nothing_that_the_recogniser_reads_is_lost(
    travel: BotDefinition, text: str
) -> None:
    """Any, attributes, terms, languages, several values: the same slots and the same heads."""
    trackers = (RuleTracker(), ConstrainedTracker(LetterScorer(), Weights(weight=0.0)))
    heads = []
    for tracker in trackers:
        watched = _Kept(tracker)
        agent = agent_of(travel, tracker=watched)
        turn(agent, text="I need a room in the centre for 2 people")
        turn(agent, text=text)
        heads.append(
            [(c.head, getattr(c, "slot", ""), getattr(c, "value", None)) for c in watched.last]
        )
    assert heads[0] == heads[1]


def test_values_alone_begin_the_task_that_they_belong_to(travel: BotDefinition) -> None:
    """What is inferred from slots is no mere giving of values, whatever the model prefers."""
    state = DialogState(now="2025-03-03T09:00:00+00:00")
    for seed in range(4):
        tracker = ConstrainedTracker(LetterScorer(seed=seed))
        commands = tracker.read(travel, state, "3 people for 2 nights").commands
        assert [c.head for c in commands] == ["start", "set", "set"]


class _Kept:
    """Keeps the last commands of a tracker."""

    last: tuple[Command, ...] = ()

    def __init__(self, tracker: Tracker) -> None:
        self.name = tracker.name
        self._tracker = tracker

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Read as it does."""
        found = self._tracker.read(bot, state, message)
        self.last = found.commands
        return found


def test_the_cost_of_a_turn_does_not_grow_with_the_dialogue(travel: BotDefinition) -> None:
    """Forty equal turns: what is computed stays within ten percent from the second on."""
    tracker = _Watched(LetterScorer(), Weights(weight=0.0))
    agent = agent_of(travel, tracker=tracker)
    turn(agent, text="I need a room in the centre for 2 people")
    for i in range(40):
        turn(agent, text=f"make it {2 + i % 2} people in the {('harbour', 'centre')[i % 2]}")
    costs = [understanding.tokens_computed for understanding in tracker.read_now[2:]]
    assert max(costs[-10:]) <= 1.1 * max(costs[:10])
    assert min(costs[-10:]) >= 0.9 * min(costs[:10])


def test_a_bad_weight_is_named() -> None:
    """With its bound."""
    with pytest.raises(ValueError, match=r"weight of the model must be >= 0, got -1"):
        Weights(weight=-1)


def test_without_any_reading_the_turn_is_unclear(travel: BotDefinition) -> None:
    """Never an empty list."""
    tracker = ConstrainedTracker(LetterScorer(), Weights(weight=0.0))
    state = DialogState(now="2025-03-03T09:00:00+00:00")
    assert tracker.read(travel, state, "qwertz").commands[0].head == Unclear.head
