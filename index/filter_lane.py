"""The chunks that a filter allows in one state of a collection, found by SQL and kept for a while.

Letters: `m` chunks.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64
from sqlalchemy import Connection, Select

from index.filter_sql import FilterScope, chunk_ids
from index.filters import Filter, Kind, filter_to_json
from index.lexical import LexicalTable
from index.stop_words import Language

_MOST_KEPT = 32


class FilterLane:
    """Finds what filters allow in one collection; safe for threads."""

    def __init__(
        self,
        collection_id: int,
        fields: Mapping[str, Kind],
        table: LexicalTable,
        language: Language,
    ) -> None:
        self.fields = dict(fields)
        self._collection_id = collection_id
        self._table = table
        self._language = language
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, str], Int64[np.ndarray, " m"]] = OrderedDict()

    def allowed(
        self,
        connection: Connection,
        where: Filter | None,
        seq: int,
        *,
        words: Connection | None = None,
    ) -> Int64[np.ndarray, " m"] | None:
        """Return the ids of all chunks that a filter finds, ascending; None without a filter.

        `seq` is that of the caller's transaction, and of `words` where those are in another
        database.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
        """
        if where is None:
            return None
        key = (seq, json.dumps(filter_to_json(where)))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        result = connection.execute(chunk_ids(where, self.scope(connection, words)))
        found = np.fromiter((chunk_id for (chunk_id,) in result), np.int64)
        found.sort()
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def scope(self, connection: Connection, words: Connection | None = None) -> FilterScope:
        """Return what filters of this collection are compiled for."""

        def matching(text: str) -> Select[Any] | Sequence[int]:
            query = self._table.holding(text, self._language)
            if words is None or words is connection:
                return query
            return words.scalars(query).all()

        return FilterScope(
            collection_id=self._collection_id,
            fields=self.fields,
            matching=matching,
            is_postgres=connection.dialect.name == "postgresql",
        )
