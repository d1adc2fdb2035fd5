import numpy as np
import pytest

from rag.embedder import Embedder
from rag.testing import EmbedderContract, HashingEmbedder


class TestHashingEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashingEmbedder()


def test_the_hashing_embedder_counts_what_it_encodes() -> None:
    embedder = HashingEmbedder(dim=7, max_tokens=5)
    embedder.encode(["a", "b"], "passage")
    embedder.encode(["a"], "query")
    assert embedder.batch_sizes == [2, 1]
    assert embedder.num_encoded == 3
    assert embedder.count_tokens(["two, words."]) == [4]


def test_the_hashing_embedder_is_the_same_in_every_process() -> None:
    """Python's own `hash` of a string is not."""
    vector = HashingEmbedder(dim=5).encode(["the cat"], "passage")[0]
    np.testing.assert_allclose(vector, HashingEmbedder(dim=5).encode(["The CAT"], "query")[0])
    assert np.flatnonzero(vector).tolist() == [0, 1]
