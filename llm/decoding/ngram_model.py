"""An n-gram model over token ids: interpolated Kneser-Ney, bounded in size.

    P(w | x1..xm) = max(c - D, 0) / c(x1..xm) + g(x1..xm) P(w | x2..xm)

down to the uniform distribution. c counts occurrences at the highest order and distinct
predecessors below it, the start of a text being one (Kneser and Ney 1995; Chen and Goodman 1999);
D = n1 / (n1 + 2 n2), of n1 entries counted once and n2 counted twice. g is what the entries leave
of one, so the distribution stays proper however many entries were dropped. Letters: `e` entries,
`k` tokens asked for, `v` vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from llm.errors import HeadError

MAX_ORDER = 6
MAX_ENTRIES = 20_000_000
Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    """The n-grams of one length, as children of those that are a token shorter.

    `keys` are sorted: index of the parent x vocabulary + last token. `probs` are the discounted
    shares.
    """

    keys: Int64[np.ndarray, " e"]
    probs: Float64[np.ndarray, " e"]


class NGramModel:
    """Probabilities of the next token after the last few; immutable."""

    def __init__(self, levels: Sequence[tuple[Any, Any]], vocab_size: int) -> None:
        """Take keys and probabilities for each length from 1 on; `fit` and `of` make them.

        Raises:
            ValueError: they are no distributions over a vocabulary of that size.
        """
        self.vocab_size = vocab_size
        self._levels = tuple(
            _Level(keys=np.asarray(keys, np.int64), probs=np.asarray(probs, np.float64))
            for keys, probs in levels
        )
        self._rests = self._checked_rests()
        top = self._levels[0]
        self._favourite = int(top.keys[top.probs.argmax()]) if len(top.keys) else 0

    @property
    def order(self) -> int:
        """How many tokens an entry has at most; the context is one less."""
        return len(self._levels)

    @property
    def num_entries(self) -> int:
        """N-grams of all lengths."""
        return sum(len(level.keys) for level in self._levels)

    @classmethod
    def fit(
        cls,
        texts: Iterable[Sequence[int]],
        *,
        order: int,
        vocab_size: int,
        max_entries: int = 300_000,
    ) -> "NGramModel":
        """Count the n-grams of texts and keep the `max_entries` that occur most often.

        Raises:
            ValueError: an order or a bound out of range, no tokens, or one beyond the vocabulary.
        """
        if not 1 <= order <= MAX_ORDER:
            raise ValueError(
                f"the order of an n-gram model must be in [1, {MAX_ORDER}], got {order}"
            )
        if not 1 <= max_entries <= MAX_ENTRIES:
            raise ValueError(f"max_entries must be in [1, {MAX_ENTRIES}], got {max_entries}")
        stream = _joined(texts, vocab_size)
        counts = _count(stream, order, vocab_size)
        keep = _most_frequent([level.occurrences for level in counts], max_entries)
        return cls(_pruned(counts, keep, vocab_size), vocab_size)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the model as arrays, to be kept in a file."""
        return {
            "keys": np.concatenate([level.keys for level in self._levels]),
            "probs": np.concatenate([level.probs for level in self._levels]).astype(np.float16),
            "sizes": np.array([self.vocab_size, *(len(level.keys) for level in self._levels)]),
        }

    @classmethod
    def of(cls, tensors: Tensors) -> "NGramModel":
        """Make a model of what `tensors` returned.

        Raises:
            HeadError: they are no such arrays.
        """
        try:
            return cls._read(tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"these arrays are no n-gram model: {error}") from None

    @classmethod
    def _read(cls, tensors: Tensors) -> "NGramModel":
        vocab_size, *lengths = (int(size) for size in tensors["sizes"])
        keys, probs = tensors["keys"], tensors["probs"]
        if not lengths or len(keys) != len(probs) or sum(lengths) != len(keys) or min(lengths) < 0:
            raise ValueError(f"an n-gram model of sizes {lengths} has {len(keys)} entries")
        edges = np.cumsum(lengths)[:-1]
        levels = zip(np.split(keys, edges), np.split(probs, edges), strict=True)
        return cls(list(levels), vocab_size)

    def log_probs(
        self, context: Sequence[int], token_ids: Int64[np.ndarray, " k"]
    ) -> Float64[np.ndarray, " k"]:
        """Return log P(token | the last tokens of `context`) for some tokens of the vocabulary."""
        probs = np.full(len(token_ids), 1.0 / self.vocab_size)
        for length, node in self._contexts(context):
            probs *= self._rests[length][node]
            probs += self._shares(length, node, token_ids)
        # A token beyond all that was counted may have nothing left: an order without discount.
        found: Float64[np.ndarray, " k"] = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
        return found

    def best(self, context: Sequence[int]) -> int | None:
        """Return the most probable next token; of equals the lowest id.

        None where no context of a token or more was seen, so that the guess would be the same
        everywhere.
        """
        children = [
            self._children(length, node)[0] for length, node in self._contexts(context) if length
        ]
        if not any(len(tokens) for tokens in children):
            return None
        # Whatever follows none of the contexts has a share of its unigram's: one stands for all.
        tokens = np.unique(np.concatenate([*children, [self._favourite]]))
        return int(tokens[self.log_probs(context, tokens).argmax()])

    def _contexts(self, context: Sequence[int]) -> list[tuple[int, int]]:
        """Return (length, index of its entry) of each suffix of the context that was seen."""
        found = []
        for length in range(min(self.order - 1, len(context)) + 1):
            node = self._node(context[len(context) - length :])
            if node is not None:
                found.append((length, node))
        return found

    def _node(self, token_ids: Sequence[int]) -> int | None:
        node = 0
        for level, token in zip(self._levels, token_ids, strict=False):
            if not 0 <= token < self.vocab_size:
                return None
            key = node * self.vocab_size + token
            node = int(level.keys.searchsorted(key))
            if node == len(level.keys) or level.keys[node] != key:
                return None
        return node

    def _children(
        self, length: int, node: int
    ) -> tuple[Int64[np.ndarray, " e"], Float64[np.ndarray, " e"]]:
        level = self._levels[length]
        first = node * self.vocab_size
        start, stop = level.keys.searchsorted([first, first + self.vocab_size])
        return level.keys[start:stop] - first, level.probs[start:stop]

    def _shares(
        self, length: int, node: int, token_ids: Int64[np.ndarray, " k"]
    ) -> Float64[np.ndarray, " k"]:
        tokens, probs = self._children(length, node)
        if not len(tokens):
            return np.zeros(len(token_ids))
        at = np.minimum(tokens.searchsorted(token_ids), len(tokens) - 1)
        return np.where(tokens[at] == token_ids, probs[at], 0.0)

    def _checked_rests(self) -> tuple[Float64[np.ndarray, " e"], ...]:
        """Return what the children of each entry leave of one; the root comes first.

        Raises:
            ValueError: the levels are none of an n-gram model.
        """
        if self.vocab_size < 1 or not 1 <= len(self._levels) <= MAX_ORDER:
            raise ValueError(
                f"an n-gram model has an order in [1, {MAX_ORDER}] and a vocabulary, got order"
                f" {len(self._levels)} and {self.vocab_size} tokens"
            )
        rests = []
        parents = 1
        for level in self._levels:
            inside = not len(level.keys) or (
                level.keys[0] >= 0 and level.keys[-1] < parents * self.vocab_size
            )
            if not inside or (np.diff(level.keys) <= 0).any() or not (level.probs >= 0).all():
                raise ValueError("the entries of an n-gram model are damaged; train it again")
            spent = np.bincount(
                level.keys // self.vocab_size, weights=level.probs, minlength=parents
            )
            if (spent > 1 + 1e-9).any():
                raise ValueError("the probabilities of an n-gram model add up to more than one")
            rests.append(np.maximum(1.0 - spent, 0.0))
            parents = len(level.keys)
        return tuple(rests)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counts:
    """N-grams of one length: sorted keys, how often each occurs, and what Kneser-Ney counts."""

    keys: Int64[np.ndarray, " e"]
    occurrences: Int64[np.ndarray, " e"]
    counts: Int64[np.ndarray, " e"]


