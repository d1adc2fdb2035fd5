"""A process that ingests a folder slowly, so that tests can kill it: DATABASE FOLDER."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.database import open_database
from index.store import CollectionStore
from rag.embedder import TextKind
from rag.ingest import Ingestor
from rag.ingest_source import scan
from rag.testing import HashingEmbedder


class SlowEmbedder(HashingEmbedder):
    """Takes a while for each batch, and says on standard output how many texts it has done."""

    def encode(self, texts: Sequence[str], kind: TextKind) -> np.ndarray:
        time.sleep(0.02)
        vectors = super().encode(texts, kind)
        sys.stdout.write(f"{self.num_encoded}\n")
        sys.stdout.flush()
        return vectors


if __name__ == "__main__":
    address, folder = sys.argv[1:]
    database = open_database(address)
    ingestor = Ingestor(CollectionStore(database, threads=1), SlowEmbedder())
    ingestor.apply(ingestor.plan(scan([Path(folder)]), "docs"), "docs", is_confirmed=True)
