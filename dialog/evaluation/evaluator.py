"""Runs a tracker over a corpus and scores it; the one evaluator, with a version.

SGD by its official definition, the others by exact joint goal accuracy. Every figure says over how
many dialogues it is, and the joint goal accuracy has a bootstrap interval over dialogues.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialog.evaluation.calibration_metrics import auc, expected_calibration_error
from dialog.evaluation.corpus import Corpus, CorpusDialogue, CorpusTurn
from dialog.evaluation.fulfilment import Fulfilment, States, reference_states
from dialog.evaluation.hypothesis import DialogueTracker, TurnHypothesis
from dialog.evaluation.outcomes import JudgedDecision, judged
from dialog.evaluation.text_match import FUZZY_VERSION
from dialog.evaluation.tracking_metrics import (
    EVALUATOR_VERSION,
    SlotCounts,
    State,
    exact_joint,
    relative_slot_accuracy,
    requested_f1,
    sgd_frame,
)

_RESAMPLES = 400
OnDialogue = Callable[[int, int], None]


@dataclass(slots=True)
class _Sums:
    """Values whose mean is asked, by name and, within a group, by dialogue."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, value: float) -> None:
        self.values[name].append(value)

    def means(self) -> dict[str, float]:
        return {name: sum(v) / len(v) for name, v in sorted(self.values.items()) if v}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of a tracker on a corpus, and the decisions that they rest on."""

    figures: Mapping[str, Any]
    decisions: tuple[JudgedDecision, ...] = ()
    tokens: tuple[tuple[int, int], ...] = ()  # number of the turn in its dialogue, tokens computed


def evaluate(
    corpus: Corpus,
    tracker: DialogueTracker,
    *,
    seen: frozenset[str] | None = None,
    seed: int = 0,
    on_dialogue: OnDialogue | None = None,
) -> Evaluation:
    """Track and score all dialogues; `seen` are the services of the training schema.

    Raises:
        ValueError: the corpus has no dialogue.
    """
    if not corpus.dialogues:
        raise ValueError("an evaluation needs at least one dialogue, got none")
    run = _Run(corpus, tracker, seen)
    for i, dialogue in enumerate(corpus.dialogues):
        run.dialogue(dialogue)
        if on_dialogue is not None:
            on_dialogue(i + 1, len(corpus.dialogues))
    return run.evaluation(seed)


class _Run:
    def __init__(
        self, corpus: Corpus, tracker: DialogueTracker, seen: frozenset[str] | None
    ) -> None:
        self._corpus = corpus
        self._tracker = tracker
        self._seen = seen
        self._sums = _Sums()
        self._joint: list[list[float]] = []  # by dialogue
        self._counts = SlotCounts()
        self._decisions: list[JudgedDecision] = []
        self._tokens: list[tuple[int, int]] = []
        self._invented = 0
        self._slots = 0
        self._fulfilment = Fulfilment(corpus) if corpus.format == "multiwoz" else None

    def dialogue(self, dialogue: CorpusDialogue) -> None:
        """Track and score one dialogue."""
        self._joint.append([])
        self._tracker.begin(dialogue)
        before: dict[str, State] = {}
        states: list[Mapping[str, State]] = []
        for number, turn in enumerate(dialogue.turns):
            found = self._tracker.turn(turn)
            reference = {frame.service: frame.state for frame in turn.frames}
            hypothesis = self._in_frames(turn, found)
            self._score(turn, found, reference, hypothesis)
            self._counts.add(reference, hypothesis)
            self._invented += len(found.invented)
            self._slots += sum(map(len, hypothesis.values()))
            self._tokens.append((number + 1, found.tokens_computed))
            self._decisions += [
                judged(decision, before, reference, dialogue=dialogue.id, turn=number)
                for decision in found.decisions
                if decision.service in reference
            ]
            before |= reference
            states.append(hypothesis)
        self._fulfil(dialogue, "", states)
        self._fulfil(dialogue, ".reference", reference_states(dialogue))

    def _fulfil(self, dialogue: CorpusDialogue, whose: str, states: States) -> None:
        """Judge what came of a dialogue, with the tracker's states or with the corpus's."""
        found = None if self._fulfilment is None else self._fulfilment.judge(dialogue, states)
        if found is None:
            return
        self._sums.add(f"inform{whose}", float(found.informs))
        self._sums.add(f"success{whose}", float(found.succeeds))
        if found.book is not None:
            self._sums.add(f"book{whose}", found.book)

    def _in_frames(self, turn: CorpusTurn, found: TurnHypothesis) -> Mapping[str, State]:
        """Return the states that are compared: SGD's of the turn's frames, else of all domains."""
        if self._corpus.format != "sgd":
            return found.states
        return {frame.service: found.states.get(frame.service, {}) for frame in turn.frames}

    def _score(
        self,
        turn: CorpusTurn,
        found: TurnHypothesis,
        reference: Mapping[str, State],
        hypothesis: Mapping[str, State],
    ) -> None:
        if (relative := relative_slot_accuracy(reference, hypothesis)) is not None:
            self._sums.add("relative_slot_accuracy", relative)
        if self._corpus.format == "sgd":
            self._score_frames(turn, found, reference, hypothesis)
            return
        right = float(exact_joint(reference, hypothesis))
        self._joint[-1].append(right)
        self._sums.add("joint_goal_accuracy", right)
        for frame in turn.frames:
            if frame.requested_slots is not None:
                scores = requested_f1(frame.requested_slots, found.requested.get(frame.service, ()))
                self._sums.add("requested_slots_f1", scores.f1)

    def _score_frames(
        self,
        turn: CorpusTurn,
        found: TurnHypothesis,
        reference: Mapping[str, State],
        hypothesis: Mapping[str, State],
    ) -> None:
        for frame in turn.frames:
            service = frame.service
            scores = sgd_frame(
                self._corpus.services[service], reference[service], hypothesis[service]
            )
            self._joint[-1].append(scores.joint)
            for group in self._groups(service):
                self._sums.add(f"joint_goal_accuracy{group}", scores.joint)
                if scores.average is not None:
                    self._sums.add(f"average_goal_accuracy{group}", scores.average)
                intent = float(found.intents.get(service, "NONE") == frame.active_intent)
                self._sums.add(f"active_intent_accuracy{group}", intent)
                requested = requested_f1(
                    frame.requested_slots or (), found.requested.get(service, ())
                )
                self._sums.add(f"requested_slots_f1{group}", requested.f1)

    def _groups(self, service: str) -> Sequence[str]:
        if self._seen is None:
            return ("",)
        return ("", ".seen" if service in self._seen else ".unseen")

    def evaluation(self, seed: int) -> Evaluation:
        """Return all figures."""
        slots = self._counts.scores
        low, high = _interval([d for d in self._joint if d], seed)
        return Evaluation(
            figures={
                "evaluator": EVALUATOR_VERSION,
                "matching": FUZZY_VERSION if self._corpus.format == "sgd" else "exact, raw values",
                "format": self._corpus.format,
                "tracker": self._tracker.name,
                "num_dialogues": len(self._corpus.dialogues),
                "num_turns": len(self._tokens),
                **self._sums.means(),
                "joint_goal_accuracy.low": low,
                "joint_goal_accuracy.high": high,
                "slot_precision": slots.precision,
                "slot_recall": slots.recall,
                "slot_f1": slots.f1,
                "invented_values": self._invented,
                "num_slot_values": self._slots,
                "tokens_per_turn": sum(n for _, n in self._tokens) / len(self._tokens),
                **calibration_figures(self._decisions),
                "seed": seed,
            },
            decisions=tuple(self._decisions),
            tokens=tuple(self._tokens),
        )


def calibration_figures(decisions: Sequence[JudgedDecision]) -> dict[str, float]:
    """Return ECE and AUC over decisions in which reference or hypothesis changes a slot, and all.

    `ece.hypothesis` is over those that the tracker itself would act on.
    """
    figures: dict[str, float] = {}
    for name, chosen in (
        ("", [d for d in decisions if d.is_change]),
        (".hypothesis", [d for d in decisions if d.decision.value is not None]),
        (".all", list(decisions)),
    ):
        p = [d.decision.p for d in chosen]
        right = [d.is_right for d in chosen]
        figures[f"ece{name}"] = expected_calibration_error(p, right)
        figures[f"auc{name}"] = auc(p, right)
        figures[f"num_decisions{name}"] = len(chosen)
    return figures


def _interval(dialogues: Sequence[Sequence[float]], seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean over turns, dialogues being drawn."""
    rng = random.Random(seed)  # noqa: S311 - resampling, no secret
    sums = [(sum(d), len(d)) for d in dialogues]
    means = []
    for _ in range(_RESAMPLES):
        drawn = rng.choices(sums, k=len(sums))
        means.append(sum(s for s, _ in drawn) / sum(n for _, n in drawn))
    means.sort()
    return means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1]
