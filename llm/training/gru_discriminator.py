"""The GRU alternative (FUDGE has an LSTM): it reads the tokens and not the decoder's states.

Letters: `n` prefixes, `b` texts, `t` positions, `v` vocabulary, `c` width of an embedding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from llm.training.frozen_decoder import Passage
from llm.training.prefix_data import PrefixData

_WIDTH = 64
_EPOCHS = 8
_BATCH = 64
_RATE = 3e-3
_DECAY = 0.1
_LABELS = 0.5


class GRUModule(nn.Module):
    """Projection of frozen embeddings, one GRU layer, one logit for each prefix."""

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.projection = nn.Linear(width, _WIDTH, bias=False)
            self.dropout = nn.Dropout(0.3)
            self.gru = nn.GRU(_WIDTH, _WIDTH, batch_first=True)
            self.output = nn.Linear(_WIDTH, 1)

    def forward(self, embedded: Float[Tensor, "b t c"]) -> Float[Tensor, "b t"]:
        """Return the logit after each token."""
        states, _ = self.gru(self.dropout(self.projection(embedded)))
        return torch.squeeze(self.output(states), -1)

    def arrays(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return the weights by the names of `llm.prefix_scorer.GRUWeights`."""
        named = {
            "projection": self.projection.weight,
            "into": self.gru.get_parameter("weight_ih_l0"),
            "into_bias": self.gru.get_parameter("bias_ih_l0"),
            "recurrent": self.gru.get_parameter("weight_hh_l0"),
            "recurrent_bias": self.gru.get_parameter("bias_hh_l0"),
            "start": torch.zeros(_WIDTH),
            "output": self.output.weight[0],
            "bias": self.output.bias,
        }
        return {name: tensor.detach().numpy().copy() for name, tensor in named.items()}

    def scores(
        self, passages: Sequence[Passage], embedding: Float[Tensor, "v c"]
    ) -> Float64[np.ndarray, " n"]:
        """Return a logit for each prefix of the texts, one passage after the other."""
        self.eval()
        found = []
        with torch.inference_mode():
            for start in range(0, len(passages), _BATCH):
                ids, is_text = _padded(passages[start : start + _BATCH])
                found.append(self(embedding[ids])[is_text].double().numpy())
        return np.concatenate(found)


def fit_gru(
    data: PrefixData,
    teacher: Float32[np.ndarray, " n"],
    embedding: Float[Tensor, "v c"],
    *,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> GRUModule:
    """Train on the labels and on what the teacher says of each prefix."""
    observed = data.observed
    module = GRUModule(embedding.shape[1], seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=_RATE, weight_decay=_DECAY)
    ends = np.cumsum([len(passage.text) for passage in data.passages])
    is_held_out = observed.is_held_out[ends - 1]
    learnt = np.flatnonzero(~is_held_out)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module.train()
        for epoch in range(_EPOCHS):
            order = rng.permutation(learnt)
            for start in range(0, len(order), _BATCH):
                group = order[start : start + _BATCH].tolist()
                rows = np.concatenate(
                    [np.arange(ends[i] - len(data.passages[i].text), ends[i]) for i in group]
                )
                ids, is_text = _padded([data.passages[i] for i in group])
                said = module(embedding[ids])[is_text]
                weights = torch.from_numpy(observed.weights[rows])
                labels = torch.from_numpy(observed.labels[rows])
                wish = torch.sigmoid(torch.from_numpy(teacher[rows]))
                target = _LABELS * labels + (1 - _LABELS) * wish
                losses = F.binary_cross_entropy_with_logits(said, target, reduction="none")
                optimiser.zero_grad()
                loss = (losses * weights).sum() / weights.sum()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            on_progress(epoch + 1, _EPOCHS)
    return module


def _padded(
    passages: Sequence[Passage],
) -> tuple[Int64[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """Return contexts and texts side by side, and which positions are of texts."""
    longest = max(len(one.context) + len(one.text) for one in passages)
    ids = torch.zeros(len(passages), longest, dtype=torch.int64)
    is_text = torch.zeros(len(passages), longest, dtype=torch.bool)
    for i, one in enumerate(passages):
        read = len(one.context)
        ids[i, : read + len(one.text)] = torch.tensor([*one.context, *one.text])
        is_text[i, read : read + len(one.text)] = True
    return ids, is_text
