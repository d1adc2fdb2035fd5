"""Training of head adapters: the decoder's head learns to write like the texts of one label.

The decoder is frozen and read once; what is learnt is h -> h + B (A h), by the likelihood of each
next token. The sum over the vocabulary is that over all tokens of the texts and, for the others, an
unbiased estimate from a fresh sample for each batch (arXiv 1412.2007). Letters: `n` positions, `c`
hidden size, `r` rank, `v` vocabulary, `s` tokens of the sum.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from llm.errors import TrainingDataError
from llm.head_adapter import HeadAdapter
from llm.training.frozen_decoder import FrozenDecoder, OnProgress, Passage
from llm.training.head_file import write_head
from llm.training.labelled_texts import part_of
from llm.training.recipe import Stage, TextChoice
from llm.unembedding import Unembedding

_HELD_OUT = 0.1
_MOST_TOKENS = 128  # of one text
_ROWS = 128  # whose logits over the whole vocabulary are held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRecipe:
    """How an adapter is trained; `sampled` tokens stand for those that no text has."""

    rank: int = 16
    epochs: int = 6
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    sampled: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "epochs", "batch_size", "sampled"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """An adapter and the perplexity of texts that it did not see, without it and with it."""

    adapter: HeadAdapter
    perplexity_before: float
    perplexity: float
    num_texts: int
    num_held_out: int
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Positions:
    """States and the tokens that follow them."""

    states: Float[Tensor, "n c"]
    targets: Int[Tensor, " n"]


def train_adapter_head(
    decoder: FrozenDecoder,
    choice: TextChoice,
    recipe: AdapterRecipe,
    *,
    folder: Path,
    name: str,
    about: Mapping[str, Any],
    on_progress: Stage = lambda *_: None,
) -> dict[str, Any]:
    """Train an adapter on the texts of the wanted label, write it and return its card.

    `about` goes into the card as it is.

    Raises:
        TrainingDataError: nothing can be learnt from these texts.
        OSError: the folder cannot be written.
    """
    texts = [one.text for one in choice.texts() if one.is_positive]
    trained = train_adapter(decoder, texts, recipe, on_progress)
    card = {
        "kind": "adapter",
        **about,
        "data": [path.name for path in choice.paths],
        "label": choice.label,
        "ascii_only": choice.is_ascii_only,
        "share": choice.share,
        "split": "by a hash of the text; a judge may use the texts beyond the share",
        "texts": trained.num_texts,
        "tokens": trained.num_tokens,
        "rank": recipe.rank,
        "metric": {
            "held_out_texts": trained.num_held_out,
            "perplexity_before": round(trained.perplexity_before, 2),
            "perplexity": round(trained.perplexity, 2),
        },
        "seed": recipe.seed,
    }
    rows = Unembedding.of_weight(torch.from_numpy(decoder.embedding))
    write_head(folder, name, trained.adapter.tensors(), card, rows)
    return {"name": name, **card}


def train_adapter(
    decoder: FrozenDecoder,
    texts: Sequence[str],
    recipe: AdapterRecipe,
    on_progress: Stage = lambda *_: None,
) -> TrainedAdapter:
    """Return the adapter of the epoch that is best on a tenth of the texts, which it never saw.

    Raises:
        TrainingDataError: the texts are too few to hold a tenth back.
    """
    kept = [text for text in texts if part_of(text, "adapter") >= _HELD_OUT]
    held_out = [text for text in texts if part_of(text, "adapter") < _HELD_OUT]
    if not (kept and held_out):
        raise TrainingDataError(f"{len(texts)} texts are too few to train and to try an adapter")
    seen = _read(decoder, kept, lambda done, total: on_progress("reading", done, total))
    unseen = _read(decoder, held_out)
    head = torch.from_numpy(decoder.embedding)
    torch.manual_seed(recipe.seed)
    width = head.shape[1]
    down = (torch.randn(recipe.rank, width) / width**0.5).requires_grad_()
    up = torch.zeros(width, recipe.rank).requires_grad_()  # at first nothing changes
    optimiser = torch.optim.AdamW(
        [down, up], lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    before = best = _loss_on_all(head, unseen, down, up)
    found = _adapter(down, up)
    for epoch in range(recipe.epochs):
        for batch, tokens, weights in _batches(seen, len(head), recipe):
            changed = batch.states + (batch.states @ down.T) @ up.T
            logits = changed @ head[tokens].T + weights
            loss = F.cross_entropy(logits, batch.targets)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if (loss_now := _loss_on_all(head, unseen, down, up)) < best:
            best, found = loss_now, _adapter(down, up)
        on_progress("learning", epoch + 1, recipe.epochs)
    return TrainedAdapter(
        adapter=found,
        perplexity_before=math.exp(before),
        perplexity=math.exp(best),
        num_texts=len(kept),
        num_held_out=len(held_out),
        num_tokens=len(seen.targets),
    )


def _read(
    decoder: FrozenDecoder, texts: Sequence[str], on_progress: OnProgress = lambda *_: None
) -> _Positions:
    start = min(decoder.tokenizer.eos_ids)
    passages = [
        Passage(context=(start,), text=tuple(ids[:_MOST_TOKENS]))
        for ids in map(decoder.tokenizer.encode, texts)
        if ids
    ]
    states = [found[:-1] for found in decoder.states(passages, on_progress)]
    targets = [token for passage in passages for token in passage.text]
    return _Positions(
        states=torch.from_numpy(np.concatenate(states)), targets=torch.tensor(targets)
    )


def _batches(
    positions: _Positions, vocab_size: int, recipe: AdapterRecipe
) -> Iterator[tuple[_Positions, Int[Tensor, " s"], Float[Tensor, " s"]]]:
    """Yield batches, the tokens of their sums and what each stands for, as a logarithm.

    Targets are given as places among those tokens.
    """
    own, places = map(torch.from_numpy, np.unique(positions.targets, return_inverse=True))
    is_other = torch.ones(vocab_size, dtype=torch.bool)
    is_other[own] = False
    others = is_other.nonzero()[:, 0]
    size = min(recipe.sampled, len(others))
    weights = torch.zeros(len(own) + size)
    if size:
        weights[len(own) :] = math.log(len(others) / size)
    shuffled = replace(positions, targets=places)
    for rows in torch.split(torch.randperm(len(places)), recipe.batch_size):
        sample = others[torch.randperm(len(others))[:size]]
        batch = _Positions(states=shuffled.states[rows], targets=shuffled.targets[rows])
        yield batch, torch.cat([own, sample]), weights


@torch.no_grad()
def _loss_on_all(
    head: Float[Tensor, "v c"],
    positions: _Positions,
    down: Float[Tensor, "r c"],
    up: Float[Tensor, "c r"],
) -> float:
    """Return the mean of -log p over the whole vocabulary."""
    total = 0.0
    for states, targets in zip(
        torch.split(positions.states, _ROWS), torch.split(positions.targets, _ROWS), strict=True
    ):
        logits = (states + (states @ down.T) @ up.T) @ head.T
        total += float(F.cross_entropy(logits, targets, reduction="sum"))
    return total / len(positions.targets)


def _adapter(down: Float[Tensor, "r c"], up: Float[Tensor, "c r"]) -> HeadAdapter:
    return HeadAdapter(down=down.detach().numpy().copy(), up=up.detach().numpy().copy())
