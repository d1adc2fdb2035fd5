"""The files of one collection beside the database, and when more of them should be written."""

from collections.abc import Callable
from pathlib import Path

from index.acknowledged import Acknowledged
from index.index_folder import IndexFolder
from index.live_index import SEAL_ROWS


class CollectionFiles:
    """Where they are; `on_due` is called after each `SEAL_ROWS` chunks that were written here."""

    def __init__(self, path: Path, *, on_due: Callable[[], None]) -> None:
        self.folder = IndexFolder(path)
        self.acknowledged = Acknowledged(folder=path)
        self.on_due = on_due
        self._num_new = 0

    def wrote(self, num_chunks: int) -> None:
        """Count what was written."""
        self._num_new += num_chunks
        if self._num_new >= SEAL_ROWS:
            self._num_new = 0
            self.on_due()
