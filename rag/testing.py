"""Doubles of the ports of `rag`, and the contracts that embedders, rerankers, writers keep."""

import hashlib
import re
import time
from collections.abc import Sequence

import numpy as np
import pytest
from jaxtyping import Float

from llm.chat import TextScores
from rag.document import Chunk, Passage, sha256_hex
from rag.embedder import Embedder, TextKind
from rag.errors import LaneLateError
from rag.reranker import Reranker
from rag.writer import Writer, WritingTask

_WORD = re.compile(r"\w+|[^\w\s]")


class HashingEmbedder:
    """An `Embedder` that hashes a bag of words; a "token" is a word or a punctuation mark.

    Texts that share words are near each other. `num_encoded` counts the texts it was given and
    `batch_sizes` records how many at a time.
    """

    def __init__(self, *, dim: int = 64, max_tokens: int = 256, seed: str = "") -> None:
        self.name = "hashing"
        self.fingerprint = f"hashing-{dim}-{max_tokens}{seed}"
        self.dim = dim
        self.max_tokens = max_tokens
        self.batch_sizes: list[int] = []

    @property
    def num_encoded(self) -> int:
        """How many texts were encoded so far."""
        return sum(self.batch_sizes)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count words and punctuation marks."""
        return [sum(1 for _ in _WORD.finditer(text)) for text in texts]

    def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
        """Return one unit row per text; a text without words gets the first unit vector."""
        if kind == "passage":
            for text, num_tokens in zip(texts, self.count_tokens(texts), strict=True):
                if num_tokens > self.max_tokens:
                    raise ValueError(
                        f"a passage may have {self.max_tokens} tokens, got {num_tokens} in"
                        f" {text[:40]!r}; cut it"
                    )
        self.batch_sizes.append(len(texts))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=8).digest()
                vector[int.from_bytes(digest[:4]) % self.dim] += 1 if digest[4] % 2 else -1
            if not vector.any():
                vector[0] = 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def token_vectors(self, texts: Sequence[str], kind: TextKind) -> list[np.ndarray]:
        """Return one row per word or mark, that which `encode` gives it."""
        encoder = HashingEmbedder(dim=self.dim, max_tokens=self.max_tokens)
        found = (_WORD.findall(text) or [""] for text in texts)
        return [encoder.encode(words, kind) for words in found]


class SharedWordScorer:
    """A `TextScorer` to which a text is the likelier, the more of its words the prefix has."""

    name = "shared-words"

    def score(self, prefix: str, continuations: Sequence[str], *, tenant: str = "") -> TextScores:
        """Return minus the number of words that are new."""
        del tenant
        known = set(_WORD.findall(prefix.lower()))
        scores = [
            -float(sum(word not in known for word in _WORD.findall(text.lower())))
            for text in continuations
        ]
        return TextScores(log_probs=tuple(scores), computed_tokens=0)


class ScriptedWriter:
    """A `Writer` that writes from a list; with an empty one it writes each task's text again.

    `tasks` records what it was given. It takes `delay_s` for each call.
    """

    name = "scripted"

    def __init__(self, texts: Sequence[str] = (), *, delay_s: float = 0.0) -> None:
        self.texts = list(texts)
        self.delay_s = delay_s
        self.tasks: list[WritingTask] = []

    def write(self, tasks: Sequence[WritingTask], *, deadline: float) -> list[str]:
        """Return the next texts, if there is time."""
        self.tasks += tasks
        left = deadline - time.monotonic()
        time.sleep(max(0.0, min(self.delay_s, left)))
        if self.delay_s >= left:
            raise LaneLateError(f"{self.name} was still writing")
        return [self.texts.pop(0) if self.texts else task.text for task in tasks]


def passage(text: str, *, uri: str = "", score: float = 0.0, rank: int = 1) -> Passage:
    """Return a passage that is a whole document; without a uri, one made of the text."""
    return Passage(
        collection="c",
        document_id=sha256_hex((uri or text).encode())[:16],
        title="",
        uri=uri or f"{text[:20]}.txt",
        chunk=Chunk(start=0, end=len(text.encode()), text=text),
        score=score,
        rank=rank,
    )


class EmbedderContract:
    """Laws of the `Embedder` port; inherit and provide the fixture `embedder`."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return the embedder under test."""
        raise NotImplementedError

    def test_it_says_what_it_is(self, embedder: Embedder) -> None:
        """A collection is made from these."""
        assert embedder.name
        assert embedder.fingerprint
        assert embedder.dim > 0
        assert embedder.max_tokens > 0

    def test_rows_are_unit_vectors_in_float32(self, embedder: Embedder) -> None:
        """One row per text, whatever the text is."""
        texts = ["The cat sleeps.", "", "שלום עולם", "🙂", "x" * 500]
        vectors = embedder.encode(texts, "passage")
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(texts), embedder.dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_no_text_makes_no_row(self, embedder: Embedder) -> None:
        """An empty batch keeps its width."""
        assert embedder.encode([], "passage").shape == (0, embedder.dim)
        assert embedder.count_tokens([]) == []

    def test_a_vector_does_not_depend_on_its_batch(self, embedder: Embedder) -> None:
        """Neither on the other texts nor on their order."""
        texts = ["one short text", "a text that is a good deal longer than the first", "third"]
        together = embedder.encode(texts, "passage")
        turned = embedder.encode(texts[::-1], "passage")[::-1]
        alone = np.concatenate([embedder.encode([text], "passage") for text in texts])
        np.testing.assert_allclose(together, turned, atol=1e-4)
        np.testing.assert_allclose(together, alone, atol=1e-4)

    def test_texts_about_the_same_are_nearer(self, embedder: Embedder) -> None:
        """A query finds the passage that it shares its subject with."""
        query = embedder.encode(["How does the cat sleep?"], "query")[0]
        near, far = embedder.encode(
            ["How long does a cat sleep a day?", "Revenue rose by nine per cent in March."],
            "passage",
        )
        assert query @ near > query @ far

    def test_tokens_are_counted_text_by_text(self, embedder: Embedder) -> None:
        """Counting many is counting each, and more words are more tokens."""
        texts = ["one", "one two", "one two three four"]
        counts = embedder.count_tokens(texts)
        assert counts == [embedder.count_tokens([text])[0] for text in texts]
        assert counts == sorted(set(counts))

    def test_a_passage_that_is_too_long_is_refused(self, embedder: Embedder) -> None:
        """Nothing is cut in silence."""
        with pytest.raises(ValueError, match="token"):
            embedder.encode(["word " * (embedder.max_tokens + 1)], "passage")

    def test_a_query_that_is_too_long_is_read_in_full(self, embedder: Embedder) -> None:
        """Its end counts too."""
        start = "weather " * (embedder.max_tokens + 1)
        plain, ended = embedder.encode([start, start + "cat " * embedder.max_tokens], "query")
        assert np.linalg.norm(plain) == pytest.approx(1, abs=1e-5)
        cat = embedder.encode(["cat"], "query")[0]
        assert cat @ ended > cat @ plain


