"""The fields of metadata that a collection declares: their kinds, and their values by document."""

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select

from index.errors import FilterError
from index.filters import DOCUMENT_FIELDS, Kind, check_field, kind_of
from index.protocol import DocumentRecord
from index.tables import field_values, fields


def check_names(kinds: Mapping[str, Kind]) -> None:
    """Raise `ValueError` where a name cannot be declared."""
    for name in kinds:
        try:
            check_field(name)
        except FilterError as error:
            raise ValueError(str(error)) from error
        if name in DOCUMENT_FIELDS:
            raise ValueError(f"every document has the field {name!r}; it cannot be declared")


def declare(connection: Connection, collection_id: int, kinds: Mapping[str, Kind]) -> None:
    """Write what a new collection declares.

    Raises:
        ValueError: a name cannot be a field's, or is that of a field that every document has.
    """
    check_names(kinds)
    if kinds:
        connection.execute(
            insert(fields),
            [
                {"collection_id": collection_id, "name": name, "kind": kind.value}
                for name, kind in kinds.items()
            ],
        )


def declared(connection: Connection, collection_id: int) -> dict[str, Kind]:
    """Return the declared fields of a collection."""
    rows = connection.execute(
        select(fields.c.name, fields.c.kind)
        .where(fields.c.collection_id == collection_id)
        .order_by(fields.c.name)
    )
    return {name: Kind(kind) for name, kind in rows}


def check_declared(
    records: Sequence[DocumentRecord], kinds: Mapping[str, Kind], collection: str
) -> None:
    """Raise `ValueError` where a document has a value of another kind than declared."""
    for record in records:
        for name, kind in kinds.items():
            value = record.metadata.get(name)
            if value is not None and (
                kind_of(value) is not kind
                or (isinstance(value, float) and not math.isfinite(value))
            ):
                raise ValueError(
                    f"field {name!r} of collection {collection!r} is declared as {kind}, document"
                    f" {record.uri!r} has {value!r}"
                )


def insert_values(
    connection: Connection,
    collection_id: int,
    records: Sequence[DocumentRecord],
    kinds: Mapping[str, Kind],
) -> None:
    """Write the declared fields of new documents."""
    rows = [
        {
            "document_id": record.id,
            "name": name,
            "collection_id": collection_id,
            "text": value if kind is Kind.TEXT else None,
            "number": None if kind is Kind.TEXT else float(value),
        }
        for record in records
        for name, kind in kinds.items()
        if (value := record.metadata.get(name)) is not None
    ]
    if rows:
        connection.execute(insert(field_values), rows)
