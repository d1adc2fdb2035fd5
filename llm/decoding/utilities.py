"""Utilities: how well one text serves where another would have been right, in [0, 1].

Identical texts have utility 1. `exact`, `token_f1` and `slot_f1` are symmetric; `chrf` is not: its
second text is the reference, and recall counts for more. Knows no search and no tokenizer.
Letters: n texts, k n-grams.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from llm.decoding.spec import UtilityName

CHAR_ORDER = 6
BETA = 2.0  # recall counts beta times as much as precision
MAX_PAIRS = 10_000  # of one JSON object; a larger one is compared as a text

_TOKEN = re.compile(r"\w+|[^\w\s]")

Utility = Callable[[str, str], float]


def exact(hypothesis: str, reference: str) -> float:
    """Return 1 if the texts are the same but for white space around them, else 0."""
    return float(hypothesis.strip() == reference.strip())


def token_f1(hypothesis: str, reference: str) -> float:
    """Return F1 of the two bags of words and signs, whatever their case."""
    return _bag_f1(_words(hypothesis), _words(reference))


def chrf(hypothesis: str, reference: str) -> float:
    """Return chrF2 (Popović 2015) as sacreBLEU defines it with word_order 0, over 100.

    Precision and recall of character n-grams, white space removed, are averaged over the orders 1
    to 6 of which both texts have some, and then combined: (1 + 4) P R / (4 P + R). Two texts
    without a character count as identical.
    """
    return float(_chrf_matrix([hypothesis, reference])[0, 1])


def slot_f1(hypothesis: str, reference: str) -> float:
    """Return F1 of the (path, value) pairs of two JSON objects.

    Places within an array do not count, only what they hold. What is no JSON object is compared
    whole: see `exact`.
    """
    return _slots_f1(_slots(hypothesis), _slots(reference))


def utility_matrix(name: UtilityName, texts: Sequence[str]) -> Float64[np.ndarray, "n n"]:
    """Return the utility of each text (row) with each as the reference (column).

    Reads every text once, so it is quicker than so many calls of the utility.
    """
    if name == "chrf":
        return _chrf_matrix(texts)
    read, compare = _READ_AND_COMPARE[name]
    profiles = [read(text) for text in texts]
    return np.array(
        [[compare(profile, reference) for reference in profiles] for profile in profiles]
    ).reshape(len(texts), len(texts))


def _bag_f1(bag: Counter[Hashable], other: Counter[Hashable]) -> float:
    size = bag.total() + other.total()
    return 2 * _overlap(bag, other) / size if size else 1.0


def _overlap(bag: Counter[Hashable], other: Counter[Hashable]) -> int:
    if len(other) < len(bag):
        bag, other = other, bag
    return sum(min(count, other[item]) for item, count in bag.items() if item in other)


def _words(text: str) -> Counter[Hashable]:
    return Counter(_TOKEN.findall(text.casefold()))


def _chrf_matrix(texts: Sequence[str]) -> Float64[np.ndarray, "n n"]:
    joined = ["".join(text.split()) for text in texts]
    characters = np.frombuffer("".join(joined).encode("utf-32-le", "surrogatepass"), "<u4")
    lengths = np.array([len(text) for text in joined], np.int64)
    owners = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(characters))  # to the text's end
    letters = np.unique(characters, return_inverse=True)[1].astype(np.int64)
    grams = np.zeros_like(letters)
    precision, recall, num_orders = np.zeros((3, len(texts), len(texts)))
    for order in range(1, CHAR_ORDER + 1):
        begins = np.flatnonzero(left >= order)
        longer = grams[begins] * (len(letters) + 1) + letters[begins + order - 1]
        grams[begins] = np.unique(longer, return_inverse=True)[1]
        sizes = np.bincount(owners[begins], minlength=len(texts))
        overlap = _overlaps(owners[begins], grams[begins], sizes)
        precision += overlap / np.maximum(sizes, 1)[:, None]
        recall += overlap / np.maximum(sizes, 1)
        num_orders += np.outer(sizes > 0, sizes > 0)
    factor = BETA**2
    below = (factor * precision + recall) * num_orders
    f_score = (1 + factor) * precision * recall / np.where(below > 0, below, 1.0)
    empty = lengths == 0
    return np.where(np.outer(empty, empty), 1.0, f_score)


def _overlaps(
    owners: Int64[np.ndarray, " k"], grams: Int64[np.ndarray, " k"], sizes: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, "n n"]:
    """Return how many of the k n-grams each two texts share, repeats counted."""
    num_grams = int(grams.max(initial=-1)) + 1
    keys, counts = np.unique(owners * max(num_grams, 1) + grams, return_counts=True)
    owner, gram = np.divmod(keys, max(num_grams, 1))
    shared = np.flatnonzero(np.bincount(gram, minlength=num_grams) > 1)
    common = np.isin(gram, shared)  # most belong to one text alone, and need no column
    table = np.zeros((len(sizes), len(shared)), np.int32)
    table[owner[common], np.searchsorted(shared, gram[common])] = counts[common]
    overlap = np.zeros((len(sizes), len(sizes)), np.int64)
    for i, row in enumerate(table):
        overlap[i] = np.minimum(row, table).sum(axis=1)
    np.fill_diagonal(overlap, sizes)
    return overlap


def _slots(text: str) -> Counter[Hashable] | str:
    """Return the (path, value) pairs of a JSON object; the text itself if it is none."""
    whole = text.strip()
    try:
        value = json.loads(whole, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return whole
    if not isinstance(value, dict):
        return whole
    pairs: Counter[Hashable] = Counter()
    stack: list[tuple[tuple[str | None, ...], Any]] = [((), value)]
    while stack:
        path, inner = stack.pop()
        below = _members(inner)
        if below:
            stack.extend(((*path, key), member) for key, member in below)
        else:
            pairs[path, _leaf(inner)] += 1
        if pairs.total() + len(stack) > MAX_PAIRS:
            return whole
    return pairs


def _members(value: Any) -> list[tuple[str | None, Any]]:
    """Return what an object or array holds, by key; None in place of an index."""
    if isinstance(value, dict):
        return list(value.items())
    return [(None, member) for member in value] if isinstance(value, list) else []


def _leaf(value: Any) -> Hashable:
    """Return a value that equals another only if JSON says so: 1 is 1.0, but not true."""
    if isinstance(value, dict | list):
        return type(value).__name__
    return isinstance(value, bool), value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _slots_f1(slots: Counter[Hashable] | str, other: Counter[Hashable] | str) -> float:
    if isinstance(slots, str) or isinstance(other, str):
        return float(slots == other)
    return _bag_f1(slots, other)


UTILITIES: dict[UtilityName, Utility] = {
    "exact": exact,
    "token_f1": token_f1,
    "chrf": chrf,
    "slot_f1": slot_f1,
}
# what is read from a text once, and the utility of one reading for another
_READ_AND_COMPARE: dict[UtilityName, tuple[Callable[[str], Any], Callable[[Any, Any], float]]] = {
    "exact": (str.strip, lambda text, other: float(text == other)),
    "token_f1": (_words, _bag_f1),
    "slot_f1": (_slots, _slots_f1),
}