class RerankerContract:
    """Laws of the `Reranker` port; inherit and provide the fixture `reranker`."""

    query = "How does the cat sleep?"
    texts = (
        "Revenue rose by nine per cent in March.",
        "The cat does sleep on the sofa, day and night; how it sleeps is a riddle.",
        "A dog barks.",
    )

    @pytest.fixture
    def reranker(self) -> Reranker:
        """Return the reranker under test."""
        raise NotImplementedError

    @pytest.fixture
    def found(self) -> list[Passage]:
        """Return passages as a search would."""
        return [
            passage(text, score=1 - rank / 10, rank=rank)
            for rank, text in enumerate(self.texts, start=1)
        ]

    def test_it_is_a_reranker_with_a_name(self, reranker: Reranker) -> None:
        """Reports call it by that."""
        assert isinstance(reranker, Reranker)
        assert reranker.name

    def test_it_keeps_every_passage_once(self, reranker: Reranker, found: list[Passage]) -> None:
        """Nothing is lost, doubled or rewritten; what it was given stays as it was."""
        before = list(found)
        after = reranker.rerank(self.query, found)
        assert found == before
        assert sorted(p.uri for p in after) == sorted(p.uri for p in before)
        assert {p.uri: p.chunk for p in after} == {p.uri: p.chunk for p in before}

    def test_ranks_count_from_one_and_scores_fall(
        self, reranker: Reranker, found: list[Passage]
    ) -> None:
        """The order is that of the scores."""
        after = reranker.rerank(self.query, found)
        assert [p.rank for p in after] == [1, 2, 3]
        assert [p.score for p in after] == sorted((p.score for p in after), reverse=True)
        assert np.isfinite([p.score for p in after]).all()

    def test_the_passage_about_the_question_comes_first(
        self, reranker: Reranker, found: list[Passage]
    ) -> None:
        """That is what it is for."""
        assert reranker.rerank(self.query, found)[0].chunk.text == self.texts[1]

    def test_the_same_again_gives_the_same(self, reranker: Reranker, found: list[Passage]) -> None:
        """No state, no chance."""
        assert reranker.rerank(self.query, found) == reranker.rerank(self.query, found)

    def test_one_or_none_is_no_error(self, reranker: Reranker, found: list[Passage]) -> None:
        """Little may be found."""
        assert reranker.rerank(self.query, []) == []
        (only,) = reranker.rerank(self.query, found[:1])
        assert (only.uri, only.rank) == (found[0].uri, 1)


class WriterContract:
    """Laws of the `Writer` port; inherit and provide the fixture `writer`."""

    @pytest.fixture
    def writer(self) -> Writer:
        """Return the writer under test."""
        raise NotImplementedError

    def test_it_is_a_writer_with_a_name(self, writer: Writer) -> None:
        """Traces call it by that."""
        assert isinstance(writer, Writer)
        assert writer.name

    def test_each_task_gets_a_stripped_text_in_order(self, writer: Writer) -> None:
        """However many there are, none among them."""
        tasks = [WritingTask(instruction="Go on.", text=f"word {i}", max_tokens=4) for i in (1, 2)]
        texts = writer.write(tasks, deadline=time.monotonic() + 60)
        assert len(texts) == len(tasks)
        assert texts == [text.strip() for text in texts]
        assert writer.write([], deadline=time.monotonic() + 60) == []

    def test_what_is_not_done_in_time_is_late(self, writer: Writer) -> None:
        """Half a text is no text."""
        task = WritingTask(instruction="Go on.", text="word")
        with pytest.raises(LaneLateError):
            writer.write([task], deadline=time.monotonic() - 1)
