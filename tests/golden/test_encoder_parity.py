"""Our text encoder against sentence-transformers: same weights, same vectors."""

import csv
from pathlib import Path

import numpy as np
import pytest

from llm.embedding import SentenceTransformerEncoder, TextEncoder, load_text_encoder
from llm.model_store import ModelStore
from rag.embedder import Embedder
from rag.testing import EmbedderContract

pytestmark = [
    pytest.mark.weights,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # the reference's own
]
MODEL = "all-minilm-l6-v2"


@pytest.fixture(scope="module")
def encoder(models: ModelStore) -> TextEncoder:
    loaded = load_text_encoder(models.path(MODEL), name=MODEL, precision="float32")
    assert isinstance(loaded, TextEncoder)
    return loaded


@pytest.fixture(scope="module")
def reference(models: ModelStore) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(models.path(MODEL), name=MODEL, fingerprint="reference")


def test_two_hundred_real_sentences_get_the_reference_vectors(
    encoder: TextEncoder, reference: SentenceTransformerEncoder, data_path: Path
) -> None:
    with (data_path / "banking77" / "train.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sentences = [row["text"] for row in rows[:: len(rows) // 200]][:200]
    ours = encoder.encode(sentences, "passage")
    theirs = reference.encode(sentences, "passage")
    assert ours.shape == (200, 384)
    assert (ours * theirs).sum(axis=1).min() >= 0.9999


def test_a_text_gets_the_same_vector_alone_and_in_a_batch(encoder: TextEncoder) -> None:
    texts = ["A short one.", "A rather longer text, " * 12, "naïve façade 你好 🙂", "x"]
    together = encoder.encode(texts, "passage")
    for text, vector in zip(texts, together, strict=True):
        assert np.abs(encoder.encode([text], "passage")[0] - vector).max() < 1e-5


def test_a_long_query_is_read_whole_in_windows(encoder: TextEncoder) -> None:
    question = "How are default parameter values evaluated? " + "Some words on gardening. " * 120
    vector = encoder.encode([question], "query")[0]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    cut = encoder.encode([question[:600]], "query")[0]
    assert float(vector @ cut) < 0.999


def test_a_passage_that_would_be_cut_is_refused_with_its_length(
    encoder: TextEncoder, reference: SentenceTransformerEncoder
) -> None:
    for embedder in (encoder, reference):
        with pytest.raises(ValueError, match="reads at most 256"):
            embedder.encode(["word " * 300], "passage")


class TestTextEncoder(EmbedderContract):
    @pytest.fixture
    def embedder(self, encoder: TextEncoder) -> Embedder:
        return encoder
