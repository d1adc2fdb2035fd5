"""Words of tokens and tournaments: the compiled code agrees with numpy."""

import numpy as np
import pytest

from llm.native.keyed_words import NativeKeyedWords
from llm.native.loader import load_library
from llm.watermark.prf import twin_words_of
from llm.watermark.synthid import twin_contests

pytestmark = pytest.mark.kernels


@pytest.fixture
def native() -> NativeKeyedWords:
    library = load_library()
    if library is None or not hasattr(library, "causerie_keyed_words"):
        pytest.skip("the kernels are not compiled here, or before these functions were written")
    return NativeKeyedWords(library)


@pytest.mark.parametrize("shapes", [((40,), ()), ((40,), (1,)), ((40,), (3, 40)), ((2, 5), (2, 1))])
def test_words_have_the_twins_bits(
    rng: np.random.Generator, native: NativeKeyedWords, shapes: tuple[tuple[int, ...], ...]
) -> None:
    tokens = rng.integers(0, 300_000, shapes[0])
    seeds = rng.integers(0, 2**64, shapes[1], np.uint64)
    seeds = np.asarray(seeds, np.uint64)
    found, wanted = native.words(tokens, seeds), twin_words_of(tokens, seeds)
    assert found.dtype == wanted.dtype == np.uint32
    assert found.tolist() == wanted.tolist()


def test_no_tokens_have_no_words(native: NativeKeyedWords) -> None:
    seeds = np.array(7, np.uint64)
    assert native.words(np.zeros(0, np.int64), seeds).shape == (0,)


@pytest.mark.parametrize("size", [1, 7, 8, 65, 2_000])
@pytest.mark.parametrize("depth", [1, 30])
def test_a_tournament_agrees_with_the_twin(
    rng: np.random.Generator, native: NativeKeyedWords, size: int, depth: int
) -> None:
    probs = rng.dirichlet(np.full(size, 0.1), 5)
    words = rng.integers(0, 2**32, probs.shape, np.uint32)
    before = probs.copy()
    winners, meetings = native.tournament(probs, words, depth)
    twin_winners, twin_meetings = twin_contests(probs, words, depth)
    np.testing.assert_allclose(winners, twin_winners, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(meetings, twin_meetings, rtol=1e-12)
    assert (probs == before).all(), "what is given must stay as it is"
    np.testing.assert_allclose(winners.sum(axis=1), 1, rtol=1e-12)


def test_a_row_has_the_same_bits_in_any_company(
    rng: np.random.Generator, native: NativeKeyedWords
) -> None:
    probs = rng.dirichlet(np.full(300, 0.2), 6)
    words = rng.integers(0, 2**32, probs.shape, np.uint32)
    together, _ = native.tournament(probs, words, 30)
    alone, _ = native.tournament(probs[3:4], words[3:4], 30)
    assert together[3].tobytes() == alone[0].tobytes()
