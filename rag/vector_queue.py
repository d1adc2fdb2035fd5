"""Texts of many documents on their way to an embedder, in full batches.

Small documents share batches, and the texts of a batch are of about one length, which spares the
embedder padding. A document comes back once all its vectors are there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from index.token_vectors import TokenVectors
from rag.embedder import Embedder
from rag.late_interaction import TokenEncoder, passage_tokens

MAX_BATCH = 8
_WINDOW = 128  # texts that are sorted by length before they are cut into batches


class Ready(NamedTuple):
    """The vectors of one text that need not be made; `tokens` where they are asked for."""

    vector: Float[np.ndarray, " d"]
    tokens: TokenVectors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The vectors of the texts that were put in under `key`, or the sentence why there are none.

    `num_embedded` of them were made here, the others were ready.
    """

    key: int
    vectors: Float[np.ndarray, "n d"]
    token_vectors: Sequence[TokenVectors] | None = None
    failure: str = ""
    num_embedded: int = 0


@dataclass(slots=True, eq=False)
class _Work:
    key: int
    texts: list[str]
    vectors: Float[np.ndarray, "n d"]
    num_open: int
    num_embedded: int
    tokens: list[TokenVectors | None]
    failures: list[str] = field(default_factory=list)


class _Entry(NamedTuple):
    work: _Work
    i: int

    @property
    def text(self) -> str:
        return self.work.texts[self.i]


class VectorQueue:
    """Gathers texts and embeds them.

    With `most_tokens`, up to so many vectors of its tokens come with each text.

    `before_batch` may block, or return False to stop: what is done by then is handed out, the rest
    stays. `after_batch` is told the key of a document in the batch.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        before_batch: Callable[[], bool],
        after_batch: Callable[[int], None],
        most_tokens: int = 0,
    ) -> None:
        """Take the embedder; raises `ValueError` where it gives no vectors of tokens, if asked."""
        self._tokens = embedder if isinstance(embedder, TokenEncoder) else None
        if most_tokens and self._tokens is None:
            raise ValueError(
                f"the collection keeps token vectors, which {embedder.name} does not give; ingest"
                " into one without"
            )
        self._most_tokens = most_tokens
        self._embedder = embedder
        self._before_batch = before_batch
        self._after_batch = after_batch
        self._waiting: list[_Entry] = []
        self._finished: list[Embedded] = []
        self.num_texts = 0
        self.num_embedded = 0

    @property
    def has_full_window(self) -> bool:
        """Whether there is enough to embed without wasting a batch, or to hand out."""
        return len(self._waiting) >= _WINDOW or len(self._finished) >= _WINDOW

    @property
    def is_empty(self) -> bool:
        """Whether every text that was put in is embedded, and handed out."""
        return not (self._waiting or self._finished)

    def put(self, key: int, texts: Sequence[str], ready: Mapping[int, Ready] | None = None) -> None:
        """Add the texts of a document, at least one; `ready` has the vectors of some by place."""
        ready = ready or {}
        vectors = np.zeros((len(texts), self._embedder.dim), np.float32)
        num_open = len(texts) - len(ready)
        work = _Work(key, list(texts), vectors, num_open, num_open, [None] * len(texts))
        for i, one in ready.items():
            work.vectors[i], work.tokens[i] = one
        self._waiting += [_Entry(work, i) for i in range(len(texts)) if i not in ready]
        self.num_texts += num_open
        if not num_open:
            self._finish(work)

    def embed_window(self) -> list[Embedded]:
        """Embed up to 128 of the texts that wait; return the documents that are complete now."""
        window, rest = self._waiting[:_WINDOW], self._waiting[_WINDOW:]
        window.sort(key=lambda entry: len(entry.text))
        while window and self._before_batch():
            batch, window = window[:MAX_BATCH], window[MAX_BATCH:]
            self._embed(batch)
            self.num_embedded += len(batch)
            self._after_batch(batch[-1].work.key)
        self._waiting = window + rest
        finished, self._finished = self._finished, []
        return finished

    def _embed(self, batch: Sequence[_Entry]) -> None:
        texts = [entry.text for entry in batch]
        tokens: list[TokenVectors] = []
        try:
            vectors = self._embedder.encode(texts, "passage")
            if self._most_tokens and self._tokens is not None:
                tokens = passage_tokens(self._tokens, texts, self._most_tokens)
        except ValueError as error:
            if len(batch) > 1:  # find the text that is to blame; the others are none the worse
                for entry in batch:
                    self._embed([entry])
            else:
                batch[0].work.failures.append(str(error))
                self._close(batch[0])
            return
        for i, (entry, vector) in enumerate(zip(batch, vectors, strict=True)):
            entry.work.vectors[entry.i] = vector
            entry.work.tokens[entry.i] = tokens[i] if tokens else None
            self._close(entry)

    def _close(self, entry: _Entry) -> None:
        work = entry.work
        work.texts[entry.i] = ""
        work.num_open -= 1
        if not work.num_open:
            self._finish(work)

    def _finish(self, work: _Work) -> None:
        tokens = [each for each in work.tokens if each is not None]
        self._finished.append(
            Embedded(
                key=work.key,
                vectors=work.vectors,
                token_vectors=tokens if self._most_tokens else None,
                failure=work.failures[0] if work.failures else "",
                num_embedded=work.num_embedded,
            )
        )
