"""A document of sections, each a chunk of its own, and how an ingest of it went."""

from pathlib import Path

from index.store import CollectionStore
from rag.ingest import Ingestor
from rag.ingest_plan import IngestPlan
from rag.ingest_report import FileReport, Outcome
from rag.ingest_source import scan
from rag.testing import HashingEmbedder

SUBJECTS = ("bees", "wasps", "ants", "hornets", "moths")


def sections(**changed: str) -> str:
    bodies = {subject: f"All about {subject}. " * 40 for subject in SUBJECTS} | changed
    return "# The guide\n\n" + "\n\n".join(f"## {s}\n\n{b}" for s, b in bodies.items())


def plan_of(ingestor: Ingestor, *paths: Path) -> IngestPlan:
    return ingestor.plan(scan(paths), "docs")


def applied(ingestor: Ingestor, *paths: Path, yes: bool = False) -> dict[str, FileReport]:
    plan = plan_of(ingestor, *paths)
    return {r.uri: r for r in ingestor.apply(plan, "docs", is_confirmed=yes)}


def counted(reports: dict[str, FileReport]) -> dict[str, tuple[str, int, int]]:
    """What changed: outcome, chunks embedded, chunks reused."""
    return {
        uri: (r.outcome.value, r.num_embedded, r.num_reused)
        for uri, r in reports.items()
        if r.outcome is not Outcome.UNCHANGED
    }


def found(store: CollectionStore, embedder: HashingEmbedder, words: str) -> set[str]:
    """The uris that either lane finds; what a search shows of them is checked by the store."""
    collection = store.open("docs")
    query = embedder.encode([words], "query")[0]
    embedder.batch_sizes.pop()  # a query is no passage
    by_vector = {hit.uri for hit in collection.search(query, 100)}
    return by_vector | {hit.uri for hit in collection.search_terms(words, 100)}
