"""The rule that turns what was found into a probability that it answers the question.

Logistic in a few features, calibrated by a temperature. `DEFAULT_GATE` was fitted on 70 development
questions about Python (40 that its reference answers, 30 that it does not; `docs/log.md`) and
calls itself uncalibrated elsewhere; `fit_gate` makes one for a collection from its own questions.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from rag.errors import GateError
from rag.logistic import fit_logistic, sigmoid

MIN_EXAMPLES_OF_EACH = 10
NEVER = 2.0  # above any probability
_NUM_FOLDS = 5
_RIDGE = 1.0  # in units of standardised features
_TEMPERATURES = tuple(1.15**step for step in range(-10, 16))
_MAX_LOGIT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFeatures:
    """What is looked at; all that is not there is 0.

    `nearest` is the cosine of the nearest chunk, `gap` how far the first passage's score is above
    the fifth's, `agreement` the share of the term lane's best score that the first passage has
    beside its cosine, `unknown` the share of the question's term weight that occurs nowhere in the
    collection, `cover` the share that the best passage holds, `missing_name` 1 where a capitalised
    word of the question stands in none of the best passages. `likelihood` is that of
    `rag.question_likelihood`, where a model was asked.
    """

    nearest: float = 0.0
    gap: float = 0.0
    agreement: float = 0.0
    unknown: float = 0.0
    cover: float = 0.0
    missing_name: float = 0.0
    likelihood: float = 0.0

    def __post_init__(self) -> None:
        for name in FEATURES:
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")


FEATURES = tuple(one.name for one in fields(GateFeatures))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateExample:
    """Features of a question whose answer is known to be in the collection, or not to be."""

    features: GateFeatures
    is_answerable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateModel:
    """p = 1 / (1 + exp(-(weights . features + bias) / temperature)); ANSWER where p >= threshold.

    `is_calibrated` says that it was fitted on questions to the collection at hand. CLARIFY where an
    answerable question is underspecified with at least `clarify_threshold`: never by default, since
    those odds are not fitted, and "What does the with statement do?" would be asked back.
    """

    weights: Mapping[str, float] = field(hash=False)
    bias: float
    temperature: float = 1.0
    threshold: float = 0.5
    clarify_threshold: float = NEVER
    is_calibrated: bool = False

    def __post_init__(self) -> None:
        strange = sorted(self.weights.keys() - set(FEATURES))
        if strange:
            raise ValueError(f"a gate weighs {', '.join(FEATURES)}; it knows no {strange[0]!r}")
        numbers = [*self.weights.values(), self.bias, self.temperature]
        if not all(map(math.isfinite, numbers)) or self.temperature <= 0:
            raise ValueError(
                "a gate needs finite weights and a temperature above 0, got"
                f" {self.temperature} and {dict(self.weights)}; fit it anew"
            )
        if not (0 < self.threshold < 1 and 0 < self.clarify_threshold <= NEVER):
            raise ValueError(f"a threshold must be in (0, 1), got {self.threshold}")

    @property
    def asks_model(self) -> bool:
        """Whether it needs the likelihood, for which the chat model reads the best passage."""
        return "likelihood" in self.weights

    def p_answerable(self, features: GateFeatures) -> float:
        """Return the probability that a question with these features is answered."""
        z = sum(weight * getattr(features, name) for name, weight in self.weights.items())
        return _sigmoid((z + self.bias) / self.temperature)

    def to_json(self) -> str:
        """Return the gate as a text that `from_json` reads."""
        return json.dumps(
            {
                "weights": dict(self.weights),
                "bias": self.bias,
                "temperature": self.temperature,
                "threshold": self.threshold,
                "clarify_threshold": self.clarify_threshold,
                "is_calibrated": self.is_calibrated,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "GateModel":
        """Read what `to_json` wrote.

        Raises:
            GateError: it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(**{**values, "weights": {k: float(v) for k, v in values["weights"].items()}})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise GateError(f"this is no gate of a collection: {error}; fit it anew") from error


DEFAULT_GATE = GateModel(
    weights={"nearest": 12.78, "unknown": -2.80, "missing_name": -2.51}, bias=-3.91
)


def shipped_gate(_: str) -> GateModel:
    """Return the gate of a collection that has none of its own."""
    return DEFAULT_GATE


def fit_gate(examples: Sequence[GateExample]) -> GateModel:
    """Fit a gate on questions of both kinds; the same examples in the same order give the same one.

    Weights by ridge-penalised logistic regression; temperature and threshold on predictions for
    examples that were left out, every fifth one at a time.

    Raises:
        GateError: there are too few of a kind to fit on.
    """
    truth = np.array([example.is_answerable for example in examples], np.float64)
    fewest = int(min(truth.sum(), len(truth) - truth.sum()))
    if fewest < MIN_EXAMPLES_OF_EACH:
        raise GateError(
            f"a gate is fitted on at least {MIN_EXAMPLES_OF_EACH} questions that the collection"
            f" answers and as many that it does not; of one kind there are {fewest}: add some"
        )
    rows = np.array([astuple(example.features) for example in examples], np.float64)
    folds = _folds(truth)
    logits = np.empty(len(truth))
    for fold in range(_NUM_FOLDS):
        kept = folds != fold
        logits[~kept] = fit_logistic(rows[kept], truth[kept], ridge=_RIDGE).logits(rows[~kept])
    temperature = min(_TEMPERATURES, key=lambda t: _loss(logits / t, truth))
    model = fit_logistic(rows, truth, ridge=_RIDGE)
    return GateModel(
        weights={name: float(w) for name, w in zip(FEATURES, model.weights, strict=True) if w},
        bias=model.bias,
        temperature=temperature,
        threshold=_threshold(logits / temperature, truth),
        is_calibrated=True,
    )


def _folds(truth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return a fold for each, the same share of both kinds in all of them."""
    folds = np.empty(len(truth))
    for kind in (0.0, 1.0):
        of_kind = np.flatnonzero(truth == kind)
        folds[of_kind] = np.arange(len(of_kind)) % _NUM_FOLDS
    return folds


def _loss(logits: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"]) -> float:
    return float(np.mean(np.logaddexp(0, logits) - truth * logits))


def _threshold(logits: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"]) -> float:
    """Return the probability that tells both kinds apart best, both counting the same."""
    p = sigmoid(logits)
    candidates = np.unique(np.clip(p, 0.05, 0.95))
    right = [p[truth == 1] >= at for at in candidates]
    told = [p[truth == 0] < at for at in candidates]
    balanced = [yes.mean() + no.mean() for yes, no in zip(right, told, strict=True)]
    return float(candidates[int(np.argmax(balanced))])


def _sigmoid(z: float) -> float:
    z = min(max(z, -_MAX_LOGIT), _MAX_LOGIT)
    return 1 / (1 + math.exp(-z))
