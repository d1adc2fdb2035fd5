"""Where the numbered writes of a collection begin."""

from sqlalchemy import Connection, func, select

from index.tables import commits


def first_write(connection: Connection, collection_id: int) -> int:
    """Return the first write whose state can be asked for, 0 where there is none yet."""
    first = connection.scalar(
        select(func.min(commits.c.seq)).where(commits.c.collection_id == collection_id)
    )
    return int(first or 0)
