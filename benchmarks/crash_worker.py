"""One writer of the crash test: does random work on a collection and says what it does.

Every text names its document and version, and every vector follows from its text and embedder, so
that whoever looks afterwards needs to know the journal alone. Lines of the journal: `begin` before
an operation, `end` once it was acknowledged.
"""

import hashlib
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.database import open_database
from index.protocol import Item, Metric, NewDocument
from index.reembedding import NewEmbedder
from index.sealing import Sealing
from index.store import CollectionStore
from index.stored_texts import ChunkText

NAME = "crash"
DIM = 8
KINDS = ("ingest", "delete", "seal", "compact", "reembed", "purge")
NUM_URIS = 24


def vector_of(text: str, fingerprint: str) -> np.ndarray:
    """Small whole numbers: inner products are exact."""
    digest = hashlib.blake2b(f"{fingerprint} {text}".encode(), digest_size=DIM).digest()
    return np.frombuffer(digest, np.uint8).astype(np.float32) % 7 - 3


def embedder(fingerprint: str) -> NewEmbedder:
    def encode(chunks: Sequence[ChunkText]) -> np.ndarray:
        return np.stack([vector_of(chunk.text, fingerprint) for chunk in chunks])

    return NewEmbedder(name=fingerprint, fingerprint=fingerprint, dim=DIM, encode=encode)


def words_of(uri: str, version: int, num_chunks: int) -> list[str]:
    return [f"doc{uri} version{version} part{i} " for i in range(num_chunks)]


def document(uri: str, version: int, num_chunks: int, fingerprint: str) -> NewDocument:
    texts = words_of(uri, version, num_chunks)
    ends = np.cumsum([len(text) for text in texts]).tolist()
    return NewDocument(
        uri=uri, title=uri, media_type="text/plain", source_sha256=str(version),
        text="".join(texts),
        items=[Item(start=a, end=b) for a, b in zip([0, *ends], ends, strict=False)],
        vectors=np.stack([vector_of(text, fingerprint) for text in texts]),
    )  # fmt: skip


def create(url: str) -> None:
    database = open_database(url)
    CollectionStore(database, threads=1).create(
        NAME, embedder="e0", fingerprint="e0", dim=DIM, metric=Metric.INNER_PRODUCT
    )
    database.dispose()


class Writer:
    """Works on one collection until it is killed."""

    def __init__(self, url: str, journal: Path, seed: int) -> None:
        self._database = open_database(url)
        self._store = CollectionStore(self._database, threads=1)
        self._collection = self._store.open(NAME)
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._rng = random.Random(seed)

    def work(self, kind: str) -> None:
        """Do operations, most of them of one kind; never returns."""
        while True:
            chosen = kind if self._rng.random() < 0.5 else self._rng.choice(KINDS[:3])
            self.do(chosen)

    def do(self, kind: str) -> None:
        rng = self._rng
        uris = [str(rng.randrange(NUM_URIS)) for _ in range(rng.randint(1, 3))]
        versions = {uri: (rng.randrange(10**9), rng.randint(1, 12)) for uri in uris}
        fingerprint = self._store.info(NAME).fingerprint
        target = rng.choice(["e0", "e1"])
        self._say("begin", kind, versions if kind == "ingest" else uris[0])
        if kind == "ingest":
            self._collection.upsert_many(
                [document(uri, v, n, fingerprint) for uri, (v, n) in versions.items()],
                fingerprint=fingerprint,
            )
        elif kind in {"delete", "purge"}:
            record = self._collection.find(uris[0])
            if record is not None and kind == "delete":
                self._collection.delete(record.id)
            elif record is not None:
                self._store.maintenance(NAME).purge([record.id])
        elif kind == "reembed":
            self._store.reembedding(NAME).run(embedder(target))
        else:
            live = self._collection._live  # noqa: SLF001  # its files, as the upkeep has them
            Sealing(self._database, live.key, live.folder, threads=1).run(
                fewest=1 if kind == "seal" else 4096, wait=True, purge=kind == "compact"
            )
        self._say("end", kind, None)

    def _say(self, what: str, kind: str, about: object) -> None:
        os.write(self._journal, (json.dumps([what, kind, about]) + "\n").encode())
