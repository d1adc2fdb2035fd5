"""The texts of documents that were read lately, each checked against its hash."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import Connection, select

from index.errors import DamagedDocumentError
from index.tables import documents

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """The UTF-8 text of a document whose hash was found to be right."""

    uri: str
    sha256: str
    data: bytes

    def slice(self, start: int, end: int) -> str:
        """Return the text of a span; raises `DamagedDocumentError` where there is none."""
        try:
            if not 0 <= start < end <= len(self.data):
                raise ValueError(f"the text has {len(self.data)} bytes")  # noqa: TRY301
            return self.data[start:end].decode()
        except ValueError as error:
            raise DamagedDocumentError(
                f"document {self.uri!r} is damaged: its chunk {start}..{end} is not a span of its"
                f" text ({error}); delete it and ingest it again"
            ) from error


class TextCache:
    """Texts by document and hash, the latest of them up to `max_bytes`; safe for threads."""

    def __init__(self, max_bytes: int = 32 << 20) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._texts: OrderedDict[tuple[str, str], StoredText] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, connection: Connection, wanted: set[tuple[str, str]]) -> dict[str, StoredText]:
        """Return the texts of (document id, text hash) pairs, by id.

        The pairs come from the same transaction as `connection`.

        Raises:
            DamagedDocumentError: a stored text does not have its hash.
        """
        found: dict[str, StoredText] = {}
        with self._lock:
            for key in wanted:
                if key in self._texts:
                    self._texts.move_to_end(key)
                    found[key[0]] = self._texts[key]
        missing = sorted({document_id for document_id, _ in wanted} - found.keys())
        for i in range(0, len(missing), _BATCH):
            rows = connection.execute(
                select(
                    documents.c.id, documents.c.uri, documents.c.text_sha256, documents.c.text
                ).where(documents.c.id.in_(missing[i : i + _BATCH]))
            )
            for document_id, uri, sha256, data in rows:
                found[document_id] = self._checked(uri, sha256, data)
                self._keep((document_id, sha256), found[document_id])
        return found

    @staticmethod
    def _checked(uri: str, sha256: str, data: bytes) -> StoredText:
        actual = hashlib.sha256(data).hexdigest()
        if actual != sha256:
            raise DamagedDocumentError(
                f"document {uri!r} is damaged: its text has the SHA-256 {actual[:12]}…, not the"
                f" {sha256[:12]}… that was stored; delete it and ingest it again"
            )
        return StoredText(uri=uri, sha256=sha256, data=data)

    def _keep(self, key: tuple[str, str], text: StoredText) -> None:
        with self._lock:
            if key in self._texts:
                return
            self._texts[key] = text
            self._num_bytes += len(text.data)
            # The newest stays whatever its size: a long document is asked about more than once.
            while self._num_bytes > self._max_bytes and len(self._texts) > 1:
                _, oldest = self._texts.popitem(last=False)
                self._num_bytes -= len(oldest.data)
