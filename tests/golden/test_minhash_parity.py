"""Estimated against exact resemblance: the exact one is a set of tuples of words, nothing more."""

import random

import numpy as np
import pytest

from rag.dedup import NearDuplicates, estimated, resemblance, shingles, signature

WORDS = [f"word{i}" for i in range(2000)]


def exact(a: str, b: str) -> float:
    """Broder 1997, section 2, read off the page."""
    runs = [
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (a.split(), b.split())
    ]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def pairs(num: int, seed: int) -> list[tuple[str, str]]:
    """Pairs of 50 to 600 words, the second with a random share of its words replaced."""
    source = random.Random(seed)
    found = []
    for _ in range(num):
        words = source.choices(WORDS, k=source.randint(50, 600))
        rate = source.choice((0, 0.002, 0.01, 0.03, 0.06, 0.2))
        changed = [source.choice(WORDS) if source.random() < rate else word for word in words]
        found.append((" ".join(words), " ".join(changed)))
    return found


def test_hashed_shingles_have_the_resemblance_of_the_words() -> None:
    for a, b in pairs(100, seed=1):
        assert resemblance(shingles(a), shingles(b)) == pytest.approx(exact(a, b), abs=1e-12)


def test_signatures_estimate_the_resemblance_within_their_standard_error() -> None:
    found = pairs(400, seed=2)
    true = np.array([exact(a, b) for a, b in found])
    guessed = np.array(
        [estimated(signature(shingles(a)), signature(shingles(b))) for a, b in found]
    )
    error = guessed - true
    expected = np.sqrt(true * (1 - true) / 128)  # of a mean of 128 draws
    print(  # noqa: T201
        f"minhash: mean error {error.mean():+.4f}, rms {np.sqrt((error**2).mean()):.4f},"
        f" expected {np.sqrt((expected**2).mean()):.4f}"
    )
    assert abs(error.mean()) < 0.005
    assert np.sqrt((error**2).mean()) < 1.2 * np.sqrt((expected**2).mean())
    assert np.abs(error).max() < 0.2


def test_bands_find_what_comparing_all_pairs_finds() -> None:
    """Every text against all before it: the bands must name the same ones."""
    source = random.Random(5)
    texts = [text for pair in pairs(60, seed=4) for text in pair]
    source.shuffle(texts)
    seen = NearDuplicates(threshold=0.8)
    signatures = [signature(shingles(text)) for text in texts]
    num_found = 0
    for i, text in enumerate(texts):
        near = seen.add(str(i), text)
        best = max((estimated(signatures[j], signatures[i]) for j in range(i)), default=0.0)
        assert (near.resemblance if near else None) == (best if best >= 0.8 else None)
        num_found += near is not None
    assert num_found > 20
