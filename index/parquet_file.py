"""Exported collections as Parquet: a row for each document, and the collection in the metadata."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from index.errors import DriverMissingError, PortableFormatError
from index.portable import PortableHeader, in_batches, vectors_of
from index.protocol import Item, NewDocument

_KEY = b"causerie"
_ROWS = 64  # of a row group, which is in memory as a whole
_BYTES = 32 << 20


def write_parquet(path: Path, header: PortableHeader, documents: Iterator[NewDocument]) -> None:
    """Write a collection; raises `DriverMissingError` where pyarrow is not installed."""
    arrow, parquet = _pyarrow()
    schema = _schema(arrow).with_metadata({_KEY: header.to_json().encode()})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in in_batches(documents, num=_ROWS, num_bytes=_BYTES):
            rows = [_to_row(document) for document in batch]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def read_parquet(path: Path) -> tuple[PortableHeader, Iterator[NewDocument]]:
    """Return what `write_parquet` wrote; documents are read as they are asked for.

    Raises:
        DriverMissingError: pyarrow is not installed.
        PortableFormatError: it is another file; comes while the documents are read, too.
    """
    arrow, parquet = _pyarrow()
    try:
        file = parquet.ParquetFile(path)
        header = PortableHeader.from_json((file.schema_arrow.metadata or {})[_KEY].decode())
    except (arrow.ArrowException, KeyError, UnicodeDecodeError) as error:
        raise PortableFormatError(
            f"{path} is not an exported collection ({error}); export one with"
            " 'python -m api index export'"
        ) from error
    return header, _documents(path, file, header.dim, arrow)


def _documents(path: Path, file: Any, dim: int, arrow: Any) -> Iterator[NewDocument]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield _from_row(row, dim)
    except (arrow.ArrowException, ValueError, KeyError, TypeError) as error:
        raise PortableFormatError(
            f"row {number} of {path} is not an exported document ({error}); what stood before it"
            " is stored, mend it and import again"
        ) from error


def _schema(arrow: Any) -> Any:
    text = arrow.string()
    return arrow.schema(
        [
            *((name, text) for name in ("uri", "title", "media_type", "source_sha256")),
            ("metadata", text),  # JSON: documents need not have the same fields
            ("text", text),
            ("starts", arrow.list_(arrow.int64())),
            ("ends", arrow.list_(arrow.int64())),
            ("heading_paths", arrow.list_(arrow.list_(text))),
            ("vectors", arrow.large_binary()),  # little-endian float32, one after the other
        ]
    )


def _to_row(document: NewDocument) -> dict[str, Any]:
    return {
        "uri": document.uri,
        "title": document.title,
        "media_type": document.media_type,
        "source_sha256": document.source_sha256,
        "metadata": json.dumps(dict(document.metadata), ensure_ascii=False),
        "text": document.text,
        "starts": [item.start for item in document.items],
        "ends": [item.end for item in document.items],
        "heading_paths": [list(item.heading_path) for item in document.items],
        "vectors": document.vectors.astype("<f4").tobytes(),
    }


def _from_row(row: dict[str, Any], dim: int) -> NewDocument:
    items = [
        Item(start=start, end=end, heading_path=tuple(path))
        for start, end, path in zip(row["starts"], row["ends"], row["heading_paths"], strict=True)
    ]
    return NewDocument(
        uri=row["uri"],
        title=row["title"],
        media_type=row["media_type"],
        source_sha256=row["source_sha256"],
        text=row["text"],
        items=items,
        vectors=vectors_of(row["vectors"], len(items), dim),
        metadata=json.loads(row["metadata"]),
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise DriverMissingError(
            "Parquet files are read and written by pyarrow, which is not installed; install the"
            " extra (pip install -e '.[parquet]') or use a .jsonl file"
        ) from error
