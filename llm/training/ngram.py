"""From plain texts to an n-gram model on the disk with its card."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm.decoding.ngram_model import MAX_ENTRIES, MAX_ORDER, NGramModel
from llm.errors import TrainingDataError
from llm.training.head_file import write_head
from llm.unembedding import Unembedding

_HELD_OUT = 0.1
_LEAST_TOKENS = 100
_MOST_TRIED = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class NGramPlan:
    """Which n-gram model of which files."""

    paths: tuple[Path, ...]
    order: int = 3
    max_entries: int = 300_000

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("no text file is given")
        if not 1 <= self.order <= MAX_ORDER:
            raise ValueError(f"the order must be in [1, {MAX_ORDER}], got {self.order}")
        if not 1 <= self.max_entries <= MAX_ENTRIES:
            raise ValueError(
                f"the entries to keep must be in [1, {MAX_ENTRIES}], got {self.max_entries}"
            )

    def texts(self) -> list[str]:
        """Read the files.

        Raises:
            TrainingDataError: one cannot be read.
        """
        return [_read(path) for path in self.paths]


def train_ngram(
    encode: Callable[[str], Sequence[int]],
    unembedding: Unembedding,
    plan: NGramPlan,
    *,
    folder: Path,
    name: str,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Count the first nine tenths of each file, try the model on the rest, write it.

    `encode` is the tokenizer of the model that `unembedding` belongs to. Returns the card; `about`
    goes into it as it is.

    Raises:
        TrainingDataError: a file that cannot be read, or too little text.
        OSError: the folder cannot be written.
    """
    texts = [list(encode(text)) for text in plan.texts()]
    num_tokens = sum(map(len, texts))
    if num_tokens < _LEAST_TOKENS:
        raise TrainingDataError(
            f"the files have {num_tokens} tokens and at least {_LEAST_TOKENS} are needed"
        )
    edges = [math.ceil(len(text) * (1 - _HELD_OUT)) for text in texts]
    model = NGramModel.fit(
        [text[:edge] for text, edge in zip(texts, edges, strict=True)],
        order=plan.order,
        vocab_size=unembedding.size,
        max_entries=plan.max_entries,
    )
    card = {
        "kind": "ngram",
        **about,
        "data": [path.name for path in plan.paths],
        "order": plan.order,
        "entries": model.num_entries,
        "tokens": sum(edges),
        "metric": {"perplexity": _perplexity(model, texts, edges)},
        "split": "the last tenth of each file was held out",
    }
    write_head(folder, name, model.tensors(), card, unembedding)
    return {"name": name, **card}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"the text {path.name} cannot be read: {error}") from None


def _perplexity(
    model: NGramModel, texts: Sequence[Sequence[int]], edges: Sequence[int]
) -> float | None:
    """Return that of what was held out, of the first few thousand tokens; None if nothing was."""
    width = model.order - 1
    total, count = 0.0, 0
    for text, edge in zip(texts, edges, strict=True):
        for i in range(edge, min(len(text), edge + _MOST_TRIED - count)):
            context = text[max(0, i - width) : i]
            total -= float(model.log_probs(context, np.array([text[i]]))[0])
            count += 1
    return round(math.exp(total / count), 1) if count else None
