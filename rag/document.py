"""What retrieval is about: documents, chunks that are spans of them, and passages found.

All offsets are byte offsets into the UTF-8 form of a document's extracted text, so that
`text.encode()[start:end].decode() == chunk` holds in every language and every client.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A source after parsing: where it came from and the text that was extracted.

    `uri` identifies the source within its collection; `source_sha256` is the hash of the bytes it
    was parsed from and decides whether a later ingest has anything to do.
    """

    uri: str
    title: str
    text: str
    media_type: str
    source_sha256: str
    metadata: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.uri:
            raise ValueError("a document needs a uri")
        if not self.text.strip():
            raise ValueError(f"document {self.uri!r} has no text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A span of a document's text, with the headings above it (kept apart from citable text)."""

    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got {self.start}..{self.end}")
        if len(self.text.encode()) != self.end - self.start:
            raise ValueError(
                f"span {self.start}..{self.end} has {self.end - self.start} bytes, its text"
                f" {len(self.text.encode())}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk that was found: from which document, how near, at which rank (from 1).

    What a model wrote has the `origin` "model": it may help to find and to think, and nothing can
    cite it.
    """

    collection: str
    document_id: str
    title: str
    uri: str
    chunk: Chunk
    score: float
    rank: int
    origin: Literal["source", "model"] = "source"


def check_is_source(passage: Passage) -> None:
    """Refuse to cite what no source says.

    Raises:
        ValueError: a model wrote the passage.
    """
    if passage.origin != "source":
        raise ValueError("what a model wrote is no source, and nothing can cite it")


def passage_from_payload(payload: Mapping[str, Any]) -> Passage:
    """Rebuild a passage from the JSON values of its fields, as `dataclasses.asdict` has them."""
    chunk = payload["chunk"]
    return Passage(
        **{
            **payload,
            "chunk": Chunk(**{**chunk, "heading_path": tuple(chunk["heading_path"])}),
        }
    )
