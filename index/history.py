"""What a collection keeps of earlier writes, and what is let go of it.

A state can be asked for as long as its write stands in `commits`: everything that was there then is
kept. Trimming takes away the oldest writes, and with them what was deleted before the first one
that is kept. Nothing that lives, and no state that has a name, is touched. It is no purge: what is
removed is not overwritten.
"""

from sqlalchemy import Engine, delete, func, select

from index.commit_log import first_write
from index.database import writing
from index.document_rows import serving
from index.index_folder import IndexFolder
from index.inspection import Trimmed
from index.live_index import CollectionKey
from index.tables import commits, old_chunks, old_documents, oplog, snapshots


class History:
    """The earlier writes of one collection."""

    def __init__(self, database: Engine, key: CollectionKey, folder: IndexFolder) -> None:
        self._database = database
        self._key = key
        self._folder = folder

    def trim(self, keep_writes: int) -> Trimmed:
        """Keep the states of the last writes, and all since the oldest that has a name.

        The write that the index files were made of is kept as well.

        Raises:
            ValueError: `keep_writes` is below 1.
            UnknownCollectionError: the collection was deleted.
        """
        if keep_writes < 1:
            raise ValueError(
                f"keep_writes must be >= 1, got {keep_writes}: the present state is always kept"
            )
        mine = self._key.id
        manifest = self._folder.manifest(self._folder.pointer())
        with writing(self._database) as connection:
            now = serving(connection, mine, self._key.name)
            named = connection.scalar(
                select(func.min(snapshots.c.seq)).where(snapshots.c.collection_id == mine)
            )
            since = min(
                now.seq - keep_writes + 1,
                now.seq if named is None else int(named),
                now.seq if manifest is None else manifest.seq,
            )
            if since <= first_write(connection, mine):
                return Trimmed(since=first_write(connection, mine), num_documents=0, num_chunks=0)
            gone = select(oplog.c.chunk_id).where(
                oplog.c.collection_id == mine, oplog.c.op == "delete", oplog.c.seq <= since
            )
            connection.execute(
                delete(oplog).where(oplog.c.collection_id == mine, oplog.c.chunk_id.in_(gone))
            )
            num_documents, num_chunks = (
                connection.execute(
                    delete(table).where(table.c.collection_id == mine, table.c.seq_deleted <= since)
                ).rowcount
                for table in (old_documents, old_chunks)
            )
            connection.execute(
                delete(commits).where(commits.c.collection_id == mine, commits.c.seq < since)
            )
        return Trimmed(since=since, num_documents=num_documents, num_chunks=num_chunks)
