"""A gate from the questions of a set, and what it is worth on documents it was not fitted on.

Each question that the collection answers is asked twice: as it is, and with the documents that
answer it held out, which makes it a question that the collection does not answer. So both kinds
have the same words, and only what is found tells them apart. Figures are of folds of documents:
each question is decided by a gate that was fitted without any question to its document.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.errors import GateError
from rag.evaluation_set import EvaluationItem
from rag.gate_model import DEFAULT_GATE, GateExample, GateFeatures, GateModel, fit_gate
from rag.metrics import Interval, auroc_interval, calibration_error

MAX_HELD_OUT = 5  # documents; what stands in more is no property of one of them
NUM_FOLDS = 5

FeaturesOf = Callable[[EvaluationItem], GateFeatures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question's features, whether it is answered, and its document; tied ones share a name."""

    example: GateExample
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """What a gate is worth: its order, its probabilities, and its decisions of both kinds.

    `auroc` is the chance that an answerable question has the higher probability of two;
    `calibration_error` is over ten bins.
    """

    auroc: Interval
    calibration_error: float
    num_answered: int
    num_answerable: int
    num_abstained: int
    num_unanswerable: int

    @property
    def balanced_accuracy(self) -> float:
        """The share of right decisions, both kinds counting the same."""
        answered = self.num_answered / self.num_answerable
        return (answered + self.num_abstained / self.num_unanswerable) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFit:
    """A gate fitted on all questions, its figures on documents left out, and another's beside."""

    gate: GateModel
    fitted: GateFigures
    present: GateFigures

    @property
    def is_better(self) -> bool:
        """Whether it decides more questions right than the present one."""
        return self.fitted.balanced_accuracy > self.present.balanced_accuracy


def judged(items: Sequence[EvaluationItem], features_of: FeaturesOf) -> Iterator[Judged]:
    """Yield the examples of each question, with what is found without what it holds out."""
    groups = _groups(items)
    for item in items:
        document = groups.get(next(iter(_documents(item)), ""), item.id)
        for variant in (item, *_without_its_documents(item)):
            features = features_of(variant)
            example = GateExample(features=features, is_answerable=variant.answerable)
            yield Judged(example=example, document=document)


def fit(examples: Sequence[Judged], *, seed: int, present: GateModel = DEFAULT_GATE) -> GateFit:
    """Fit a gate; `seed` is of the bootstrap.

    Raises:
        GateError: there are too few examples of a kind, in all or in a fold.
    """
    p, told = left_out([one.example for one in examples], [one.document for one in examples])
    truth = [one.example.is_answerable for one in examples]
    now = [present.p_answerable(one.example.features) for one in examples]
    return GateFit(
        gate=fit_gate([one.example for one in examples]),
        fitted=_figures(p, told, truth, seed),
        present=_figures(now, [one >= present.threshold for one in now], truth, seed),
    )


def left_out(
    examples: Sequence[GateExample], groups: Sequence[str], *, num_folds: int = NUM_FOLDS
) -> tuple[list[float], list[bool]]:
    """Return each one's probability and decision by a gate that was fitted on other groups.

    Raises:
        GateError: all are of one group, or without a fold there are too few examples of a kind.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise GateError("a gate is fitted on questions to at least two documents; there is one")
    fold_of = {name: i % num_folds for i, name in enumerate(names)}
    folds = np.array([fold_of[name] for name in groups])
    p, told = [0.0] * len(examples), [False] * len(examples)
    for number in sorted(set(folds.tolist())):
        gate = fit_gate([one for one, at in zip(examples, folds, strict=True) if at != number])
        for i in np.flatnonzero(folds == number).tolist():
            p[i] = gate.p_answerable(examples[i].features)
            told[i] = p[i] >= gate.threshold
    return p, told


def _documents(item: EvaluationItem) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(one.uri for one in item.relevant), *item.held_out]))


def _groups(items: Sequence[EvaluationItem]) -> dict[str, str]:
    """Return for each document the first of those that questions to several tie it to."""
    first: dict[str, str] = {}
    for item in items:
        names = {first.get(one, one) for one in _documents(item)}
        if not names:
            continue
        root = min(names)
        first.update(dict.fromkeys(_documents(item), root))
        first.update({one: root for one, name in first.items() if name in names})
    return first


def _without_its_documents(item: EvaluationItem) -> Iterator[EvaluationItem]:
    documents = {one.uri for one in item.relevant}
    if item.answerable and len(documents) <= MAX_HELD_OUT:
        held_out = (*item.held_out, *sorted(documents))
        yield replace(item, answerable=False, relevant=(), answers=(), held_out=held_out)


def _figures(
    p: Sequence[float], told: Sequence[bool], truth: Sequence[bool], seed: int
) -> GateFigures:
    answered = [one for one, is_yes in zip(told, truth, strict=True) if is_yes]
    abstained = [not one for one, is_yes in zip(told, truth, strict=True) if not is_yes]
    return GateFigures(
        auroc=auroc_interval(p, truth, seed=seed),
        calibration_error=calibration_error(p, truth),
        num_answered=sum(answered),
        num_answerable=len(answered),
        num_abstained=sum(abstained),
        num_unanswerable=len(abstained),
    )
