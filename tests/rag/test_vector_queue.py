from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from rag.embedder import TextKind
from rag.testing import HashingEmbedder
from rag.vector_queue import MAX_BATCH, Ready, VectorQueue


def _queue(embedder: HashingEmbedder, *, allowed: int = 10**6) -> tuple[VectorQueue, list[int]]:
    told: list[int] = []
    queue = VectorQueue(embedder, before_batch=lambda: len(told) < allowed, after_batch=told.append)
    return queue, told


def test_small_documents_share_full_batches_and_keep_their_vectors() -> None:
    embedder = HashingEmbedder()
    queue, told = _queue(embedder)
    texts = {key: [f"text {key} {i} " + "more " * (key % 7) for i in range(3)] for key in range(20)}
    for key, its in texts.items():
        queue.put(key, its)
    finished = queue.embed_window()
    assert queue.is_empty
    num_full, rest = divmod(60, MAX_BATCH)
    assert embedder.batch_sizes == [MAX_BATCH] * num_full + [rest]
    assert len(told) == num_full + 1
    assert queue.num_embedded == queue.num_texts == 60
    assert sorted(found.key for found in finished) == list(range(20))
    for found in finished:
        np.testing.assert_array_equal(
            found.vectors, HashingEmbedder().encode(texts[found.key], "passage")
        )


def test_the_texts_of_a_batch_are_of_about_one_length() -> None:
    lengths: list[list[int]] = []

    class Watched(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
            lengths.append([len(text) for text in texts])
            return super().encode(texts, kind)

    queue, _ = _queue(Watched())
    queue.put(0, [("word " * (1 + i * 37 % 64)).strip() for i in range(64)])
    queue.embed_window()
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat)


def test_a_stopped_queue_hands_out_what_is_complete_and_goes_on_later() -> None:
    embedder = HashingEmbedder()
    queue, told = _queue(embedder, allowed=1)
    queue.put(1, ["short"] * MAX_BATCH)
    queue.put(2, ["a somewhat longer text"] * MAX_BATCH)
    assert [found.key for found in queue.embed_window()] == [1]
    assert not queue.is_empty
    assert queue.embed_window() == []
    told.clear()
    assert [found.key for found in queue.embed_window()] == [2]
    assert queue.is_empty


def test_a_text_that_is_refused_fails_its_own_document_only() -> None:
    embedder = HashingEmbedder(max_tokens=5)
    queue, _ = _queue(embedder)
    queue.put(1, ["fine", "far too long " * 9])
    queue.put(2, ["fine too"])
    found = {embedded.key: embedded for embedded in queue.embed_window()}
    assert "a passage may have 5 tokens, got 27" in found[1].failure
    assert found[2].failure == ""
    np.testing.assert_allclose(np.linalg.norm(found[2].vectors, axis=1), 1, rtol=1e-6)


def test_vectors_that_are_ready_are_not_made_again() -> None:
    embedder = HashingEmbedder()
    queue, _ = _queue(embedder)
    ready = Ready(vector=np.full(embedder.dim, 0.5, np.float32))
    queue.put(1, ["a", "b", "c"], {0: ready, 2: ready})
    queue.put(2, ["d"], {0: ready})
    assert queue.num_texts == 1
    finished = {found.key: found for found in queue.embed_window()}
    assert queue.is_empty
    assert embedder.num_encoded == 1
    assert {key: found.num_embedded for key, found in finished.items()} == {1: 1, 2: 0}
    np.testing.assert_array_equal(finished[1].vectors[[0, 2]], [ready.vector] * 2)
    np.testing.assert_array_equal(finished[1].vectors[1:2], embedder.encode(["b"], "passage"))
