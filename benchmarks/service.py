"""The one place where a benchmark builds the real service: settings → agent over a fresh corpus."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from api.application import Agent
from api.bootstrap import build
from api.settings import load_settings
from rag.python_reference import language_topics, library_docstrings

COLLECTION = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A `DialogAgent`, the collection to ask, and how many threads the engine uses."""

    agent: Agent
    collection: str
    threads: int


@contextmanager
def open_agent(scope: str) -> Iterator[Service]:
    """Index the default corpus (`scope` "topics" or "all") in a folder of its own, yield the agent.

    The default models must be there already (`python -m api models pull`).
    """
    with tempfile.TemporaryDirectory(prefix="causerie-benchmark-") as state:
        services = build(load_settings(state=Path(state)))
        try:
            documents = language_topics()
            if scope == "all":
                documents += library_docstrings()
            services.ingestor.ingest_documents(documents, COLLECTION, total=len(documents))
            yield Service(
                agent=services.agent, collection=COLLECTION, threads=torch.get_num_threads()
            )
        finally:
            services.close()
