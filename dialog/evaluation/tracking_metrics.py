"""Metrics of dialogue state tracking, each in the definition that its corpus pins.

SGD (Rastogi et al., 2020): per user turn and service frame, over all slots of the service's schema.
MultiWOZ: per user turn, all slots of all five domains together, exact match. A state maps slots to
the spellings of their value, the first being the one that counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dialog.evaluation.corpus import ServiceSchema
from dialog.evaluation.text_match import token_sort_ratio

EVALUATOR_VERSION = "1"

State = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScores:
    """The scores of one service frame; `average` is None where the reference fills no slot."""

    joint: float
    average: float | None
    joint_categorical: float
    joint_other: float


def slot_correctness(
    reference: Sequence[str] | None, hypothesis: Sequence[str] | None, *, is_categorical: bool
) -> float:
    """Return c of one slot: 1 if both are absent, 0 if one is, else how well the values agree."""
    if reference is None or hypothesis is None:
        return float(reference is None and hypothesis is None)
    if is_categorical:
        return float(reference[0] == hypothesis[0])
    return max(token_sort_ratio(spelling, hypothesis[0]) for spelling in reference) / 100


def sgd_frame(service: ServiceSchema, reference: State, hypothesis: State) -> FrameScores:
    """Return the official scores of a frame: the product, and the mean over what is to be found."""
    joint = categorical = other = 1.0
    active = []
    for slot in service.slots:
        held = reference.get(slot.name)
        c = slot_correctness(held, hypothesis.get(slot.name), is_categorical=slot.is_categorical)
        joint *= c
        if slot.is_categorical:
            categorical *= c
        else:
            other *= c
        if held is not None:
            active.append(c)
    return FrameScores(
        joint=joint,
        average=sum(active) / len(active) if active else None,
        joint_categorical=categorical,
        joint_other=other,
    )


def exact_joint(reference: Mapping[str, State], hypothesis: Mapping[str, State]) -> bool:
    """Tell whether all slots of all domains are right; any spelling of the reference is.

    A domain without a filled slot is the same as no domain.
    """
    filled = {(d, s): v for d, state in reference.items() for s, v in state.items()}
    found = {(d, s): v for d, state in hypothesis.items() for s, v in state.items()}
    return filled.keys() == found.keys() and all(
        found[key][0] in spellings for key, spellings in filled.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class F1:
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def requested_f1(reference: Iterable[str], hypothesis: Iterable[str]) -> F1:
    """Score the requested slots of a frame; nothing predicted is precise, nothing to find found."""
    wanted, found = Counter(reference), Counter(hypothesis)
    hits = (wanted & found).total()
    return F1(
        precision=hits / found.total() if found else 1.0,
        recall=hits / wanted.total() if wanted else 1.0,
    )


@dataclass(slots=True)
class SlotCounts:
    """Counts of slot-value pairs over turns, from which the micro-averaged slot F1 comes."""

    right: int = 0
    found: int = 0
    wanted: int = 0

    def add(self, reference: Mapping[str, State], hypothesis: Mapping[str, State]) -> None:
        """Count one turn's states, by service."""
        for service in reference.keys() | hypothesis.keys():
            wanted, found = reference.get(service, {}), hypothesis.get(service, {})
            self.wanted += len(wanted)
            self.found += len(found)
            self.right += sum(
                1 for slot, value in found.items() if value[0] in wanted.get(slot, ())
            )

    @property
    def scores(self) -> F1:
        """Precision and recall of all that was counted."""
        return F1(
            precision=self.right / self.found if self.found else 1.0,
            recall=self.right / self.wanted if self.wanted else 1.0,
        )


def relative_slot_accuracy(
    reference: Mapping[str, State], hypothesis: Mapping[str, State]
) -> float | None:
    """Return the share of right slots among those that either fills (arXiv 2203.03123).

    None where neither fills any, since such a turn says nothing.
    """
    wanted = {(d, s): v for d, state in reference.items() for s, v in state.items()}
    found = {(d, s): v for d, state in hypothesis.items() for s, v in state.items()}
    named = wanted.keys() | found.keys()
    if not named:
        return None
    right = sum(1 for key in wanted.keys() & found.keys() if found[key][0] in wanted[key])
    return right / len(named)
