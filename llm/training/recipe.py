"""From labelled files to a head on the disk with its card, in one call.

The card holds base names of files only: it must not tell where on a machine they were.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llm.errors import TrainingDataError
from llm.training.discriminators import DiscriminatorPlan, train_head
from llm.training.frozen_decoder import FrozenDecoder
from llm.training.head_file import write_head
from llm.training.labelled_texts import DataFormat, LabelledText, part_of, read_labelled
from llm.training.prefix_data import read_prefixes
from llm.unembedding import Unembedding

Stage = Callable[[str, int, int], None]
_LEAST_TEXTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChoice:
    """Which texts a head is trained on.

    `share` keeps those whose hash says so, so that a judge may use the others; `most` then keeps so
    many, half of each kind where there are enough.
    """

    paths: tuple[Path, ...]
    label: str
    against: str | None = None
    data_format: DataFormat = "auto"
    is_ascii_only: bool = False
    share: float = 1.0
    most: int | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("no file of labelled texts is given")
        if not 0 < self.share <= 1:
            raise ValueError(f"the share of the texts must be in (0, 1], got {self.share}")
        if self.most is not None and self.most < _LEAST_TEXTS:
            raise ValueError(f"at least {_LEAST_TEXTS} texts are needed, got {self.most}")

    def texts(self) -> list[LabelledText]:
        """Read the files.

        Raises:
            TrainingDataError: they cannot be read, or too few texts remain.
        """
        found = read_labelled(
            self.paths,
            label=self.label,
            against=self.against,
            data_format=self.data_format,
            is_ascii_only=self.is_ascii_only,
        )
        found = [one for one in found if part_of(one.text) < self.share]
        if self.most is not None:
            found.sort(key=lambda one: part_of(one.text, "most"))
            half = self.most // 2
            kinds = [[one for one in found if one.is_positive is kind] for kind in (True, False)]
            found = [one for kind in kinds for one in kind[:half]]
            found.sort(key=lambda one: part_of(one.text, "order"))
        if len(found) < _LEAST_TEXTS:
            raise TrainingDataError(
                f"{len(found)} texts remain and at least {_LEAST_TEXTS} are needed"
            )
        return found


def train_discriminator(
    decoder: FrozenDecoder,
    choice: TextChoice,
    plan: DiscriminatorPlan,
    *,
    folder: Path,
    name: str,
    about: Mapping[str, Any],
    on_progress: Stage = lambda *_: None,
) -> dict[str, Any]:
    """Train a head, write it and return its card; `about` goes into the card as it is.

    Raises:
        TrainingDataError: nothing can be learnt from these texts.
        OSError: the folder cannot be written.
    """
    texts = choice.texts()
    data = read_prefixes(
        decoder,
        texts,
        seed=plan.seed,
        explored=plan.explored,
        on_progress=lambda done, total: on_progress("reading", done, total),
    )
    if len(set(data.observed.labels[data.observed.is_held_out].tolist())) < 2:
        raise TrainingDataError("the held-out texts are all of one kind; more texts are needed")
    trained = train_head(
        data,
        decoder.embedding,
        plan,
        on_progress=lambda done, total: on_progress("learning", done, total),
    )
    card = {
        "kind": plan.kind,
        "form": "gru" if plan.kind == "gru" else "bilinear",
        **about,
        "data": [path.name for path in choice.paths],
        "label": choice.label,
        "against": choice.against,
        "ascii_only": choice.is_ascii_only,
        "share": choice.share,
        "split": "by a hash of the text; a judge may use the texts beyond the share",
        "texts": len(texts),
        "metric": dict(trained.metric),
        "seed": plan.seed,
    }
    rows = Unembedding.of_weight(torch.from_numpy(np.ascontiguousarray(decoder.embedding)))
    write_head(folder, name, trained.tensors, card, rows)
    return {"name": name, **card}
