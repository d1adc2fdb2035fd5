"""Training of prefix discriminators (FUDGE, arXiv 2104.05218) and of rewards (arXiv 2310.09520).

In two steps. A teacher, linear in the state after a prefix, learns the label of the whole text from
every prefix. The head then learns, one token ahead, what the teacher will say: of the tokens that
stand in the texts and of others that the decoder could have written there, since a candidate that
is never seen would never be scored right. Letters: `n` prefixes, `c` hidden size, `v` vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from llm.training.calibration import best_temperature, metric_of
from llm.training.gru_discriminator import GRUModule, fit_gru
from llm.training.head_kind import HeadKind
from llm.training.prefix_data import PrefixData

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorPlan:
    """How a head is trained.

    `decay` is AdamW's (arXiv 1711.05101), `label_weight` that of the labels beside the teacher.
    """

    kind: HeadKind = "bilinear"
    rank: int = 48
    seed: int = 0
    steps: int = 1500
    batch: int = 1024
    rate: float = 2e-3
    decay: float = 10.0
    label_weight: float = 0.3
    explored: int = 1000

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= 512:
            raise ValueError(f"rank must be in [1, 512], got {self.rank}")
        if min(self.steps, self.batch, self.explored) < 1:
            raise ValueError("steps, batch and explored must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedHead:
    """Tensors as `llm.head_store` reads them, and what was measured on held-out texts."""

    tensors: Arrays
    metric: Mapping[str, Any]


def train_head(
    data: PrefixData,
    embedding: Float32[np.ndarray, "v c"],
    plan: DiscriminatorPlan,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> TrainedHead:
    """Train a head of a kind; the same data and plan give the same tensors on one machine."""
    generator = torch.Generator().manual_seed(plan.seed)
    scale = _Scale.of(data)
    teacher = _fit_teacher(data, scale, plan, generator)
    rows = torch.from_numpy(embedding)
    if plan.kind == "gru":
        module = fit_gru(
            data,
            _said(teacher, scale, data.observed.pairs.after).numpy(),
            rows,
            seed=plan.seed,
            on_progress=on_progress,
        )
        return _finished(data, *_gru_parts(module, data, rows))
    student = _Student(scale, rows, plan, generator)
    student.learn(data, teacher, on_progress)
    return _finished(data, *student.parts(data))


def _finished(data: PrefixData, tensors: Arrays, scores: Float64[np.ndarray, " n"]) -> TrainedHead:
    """Calibrate on held-out prefixes; `tensors` that make the logit are marked by `_OUTPUTS`."""
    held = data.observed.is_held_out
    factor = best_temperature(scores[held], data.observed.labels[held])
    for name in _OUTPUTS & set(tensors):
        tensors[name] = tensors[name] * np.float32(factor)
    metric = metric_of(data.observed, scores * factor)
    metric["calibration_factor"] = round(factor, 3)
    return TrainedHead(
        tensors={name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()},
        metric=metric,
    )


_OUTPUTS = {"query", "query_bias", "token", "prefix", "bias", "output"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Makes each coordinate of a state one of mean 0 and deviation 1."""

    mean: Float[Tensor, " c"]
    deviation: Float[Tensor, " c"]

    @classmethod
    def of(cls, data: PrefixData) -> "_Scale":
        states = torch.from_numpy(data.observed.pairs.after)
        return cls(mean=states.mean(0), deviation=states.std(0) + 1e-3)

    def __call__(self, states: Float32[np.ndarray, "n c"]) -> Float[Tensor, "n c"]:
        return (torch.from_numpy(states) - self.mean) / self.deviation


def _fit_teacher(
    data: PrefixData, scale: _Scale, plan: DiscriminatorPlan, generator: torch.Generator
) -> torch.nn.Linear:
    observed = data.observed
    learnt = np.flatnonzero(~observed.is_held_out)
    teacher = torch.nn.Linear(observed.pairs.after.shape[1], 1)
    with torch.no_grad():
        teacher.weight.zero_()
        teacher.bias.zero_()
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=3e-3, weight_decay=_TEACHER_DECAY)
    labels, weights = torch.from_numpy(observed.labels), torch.from_numpy(observed.weights)
    for _ in range(_TEACHER_EPOCHS):
        order = learnt[torch.randperm(len(learnt), generator=generator).numpy()]
        for start in range(0, len(order), 2 * plan.batch):
            rows = order[start : start + 2 * plan.batch]
            said = teacher(scale(observed.pairs.after[rows]))[:, 0]
            losses = F.binary_cross_entropy_with_logits(said, labels[rows], reduction="none")
            loss = (losses * weights[rows]).sum() / weights[rows].sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    held = observed.is_held_out
    said = _said(teacher, scale, observed.pairs.after[held]).numpy().astype(np.float64)
    factor = best_temperature(said, observed.labels[held])
    with torch.no_grad():
        teacher.weight.mul_(factor)
        teacher.bias.mul_(factor)
    return teacher


