"""Decisions of a tracker beside what the corpus says, and their calibration on other dialogues."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dialog.evaluation.hypothesis import Decision
from dialog.evaluation.text_match import token_sort_ratio
from dialog.evaluation.tracking_metrics import State
from dialog.tracker.calibration import Outcome, fit

_ALIKE = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDecision:
    """A decision, whether it was right, and whether anything was to be, or was, decided.

    `is_change`: the reference's value differs from the turn before, or the tracker changes it.
    """

    decision: Decision
    is_right: bool
    is_change: bool
    dialogue: str
    turn: int


def judged(
    decision: Decision,
    before: Mapping[str, State],
    now: Mapping[str, State],
    *,
    dialogue: str = "",
    turn: int = 0,
) -> JudgedDecision:
    """Judge a decision by the states before and after the turn.

    "As it was" is right where the reference did not change; a value, where the reference holds it.
    """
    old = before.get(decision.service, {}).get(decision.slot)
    new = now.get(decision.service, {}).get(decision.slot)
    changed = new is not None and (old is None or old[0] != new[0])
    if decision.value is None:
        is_right = not changed
    else:
        is_right = new is not None and any(
            token_sort_ratio(spelling, decision.value) >= _ALIKE for spelling in new
        )
    return JudgedDecision(
        decision=decision,
        is_right=is_right,
        is_change=changed or decision.value is not None,
        dialogue=dialogue,
        turn=turn,
    )


def cross_calibrated(
    decisions: Sequence[JudgedDecision], *, only_changes: bool = True, folds: int = 2
) -> list[JudgedDecision]:
    """Return the decisions with probabilities calibrated on dialogues of the other folds.

    A dialogue's fold is by a hash of its id. With `only_changes` the map is fitted on the decisions
    in which something changes, and holds for those: a probability under the condition that the slot
    is touched. Without, it is fitted on all, of which nine in ten are "as it was".

    Raises:
        ValueError: a fold would have nothing to be fitted on.
    """
    by_fold: dict[int, list[JudgedDecision]] = {k: [] for k in range(folds)}
    for one in decisions:
        by_fold[_fold(one.dialogue, folds)].append(one)
    found = []
    for k, own in by_fold.items():
        others = [d for other, part in by_fold.items() if other != k for d in part]
        calibrate = fit(
            [
                Outcome(p=d.decision.p, is_right=d.is_right, evidence=d.decision.evidence)
                for d in others
                if d.is_change or not only_changes
            ]
        )
        found += [
            replace(d, decision=replace(d.decision, p=calibrate(d.decision.p, d.decision.evidence)))
            for d in own
        ]
    return found


def _fold(dialogue: str, folds: int) -> int:
    return hashlib.blake2b(dialogue.encode(), digest_size=2).digest()[0] % folds
