"""Near-duplicates: texts that share most of their runs of five words.

The resemblance of two texts is the Jaccard index of their sets of shingles (Broder 1997, "On the
resemblance and containment of documents", section 2). Few texts are compared exactly; among many,
signatures of minima estimate it (section 3) and bands of them name the candidates. All hashes are
fixed, so that equal texts have equal signatures on every machine.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt64

from rag.document import Passage

SHINGLE_WORDS = 5
SIGNATURE_SIZE = 128
# A pair is a candidate if one of 32 bands of 4 minima is equal: 1 - (1 - J^4)^32 of the pairs of
# resemblance J, which is all but 2 in 10,000 at .7 and a fifth at .3.
NUM_BANDS = 32
DEFAULT_THRESHOLD = 0.8
_BAND = SIGNATURE_SIZE // NUM_BANDS
_AT_ONCE = 8192  # shingles; bounds the memory of a signature to 8 MB
# Han, kana and hangul are written without spaces: there a character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio

Shingles = UInt64[np.ndarray, " n"]
Signature = UInt64[np.ndarray, " 128"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate:
    """A text that came before and resembles this one; `resemblance` is estimated, 0 to 1.

    `is_equal` tells whether they are the same character by character.
    """

    uri: str
    resemblance: float
    is_equal: bool = False


def shingles(text: str) -> Shingles:
    """Return the hashes of the runs of five words of `text`, sorted, each once.

    Case, punctuation, white space and the form of accents do not count. A text of fewer words is
    one run; one without words is hashed as it is, and a blank one has none.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    if not words:
        bare = "".join(folded.split())
        return np.array([_hash(bare)] if bare else [], dtype=np.uint64)
    known = {word: _hash(word) for word in set(words)}
    hashes = np.array([known[word] for word in words], dtype=np.uint64)
    width = min(SHINGLE_WORDS, len(words))
    runs = np.zeros(len(words) - width + 1, dtype=np.uint64)
    for i in range(width):  # in order: a run read backwards is another one
        runs = _mixed(runs + _ODD + hashes[i : i + len(runs)])
    return np.unique(runs)


def resemblance(a: Shingles, b: Shingles) -> float:
    """Return the share of the shingles of both that they have in common, 0 to 1."""
    if not len(a) or not len(b):
        return 0.0
    num_shared = len(np.intersect1d(a, b, assume_unique=True))
    return num_shared / (len(a) + len(b) - num_shared)


def signature(found: Shingles) -> Signature:
    """Return the least value of the shingles under each of 128 keyed hashes.

    Two signatures agree at a place with the probability of their resemblance: the share of equal
    places estimates it with a standard error of at most .044.
    """
    least = np.full(SIGNATURE_SIZE, np.iinfo(np.uint64).max, dtype=np.uint64)
    for i in range(0, len(found), _AT_ONCE):
        keyed = _mixed(found[i : i + _AT_ONCE, None] ^ _KEYS)
        np.minimum(least, keyed.min(axis=0), out=least)
    return least


def estimated(a: Signature, b: Signature) -> float:
    """Return the resemblance of two texts as their signatures have it."""
    return float(np.mean(a == b))


class NearDuplicates:
    """The signatures of the texts seen so far, found again by their bands; 1 KB a text."""

    def __init__(self, *, threshold: float = DEFAULT_THRESHOLD) -> None:
        _check(threshold)
        self._threshold = threshold
        self._uris: list[str] = []
        self._signatures: list[Signature] = []
        self._digests: list[int] = []
        self._bands: dict[tuple[int, bytes], list[int]] = {}

    def add(self, uri: str, text: str) -> NearDuplicate | None:
        """Keep `text` under `uri` and return the earlier text that resembles it most, if any.

        Of texts that resemble it alike an equal one is returned, else the first; a blank text
        resembles none.
        """
        found = shingles(text)
        if not len(found):
            return None
        new = signature(found)
        digest = _hash(text)
        bands = [(i, new[i * _BAND : (i + 1) * _BAND].tobytes()) for i in range(NUM_BANDS)]
        candidates = sorted({number for band in bands for number in self._bands.get(band, ())})
        nearest = max(
            (
                (estimated(self._signatures[number], new), self._digests[number] == digest, -number)
                for number in candidates
            ),
            default=(0.0, False, 0),
        )
        for band in bands:
            self._bands.setdefault(band, []).append(len(self._uris))
        self._uris.append(uri)
        self._signatures.append(new)
        self._digests.append(digest)
        if nearest[0] < self._threshold:
            return None
        return NearDuplicate(
            uri=self._uris[-nearest[2]], resemblance=nearest[0], is_equal=nearest[1]
        )


def distinct(passages: Sequence[Passage], *, threshold: float = DEFAULT_THRESHOLD) -> list[int]:
    """Return the indices of the passages to keep: none resembles an earlier kept one.

    Compared exactly, by the text of the chunks alone. One changed word changes five shingles, so
    that short passages differ sooner than long ones: a word in the middle of 50 leaves .80.
    Overlapping passages of one document share a place and are no copies of each other: of them one
    goes only where an earlier one holds the whole of it.

    Raises:
        ValueError: the threshold is not above 0 and at most 1.
    """
    _check(threshold)
    kept: list[int] = []
    found = [shingles(passage.chunk.text) for passage in passages]
    for i, own in enumerate(found):
        if not any(
            _repeats(passages[i], passages[j]) and resemblance(own, found[j]) >= threshold
            for j in kept
        ):
            kept.append(i)
    return kept


def _repeats(later: Passage, earlier: Passage) -> bool:
    """Return whether text that both have is there twice, or there is no more in the later one."""
    one, other = later.chunk, earlier.chunk
    is_apart = one.start >= other.end or one.end <= other.start
    is_within = other.start <= one.start and one.end <= other.end
    return later.document_id != earlier.document_id or is_apart or is_within


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")


def _hash(word: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little"
    )


def _mixed(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Return a bijection of 64-bit values in which each bit depends on all (SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


_KEYS = _mixed(np.arange(1, SIGNATURE_SIZE + 1, dtype=np.uint64) * _ODD)
