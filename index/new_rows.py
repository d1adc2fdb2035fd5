"""New documents, checked and turned into the rows that store them."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float, Float32

from index.analyser import analyse
from index.lexical_query import written
from index.protocol import DocumentRecord, Item, NewDocument
from index.stop_words import Language
from index.unicode_text import is_unicode

# Squares of larger components overflow single precision, and with it the order of results.
LARGEST_COMPONENT = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTerms:
    """What is kept of one chunk's words, separated by spaces.

    The terms of its text, those of its title and headings, and the words of both as written.
    """

    lex: str
    heading: str
    surface: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedDocument:
    """A document that may be stored: bytes, terms and vectors as they will lie in the database."""

    document: NewDocument
    data: bytes
    terms: tuple[ChunkTerms, ...]
    vectors: Float32[np.ndarray, "n d"]

    def record(self, document_id: str, created_at: datetime) -> DocumentRecord:
        """Return what will be stored of the document beside its text."""
        return DocumentRecord(
            id=document_id,
            uri=self.document.uri,
            title=self.document.title,
            media_type=self.document.media_type,
            source_sha256=self.document.source_sha256,
            text_sha256=hashlib.sha256(self.data).hexdigest(),
            num_bytes=len(self.data),
            num_chunks=len(self.document.items),
            created_at=created_at,
            metadata=dict(self.document.metadata),
        )


def document_id_of(collection: str, uri: str) -> str:
    """Return the id of the document at `uri`, the same whenever it is stored."""
    return hashlib.sha256(f"{collection}\0{uri}".encode()).hexdigest()[:32]


def check_document(
    document: NewDocument, *, dim: int, language: Language = Language.ENGLISH
) -> CheckedDocument:
    """Return the document as it will be stored.

    Raises:
        ValueError: the uri is empty, the text is not Unicode, what is said of it holds NUL, a span
            is not one of its text, or the vectors are too few, too wide or not finite.
    """
    if not document.uri:
        raise ValueError("a document needs a uri")
    for name in ("uri", "title", "text"):
        if not is_unicode(getattr(document, name)):
            raise ValueError(
                f"the {name} of document {document.uri!r} holds lone surrogates, which are no text;"
                " decode it with errors='replace'"
            )
    _check_described(document)
    data = document.text.encode()
    _check_spans(document.uri, data, document.items)
    vectors = np.ascontiguousarray(document.vectors)
    if vectors.shape != (len(document.items), dim):
        raise ValueError(
            f"document {document.uri!r} has {len(document.items)} chunks for a collection of"
            f" {dim}-dimensional vectors, but its vectors have the shape {vectors.shape}"
        )
    check_components(vectors, f"a vector of document {document.uri!r}")
    terms = tuple(
        chunk_terms(
            document.title, item.heading_path, data[item.start : item.end].decode(), language
        )
        for item in document.items
    )
    return CheckedDocument(document=document, data=data, terms=terms, vectors=vectors.astype("<f4"))


def chunk_terms(
    title: str, heading_path: Sequence[str], text: str, language: Language
) -> ChunkTerms:
    """Return the terms of a chunk's text, and those of the words that stand above it."""
    above = "\n".join([title, *heading_path])
    return ChunkTerms(
        lex=" ".join(analyse(text, language)),
        heading=" ".join(analyse(above, language)),
        # No word is a pilcrow: no phrase reaches from the text into what stands above it.
        surface=" ".join([*written(text), "\u00b6", *written(above)]),
    )


def check_components(vectors: Float[np.ndarray, "..."], what: str) -> None:
    """Raise `ValueError` where a component is not a number or too large to compare."""
    # Not `max > largest`, which lets NaN pass.
    if not np.abs(vectors).max(initial=0.0) <= LARGEST_COMPONENT:
        raise ValueError(
            f"{what} has components that are not finite or larger than {LARGEST_COMPONENT:g};"
            " normalise it"
        )


def _check_described(document: NewDocument) -> None:
    """Raise `ValueError` where what is said of a document is not the same in every database.

    PostgreSQL holds no NUL, and its JSON no number that is beyond double precision.
    """
    for name in ("uri", "title", "media_type", "source_sha256"):
        if "\0" in getattr(document, name):
            raise ValueError(
                f"the {name} of document {document.uri!r} holds the character NUL; remove it"
            )
    for name, value in document.metadata.items():
        for part in (name, *_parts(value)):
            if isinstance(part, str) and ("\0" in part or not is_unicode(part)):
                raise ValueError(
                    f"field {name!r} of document {document.uri!r} holds the character NUL or a lone"
                    " surrogate; remove it"
                )
            if isinstance(part, int | float) and not _is_double(part):
                raise ValueError(
                    f"field {name!r} of document {document.uri!r} holds a number that is not finite"
                    " in double precision; give it as a text"
                )


def _parts(value: object) -> Iterator[object]:
    """Give all plain values within a JSON value."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield name
                yield from _parts(inner)
        case list() | tuple():
            for inner in value:
                yield from _parts(inner)
        case _:
            yield value


def _is_double(number: int | float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _check_spans(uri: str, data: bytes, items: Sequence[Item]) -> None:
    for item in items:
        if not 0 <= item.start < item.end <= len(data):
            raise ValueError(
                f"document {uri!r} has {len(data)} bytes, its chunk {item.start}..{item.end} is not"
                " a span of them; 0 <= start < end <= bytes must hold"
            )
        if _splits_character(data, item.start) or _splits_character(data, item.end):
            raise ValueError(
                f"chunk {item.start}..{item.end} of document {uri!r} cuts a character in two; spans"
                " are byte offsets into the UTF-8 text"
            )


def _splits_character(data: bytes, offset: int) -> bool:
    return offset < len(data) and data[offset] & 0xC0 == 0x80
