"""Vectors that are stored already, for texts that are to be embedded again.

What decides is the whole text that the embedder would read, context and chunk: where it is equal,
the vector is. Edits, renames and other bounds of chunks then cost what they changed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from index.protocol import Item
from index.stored_passages import StoredPassages
from rag.document import Chunk, Document, sha256_hex
from rag.document_store import ReusablePassages
from rag.embedder import Embedder
from rag.passage_text import passage_texts
from rag.vector_queue import Ready

_MOST_GONE = 2000  # documents of which the texts are looked through for one that moved and changed


def embedded_texts(stored: StoredPassages, embedder: Embedder) -> list[str]:
    """Return what was embedded for the passages of a document."""
    found = [
        Chunk(
            start=one.start,
            end=one.end,
            text=one.text,
            heading_path=one.heading_path,
        )
        for one in stored.passages
    ]
    return passage_texts(stored.record.title, found, embedder, uri=stored.record.uri)


class VectorReuse:
    """Finds the stored vectors of texts; `with_tokens` where each needs its token vectors too.

    `gone` are the documents that this run removes: where a source is new, its texts are looked for
    in them. Their texts are read once, when first needed; of each, a hash is kept.
    """

    def __init__(
        self,
        stored: ReusablePassages,
        embedder: Embedder,
        *,
        with_tokens: bool,
        gone: Sequence[str] = (),
    ) -> None:
        self._stored = stored
        self._embedder = embedder
        self._with_tokens = with_tokens
        self._gone = gone[:_MOST_GONE]
        self._places: dict[bytes, str] | None = None

    def ready(self, texts: Sequence[str], document_ids: Iterable[str]) -> dict[int, Ready]:
        """Return the vectors of those of `texts` that one of the documents has, by their place."""
        wanted: dict[str, list[int]] = {}
        for i, text in enumerate(texts):
            wanted.setdefault(text, []).append(i)
        found: dict[int, Ready] = {}
        for document_id in dict.fromkeys(document_ids):
            if not wanted:
                break
            self._take(document_id, wanted, found)
        return found

    def moved(self, texts: Sequence[str]) -> dict[int, Ready]:
        """Return those that a document has which this run removes."""
        if not self._gone:
            return {}
        if self._places is None:
            self._places = self._read_gone()
        places = self._places
        return self.ready(texts, [places[h] for h in map(_hash, texts) if h in places])

    def _take(
        self, document_id: str, wanted: dict[str, list[int]], found: dict[int, Ready]
    ) -> None:
        stored = self._stored.passages(document_id)
        if stored is None:
            return
        for text, one in zip(embedded_texts(stored, self._embedder), stored.passages, strict=True):
            if text not in wanted or one.vector is None:
                continue
            if self._with_tokens and one.token_vectors is None:
                continue
            ready = Ready(vector=one.vector, tokens=one.token_vectors)
            for i in wanted.pop(text):
                found[i] = ready

    def _read_gone(self) -> dict[bytes, str]:
        places: dict[bytes, str] = {}
        for document_id in self._gone:
            stored = self._stored.passages(document_id)
            if stored is not None:
                for text in embedded_texts(stored, self._embedder):
                    places.setdefault(_hash(text), document_id)
        return places


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def same_source(known: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the uris that documents of the same bytes have, by the hash of the bytes."""
    uris: dict[str, list[str]] = {}
    for uri, sha256 in known.items():
        uris.setdefault(sha256, []).append(uri)
    return uris


def is_as_stored(document: Document, items: Sequence[Item], stored: StoredPassages) -> bool:
    """Whether storing a document would change nothing, its vectors included."""
    record = stored.record
    return (
        (record.title, record.media_type) == (document.title, document.media_type)
        and record.text_sha256 == sha256_hex(document.text.encode(errors="surrogatepass"))
        and dict(record.metadata) == dict(document.metadata)
        and [Item(start=p.start, end=p.end, heading_path=p.heading_path) for p in stored.passages]
        == list(items)
        and all(passage.vector is not None for passage in stored.passages)
    )
