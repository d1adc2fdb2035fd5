"""The URLs among what `python -m api ingest` is given."""

from collections.abc import Sequence

from api.settings import Settings
from index.errors import UnknownCollectionError
from index.protocol import DocumentRecord
from rag.web_address import normalised
from rag.web_source import KnownPage, WebSource


def is_url(word: str) -> bool:
    """Return whether an argument is meant as a URL, and not as a path."""
    return "://" in word


def web_sources(
    words: Sequence[str], settings: Settings, tenant: str, collection: str, *, allow_private: bool
) -> list[WebSource]:
    """Return the pages to fetch, each with what the collection knows of it."""
    from api.cli.index_options import opened_store  # noqa: PLC0415  # not for help

    if not words:
        return []
    records: list[DocumentRecord | None] = [None] * len(words)
    with opened_store(settings, tenant) as store:
        try:
            stored = store.open(collection)
            records = [stored.find(normalised(word)) for word in words]
        except UnknownCollectionError:
            pass  # nothing is known of them
    return [
        WebSource(word, known=_known(record), allow_private=allow_private)
        for word, record in zip(words, records, strict=True)
    ]


def _known(record: DocumentRecord | None) -> KnownPage | None:
    if record is None:
        return None
    return KnownPage(source_sha256=record.source_sha256, metadata=record.metadata)