_TEACHER_EPOCHS = 20
_TEACHER_DECAY = 1.0


def _said(
    teacher: torch.nn.Linear, scale: _Scale, states: Float32[np.ndarray, "n c"]
) -> Float[Tensor, " n"]:
    with torch.inference_mode():
        parts = [teacher(scale(states[i : i + _PART]))[:, 0] for i in range(0, len(states), _PART)]
    return torch.cat(parts).clone()


class _Student:
    """The bilinear head while it learns, over standardised states and embeddings."""

    def __init__(
        self,
        scale: _Scale,
        embedding: Float[Tensor, "v c"],
        plan: DiscriminatorPlan,
        generator: torch.Generator,
    ) -> None:
        width = embedding.shape[1]
        self._plan, self._scale, self._generator = plan, scale, generator
        self._spread = embedding.std()
        self._embedding = embedding
        self.query = torch.randn(plan.rank, width, generator=generator) * _QUERY_SPREAD
        self.query_bias = torch.zeros(plan.rank)
        self.key = torch.randn(plan.rank, width, generator=generator) * _KEY_SPREAD
        self.token, self.prefix = torch.zeros(width), torch.zeros(width)
        self.bias = torch.zeros(())
        for weight in self._weights():
            weight.requires_grad_()

    def _weights(self) -> list[Tensor]:
        return [self.query, self.query_bias, self.key, self.token, self.prefix, self.bias]

    def logits(
        self, states: Float[Tensor, "n c"], token_ids: Int64[np.ndarray, " n"]
    ) -> Float[Tensor, " n"]:
        """Return s for pairs of a standardised state and a token."""
        embedded = self._embedding[torch.from_numpy(token_ids)] / self._spread
        met = (states @ self.query.T + self.query_bias) * (embedded @ self.key.T)
        return met.sum(1) + embedded @ self.token + states @ self.prefix + self.bias

    def learn(
        self,
        data: PrefixData,
        teacher: torch.nn.Linear,
        on_progress: Callable[[int, int], None],
    ) -> None:
        """Follow the teacher on observed and explored pairs, and the labels on observed ones."""
        plan, observed, explored = self._plan, data.observed, data.explored
        seen = np.flatnonzero(~observed.is_held_out)
        wish_seen = torch.sigmoid(_said(teacher, self._scale, observed.pairs.after))
        wish_tried = torch.sigmoid(_said(teacher, self._scale, explored.after))
        labels, weights = torch.from_numpy(observed.labels), torch.from_numpy(observed.weights)
        optimiser = torch.optim.AdamW(self._weights(), lr=plan.rate, weight_decay=plan.decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
        half = plan.batch // 2
        for step in range(plan.steps):
            a = seen[torch.randint(len(seen), (half,), generator=self._generator).numpy()]
            b = torch.randint(len(explored.token_ids), (half,), generator=self._generator).numpy()
            states = np.concatenate([observed.pairs.before[a], explored.before[b]])
            tokens = np.concatenate([observed.pairs.token_ids[a], explored.token_ids[b]])
            said = self.logits(self._scale(states), tokens)
            loss = self._losses(said, torch.cat([wish_seen[a], wish_tried[b]])).mean()
            by_label = self._losses(said[:half], labels[a])
            loss += plan.label_weight * (by_label * weights[a]).sum() / weights[a].sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            on_progress(step + 1, plan.steps)

    def _losses(self, said: Float[Tensor, " n"], wish: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        if self._plan.kind == "reward":
            return (torch.sigmoid(said) - wish) ** 2
        return F.binary_cross_entropy_with_logits(said, wish, reduction="none")

    def parts(self, data: PrefixData) -> tuple[Arrays, Float64[np.ndarray, " n"]]:
        """Return the weights for states and embeddings as they are, and the observed scores."""
        pairs = data.observed.pairs
        with torch.inference_mode():
            scores = torch.cat(
                [
                    self.logits(self._scale(pairs.before[rows]), pairs.token_ids[rows])
                    for rows in np.array_split(
                        np.arange(len(pairs.token_ids)), 1 + len(pairs.token_ids) // _PART
                    )
                ]
            )
            mean, deviation = self._scale.mean, self._scale.deviation
            query, prefix = self.query / deviation, self.prefix / deviation
            tensors = {
                "query": query,
                "query_bias": self.query_bias - query @ mean,
                "key": self.key / self._spread,
                "token": self.token / self._spread,
                "prefix": prefix,
                "bias": (self.bias - prefix @ mean).reshape(1),
            }
            return {name: t.numpy() for name, t in tensors.items()}, scores.double().numpy()


_PART = 8192  # rows at a time, where nothing is learnt
_QUERY_SPREAD = 0.03
_KEY_SPREAD = 0.05


def _gru_parts(
    module: GRUModule, data: PrefixData, embedding: Float[Tensor, "v c"]
) -> tuple[Arrays, Float64[np.ndarray, " n"]]:
    return module.arrays(), module.scores(data.passages, embedding)
