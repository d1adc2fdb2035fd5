"""The recogniser tracker over real corpora; the long form is in `benchmarks.dialog`."""

from pathlib import Path

import pytest

from dialog.evaluation.corpus import (
    Corpus,
    CorpusDialogue,
    CorpusFrame,
    CorpusTurn,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.corpus_tracker import CorpusTracker
from dialog.evaluation.reading import read_corpus
from dialog.evaluation.tracking_metrics import exact_joint


def _joint(corpus: Corpus, num_dialogues: int) -> float:
    tracker = CorpusTracker(corpus)
    hits = []
    for dialogue in corpus.dialogues[:num_dialogues]:
        tracker.begin(dialogue)
        for turn in dialogue.turns:
            found = tracker.turn(turn)
            reference = {frame.service: frame.state for frame in turn.frames}
            hits.append(exact_joint(reference, found.states))
    return sum(hits) / len(hits)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["woz", "camrest"])
def test_the_joint_goal_accuracy_of_the_training_part(data_path: Path, name: str) -> None:
    """At least .75 is asked, values from the table or the own list; a hundred dialogues of it."""
    corpus = read_corpus("woz" if name == "woz" else "camrest", data_path / name, split="train")
    assert _joint(corpus, 100) >= 0.75


def test_a_dialogue_is_tracked_turn_by_turn() -> None:
    """The state is the fold of what the turns said; a "yes" to a proposal takes its value."""
    service = ServiceSchema(
        name="restaurant",
        slots=(
            SlotSchema(name="food"),
            SlotSchema(name="area", is_categorical=True, values=("north", "south")),
        ),
    )
    turns = (
        CorpusTurn(
            user="thai food in the north please", frames=(CorpusFrame(service="restaurant"),)
        ),
        CorpusTurn(
            system="There is none. Another kind of food?",
            user="then indian",
            frames=(CorpusFrame(service="restaurant"),),
        ),
        CorpusTurn(
            system="Does the part of town matter?",
            user="no, I don't care",
            frames=(CorpusFrame(service="restaurant"),),
        ),
    )
    corpus = Corpus(
        format="woz",
        services={"restaurant": service},
        dialogues=(CorpusDialogue(id="1", services=("restaurant",), turns=turns),),
    )
    tracker = CorpusTracker(corpus)
    tracker.begin(corpus.dialogues[0])
    states = [dict(tracker.turn(turn).states["restaurant"]) for turn in turns]
    assert states == [
        {"food": ("thai",), "area": ("north",)},
        {"food": ("indian",), "area": ("north",)},
        {"food": ("indian",), "area": ("dontcare",)},
    ]