def _joined(texts: Iterable[Sequence[int]], vocab_size: int) -> Int64[np.ndarray, " t"]:
    """Return all texts in a row, `vocab_size` standing before each and after the last."""
    parts = [np.array([vocab_size])]
    for text in texts:
        if len(text):
            parts += [np.asarray(text, np.int64), parts[0]]
    stream = np.concatenate(parts)
    if len(parts) == 1:
        raise ValueError("there is no text to count")
    tokens = stream[stream != vocab_size]
    if len(tokens) + (len(parts) + 1) // 2 != len(stream) or not (
        tokens.min() >= 0 and tokens.max() < vocab_size
    ):
        raise ValueError(f"a token of the texts is beyond the {vocab_size} of the vocabulary")
    return stream


def _count(stream: Int64[np.ndarray, " t"], order: int, vocab_size: int) -> list[_Counts]:
    levels: list[_Counts] = []
    starts = np.flatnonzero(stream != vocab_size)
    nodes = np.zeros(len(starts), np.int64)
    for length in range(1, order + 1):
        last = stream[starts + length - 1]
        whole = last != vocab_size  # the text goes on so far
        starts, nodes = starts[whole], nodes[whole]
        keys, nodes = np.unique(nodes * vocab_size + last[whole], return_inverse=True)
        occurrences = np.bincount(nodes, minlength=len(keys))
        counts = occurrences
        if length < order:
            before = np.unique(nodes * (vocab_size + 1) + stream[starts - 1])
            counts = np.bincount(before // (vocab_size + 1), minlength=len(keys))
        levels.append(_Counts(keys=keys, occurrences=occurrences, counts=counts))
    return levels


def _most_frequent(
    occurrences: Sequence[Int64[np.ndarray, " _"]], most: int
) -> list[Bool[np.ndarray, " _"]]:
    """Return which entries to keep: no beginning of an entry occurs less often than it does."""
    together = np.concatenate(occurrences)
    keep = np.zeros(len(together), bool)
    keep[np.argsort(-together, kind="stable")[:most]] = True  # of equals the shorter ones
    return np.split(keep, np.cumsum([len(level) for level in occurrences])[:-1])


def _pruned(
    levels: Sequence[_Counts], keep: Sequence[Bool[np.ndarray, " _"]], vocab_size: int
) -> list[tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, " _"]]]:
    """Return keys and shares of what is kept; the shares are those among all that was counted."""
    found = []
    places = np.zeros(1, np.int64)  # of the parents, among those that are kept
    for level, kept in zip(levels, keep, strict=True):
        parents, tokens = np.divmod(level.keys, vocab_size)
        totals = np.bincount(parents, weights=level.counts, minlength=len(places))
        shares = (level.counts - _discount(level.counts)) / totals[parents]
        keys = places[parents[kept]] * vocab_size + tokens[kept]
        found.append((keys, _half_below(shares[kept])))
        places = np.cumsum(kept) - 1
    return found


def _half_below(shares: Float64[np.ndarray, " _"]) -> Float64[np.ndarray, " _"]:
    """Round towards zero to half precision, as files keep it: sums stay below one."""
    halves = shares.astype(np.float16)
    above = halves.astype(np.float64) > shares
    halves[above] = np.nextafter(halves[above], np.float16(0))
    return halves.astype(np.float64)


def _discount(counts: Int64[np.ndarray, " _"]) -> float:
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / (once + 2 * twice) if once and twice else 0.5
