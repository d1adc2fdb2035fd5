"""Small trained heads by name: NAME.safetensors with a card NAME.json, and the scorers they offer.

A card tells the kind, the scorers, the model that the head was trained for, and where it comes
from: data and its licence, metric, command, seed. Heads are read when they are first asked for and
then shared. Letters: `n` probed rows.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file

from llm.errors import HeadError, UnknownScorerError
from llm.prefix_scorer import (
    BilinearScorer,
    BilinearWeights,
    GRUScorer,
    GRUWeights,
    PrefixScorer,
)
from llm.unembedding import Unembedding

logger = logging.getLogger(__name__)

PACKAGED = Path(__file__).parent / "heads"
SCORER_KINDS = ("bilinear", "gru", "reward")
_WHAT = {"ngram": "n-gram model"}  # kinds by other words
Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]

_PROBED_ROWS = 64
_TOLERANCE = 0.03  # int8 rows have other lengths than those of the file, by less than 1 %


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCard:
    """What a head is.

    `scorers` maps the names that it offers to 1, or to -1 for the opposite of what it scores;
    `form` is the architecture of a reward head, "bilinear" or "gru". The whole file is in `about`.
    """

    name: str
    kind: str
    form: str
    scorers: Mapping[str, int]
    hidden_size: int
    vocab_size: int
    about: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not all(sign in (1, -1) for sign in self.scorers.values()):
            raise ValueError(f"the signs of scorers are 1 or -1, got {dict(self.scorers)}")
        if self.kind in SCORER_KINDS and not self.scorers:
            raise ValueError("the card names no scorer")

    @classmethod
    def read(cls, path: Path) -> "HeadCard":
        """Read a card.

        Raises:
            HeadError: it is damaged or says too little.
        """
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            kind = str(about["kind"])
            return cls(
                name=path.stem,
                kind=kind,
                form=str(about.get("form", kind)),
                scorers={str(k): int(v) for k, v in about.get("scorers", {}).items()},
                hidden_size=int(about["hidden_size"]),
                vocab_size=int(about["vocab_size"]),
                about=about,
            )
        except KeyError as error:
            raise HeadError(f"the card {path.name} does not say {error}") from None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise HeadError(f"the card {path.name} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedScorer:
    """A scorer under one of its names; `is_negated` where the name means the opposite."""

    name: str
    scorer: PrefixScorer
    is_negated: bool
    card: HeadCard


class HeadStore:
    """The heads of some folders that fit one model; several threads may ask."""

    def __init__(self, folders: Iterable[Path], unembedding: Unembedding) -> None:
        """List the cards; of two heads or scorers of a name, the one in the later folder counts.

        A damaged card is told in the log, and to whoever asks for that head by its file's name.
        """
        self.unembedding = unembedding
        self._files: dict[str, tuple[HeadCard, Path]] = {}
        self._damaged: dict[str, HeadError] = {}
        self._scorers: dict[str, PrefixScorer] = {}
        self._lock = threading.Lock()
        for folder in folders:
            for path in sorted(folder.glob("*.json")):
                self._list(path)

    @property
    def cards(self) -> tuple[HeadCard, ...]:
        """The cards of all heads, by name."""
        return tuple(card for _, (card, _) in sorted(self._files.items()))

    @property
    def scorer_names(self) -> tuple[str, ...]:
        """Every name that `scorer` knows."""
        return tuple(sorted({name for card in self.cards for name in card.scorers}))

    def scorer(self, name: str) -> OfferedScorer:
        """Return a scorer by its name, such as `positive`.

        Raises:
            UnknownScorerError: no head offers it.
            HeadError: the head is damaged, or was trained for another model.
        """
        for card, _ in reversed(self._files.values()):
            if name in card.scorers and card.kind in SCORER_KINDS:
                return OfferedScorer(
                    name=name,
                    scorer=self._loaded(card),
                    is_negated=card.scorers[name] < 0,
                    card=card,
                )
        if name in self._damaged:
            raise self._damaged[name]
        raise UnknownScorerError(name, self.scorer_names)

    def head(self, name: str, kind: str) -> tuple[HeadCard, Tensors]:
        """Return the card and the tensors of a head of a kind, by its file's name.

        Raises:
            UnknownScorerError: there is none of this name and kind.
            HeadError: it is damaged, or was trained for another model.
        """
        if name in self._damaged:
            raise self._damaged[name]
        if name not in self._files or self._files[name][0].kind != kind:
            known = [card.name for card in self.cards if card.kind == kind]
            raise UnknownScorerError(name, known, what=_WHAT.get(kind, kind))
        card, path = self._files[name]
        return card, self._tensors(card, path)

    def _list(self, path: Path) -> None:
        try:
            card = HeadCard.read(path)
        except HeadError as error:
            logger.warning("a head is left out: %s", error)
            self._damaged[path.stem] = error
            return
        self._damaged.pop(card.name, None)
        self._files.pop(card.name, None)  # its place in the order is that of the later one
        self._files[card.name] = card, path.with_suffix(".safetensors")

    def _loaded(self, card: HeadCard) -> PrefixScorer:
        with self._lock:
            if card.name not in self._scorers:
                tensors = self._tensors(card, self._files[card.name][1])
                self._scorers[card.name] = _built(card, tensors, self.unembedding)
            return self._scorers[card.name]

    def _tensors(self, card: HeadCard, path: Path) -> Tensors:
        there = (self.unembedding.hidden_size, self.unembedding.size)
        if (card.hidden_size, card.vocab_size) != there:
            raise HeadError(
                f"the head {card.name} is for a model of hidden size {card.hidden_size} and"
                f" {card.vocab_size} tokens; this one has {there[0]} and {there[1]}"
            )
        try:
            tensors = {name: _wide(tensor) for name, tensor in load_file(path).items()}
        except (OSError, SafetensorError, ValueError) as error:
            raise HeadError(f"the head {card.name} cannot be read: {error}") from None
        probe = tensors.pop("probe", None)
        if probe is None or not np.allclose(probe, probe_of(self.unembedding), rtol=_TOLERANCE):
            raise HeadError(
                f"the head {card.name} was trained for another model"
                f" ({card.about.get('model', 'its card does not say which')}); train it again"
            )
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise HeadError(f"the head {card.name} holds numbers that are not finite")
        return tensors


def probe_of(unembedding: Unembedding) -> Float32[np.ndarray, " n"]:
    """Return the lengths of some rows: two models of one size are told apart by them."""
    ids = np.linspace(0, unembedding.size - 1, _PROBED_ROWS).astype(np.int64)
    return np.linalg.norm(unembedding.rows(ids), axis=1).astype(np.float32)


def _wide(tensor: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    return tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor


def _built(card: HeadCard, tensors: Tensors, unembedding: Unembedding) -> PrefixScorer:
    build = _BUILDERS.get(card.form)
    if build is None:
        raise HeadError(
            f"the head {card.name} is of the unknown form {card.form!r};"
            f" there are: {', '.join(sorted(_BUILDERS))}"
        )
    try:
        return build(tensors, unembedding)
    except (KeyError, TypeError, ValueError) as error:
        raise HeadError(f"the tensors of the head {card.name} do not fit: {error}") from None


def _bilinear(tensors: Tensors, unembedding: Unembedding) -> PrefixScorer:
    fields = {name: tensor for name, tensor in tensors.items() if name != "bias"}
    weights = BilinearWeights(bias=float(tensors["bias"].item()), **fields)
    return BilinearScorer(weights, unembedding)


def _gru(tensors: Tensors, unembedding: Unembedding) -> PrefixScorer:
    fields = {name: tensor for name, tensor in tensors.items() if name != "bias"}
    return GRUScorer(GRUWeights(bias=float(tensors["bias"].item()), **fields), unembedding)


_BUILDERS: Mapping[str, Callable[[Tensors, Unembedding], PrefixScorer]] = {
    "bilinear": _bilinear,
    "gru": _gru,
}
