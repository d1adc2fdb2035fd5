"""All collections of a database: made, listed, opened and deleted by name."""

import builtins
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select

from index.analyser import fingerprint as analyser_fingerprint
from index.analyser import language_of
from index.collection import StoredCollection
from index.collection_files import CollectionFiles
from index.database import is_on_server, reading, writing
from index.declared_fields import declare, declared
from index.derived_lexical import DerivedWords, OwnWords, WordSource
from index.durable_files import remove_tree
from index.errors import CollectionExistsError, UnknownCollectionError
from index.filter_lane import FilterLane
from index.filters import Kind
from index.lexical import LexicalTable
from index.lexical_file import LexicalFile
from index.lexical_lane import LexicalLane
from index.live_index import CollectionKey, LiveIndex
from index.maintenance import CanaryLog, Maintenance
from index.portable import PortableHeader, exported
from index.protocol import CollectionInfo, Metric, NewDocument
from index.reembedding import Reembedding
from index.sealing import Sealing
from index.stop_words import Language
from index.tables import chunks, collections, documents, token_options, vector_sets
from index.term_renewal import renew_terms
from index.text_cache import TextCache
from index.token_rows import check_most, declare_tokens, token_bytes
from index.tuning_store import TuningStore
from index.upkeep import Upkeep
from index.versions import Versions

LEXICAL_FILE = "keywords.sqlite"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def check_collection_name(name: str) -> None:
    """Raise `ValueError` where `name` cannot be a collection's."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"collection name {name!r} must be 1 to 64 of the characters A-Z a-z 0-9 _ . - and"
            " start with a letter or digit"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Opened:
    """What is kept of a collection between calls."""

    live: LiveIndex
    lane: LexicalLane
    filters: FilterLane
    files: CollectionFiles
    canaries: CanaryLog


class CollectionStore:
    """The collections of one database; safe for threads, and open to other processes' writes.

    An index is opened at the first search of its collection and kept. Its files lie in `folder`,
    which is `index` beside the database unless another is given; they are written by a thread of
    their own once there is enough to write, until `close`. Where the database is on a server, the
    keyword index lies there as well.
    """

    def __init__(self, database: Engine, *, threads: int, folder: Path | None = None) -> None:
        if threads < 1:
            raise ValueError(f"threads must be >= 1, got {threads}")
        if folder is None and is_on_server(database):
            raise ValueError(
                "a database on a server needs a folder of this machine for what is derived from it"
            )
        self._lexical_file = None
        if folder is not None and is_on_server(database):
            self._lexical_file = LexicalFile(folder / LEXICAL_FILE)
        self._database = database
        self._threads = threads
        self._texts = TextCache()
        self._live: dict[int, LiveIndex] = {}
        self._lanes: dict[int, LexicalLane] = {}
        self._filters: dict[int, FilterLane] = {}
        self._files: dict[int, CollectionFiles] = {}
        self._canaries: dict[int, CanaryLog] = {}
        self._lock = threading.Lock()
        self._folder = folder or Path(str(database.url.database)).parent / "index"
        self._upkeep = Upkeep(self._write_files)

    def close(self) -> None:
        """Stop writing files, after the step at hand; collections can still be used."""
        self._upkeep.close()
        if self._lexical_file is not None:
            self._lexical_file.close()

    def create(  # noqa: PLR0913  # all by name
        self,
        name: str,
        *,
        embedder: str,
        fingerprint: str,
        dim: int,
        metric: Metric = Metric.COSINE,
        language: Language = Language.ENGLISH,
        fields: Mapping[str, Kind] | None = None,
        token_vectors: int = 0,
    ) -> CollectionInfo:
        """Make an empty collection for the vectors of one embedder and texts of one language.

        `fields` of the documents' metadata are declared with their kinds: filters find them
        quickly, and a document with a value of another kind is refused. Of each chunk up to
        `token_vectors` vectors of its tokens are kept, which documents must bring.

        Raises:
            CollectionExistsError: the name is taken.
            ValueError: the name or `dim` cannot be used.
        """
        check_collection_name(name)
        if dim < 1:
            raise ValueError(f"dim must be >= 1, got {dim}")
        check_most(token_vectors)
        with writing(self._database) as connection:
            if connection.scalar(select(collections.c.id).where(collections.c.name == name)):
                raise CollectionExistsError(
                    f"collection {name!r} exists already; choose another name or delete it first"
                )
            collection_id = connection.scalar(
                insert(collections)
                .values(
                    name=name,
                    embedder=embedder,
                    fingerprint=fingerprint,
                    dim=dim,
                    metric=metric.value,
                    analyser=analyser_fingerprint(language),
                    seq=0,
                    seq_deleted=0,
                    created_at=datetime.now(UTC),
                )
                .returning(collections.c.id)
            )
            connection.execute(
                insert(vector_sets).values(
                    collection_id=collection_id,
                    embedder=embedder,
                    fingerprint=fingerprint,
                    dim=dim,
                    created_at=datetime.now(UTC),
                )
            )
            if self._lexical_file is None:
                LexicalTable(int(collection_id or 0)).create(connection)
            declare(connection, int(collection_id or 0), fields or {})
            declare_tokens(connection, int(collection_id or 0), token_vectors)
            # What lies there is of another database that stood in this place.
            remove_tree(self._folder / str(collection_id))
            return _info(connection, name)

    def info(self, name: str) -> CollectionInfo:
        """Return what a collection is and holds; raises `UnknownCollectionError`."""
        with reading(self._database) as connection:
            return _info(connection, name)

    def token_bytes(self, name: str) -> int:
        """Return how many bytes the token vectors take; raises `UnknownCollectionError`."""
        key = self._opened(name).live.key
        with reading(self._database) as connection:
            return token_bytes(connection, key.id)

    def delete(self, name: str) -> None:
        """Remove a collection and all it holds; raises `UnknownCollectionError`."""
        with writing(self._database) as connection:
            collection_id = connection.scalar(
                delete(collections).where(collections.c.name == name).returning(collections.c.id)
            )
            if collection_id is None:
                raise _unknown(connection, name)
            if self._lexical_file is None:
                LexicalTable(collection_id).drop(connection)
        with self._lock:
            self._live.pop(collection_id, None)
            self._lanes.pop(collection_id, None)
            self._filters.pop(collection_id, None)
        remove_tree(self._folder / str(collection_id))

    def open(self, name: str) -> StoredCollection:
        """Return the collection of this name; raises `UnknownCollectionError`.

        Terms that were made by another version of the analyser are made anew first, from the
        stored texts. What is returned goes on seeing every write, and raises that error once the
        collection is deleted, also when another takes its name.
        """
        parts = self._opened(name)
        key, lane = parts.live.key, parts.lane
        words: WordSource = OwnWords()
        if self._lexical_file is not None:
            words = DerivedWords(key.id, key.name, lane.language, self._lexical_file)
        return StoredCollection(
            self._database,
            key,
            parts.files,
            parts.live,
            lane,
            parts.filters,
            self._texts,
            words=words,
        )

    def maintenance(self, name: str) -> Maintenance:
        """Return what verifies, repairs, compacts and purges a collection, and its health.

        Raises:
            UnknownCollectionError: there is none of this name.
        """
        parts = self._opened(name)
        return Maintenance(
            self._database,
            parts.files,
            parts.live,
            parts.lane,
            parts.canaries,
            partial(self._renew_terms, parts.live.key.id, parts.lane.language, force=True),
            threads=self._threads,
            has_words=self._lexical_file is None,
        )

    def watch(self) -> None:
        """Look after all collections once, in the thread that writes files; returns at once.

        What is due is written, and their canaries are asked, whoever writes or asks nothing.
        """
        for info in self.list():
            try:
                self._upkeep.notify(self._opened(info.name).live.key.id)
            except UnknownCollectionError:  # deleted meanwhile
                continue

    def reembedding(self, name: str) -> Reembedding:
        """Return what changes the embedder of a collection.

        Raises:
            UnknownCollectionError: there is none of this name.
        """
        parts = self._opened(name)
        return Reembedding(self._database, parts.live.key, parts.files)

    def versions(self, name: str) -> Versions:
        """Return what answers as a collection stood after an earlier write.

        Raises:
            UnknownCollectionError: there is none of this name.
        """
        return Versions(self._database, self._opened(name).live.key)

    def _opened(self, name: str) -> "_Opened":
        with reading(self._database) as connection:
            row = connection.execute(select(collections).where(collections.c.name == name)).first()
            if row is None:
                raise _unknown(connection, name)
            # Another process may have deleted collections whose indexes we still hold.
            living = set(connection.scalars(select(collections.c.id)))
            kinds = declared(connection, row.id)
        language = language_of(row.analyser)
        if self._lexical_file is None and row.analyser != analyser_fingerprint(language):
            self._renew_terms(row.id, language)
        key = CollectionKey(
            id=row.id,
            name=row.name,
            embedder=row.embedder,
            fingerprint=row.fingerprint,
            dim=row.dim,
            metric=Metric(row.metric),
            language=language,
        )
        with self._lock:
            for held in (self._live, self._lanes, self._filters, self._files, self._canaries):
                for dead in held.keys() - living:
                    del held[dead]
            files = self._files.setdefault(
                key.id,
                CollectionFiles(
                    self._folder / str(key.id), on_due=partial(self._upkeep.notify, key.id)
                ),
            )
            live = self._live.setdefault(
                key.id,
                LiveIndex(key, files.folder, threads=self._threads, on_due=files.on_due),
            )
            lane = self._lanes.setdefault(key.id, LexicalLane(key.id, language))
            filters = self._filters.setdefault(
                key.id, FilterLane(key.id, kinds, lane.table, language)
            )
            canaries = self._canaries.setdefault(key.id, CanaryLog())
            return _Opened(live=live, lane=lane, filters=filters, files=files, canaries=canaries)

    def _write_files(self, collection_id: int, should_stop: Callable[[], bool]) -> None:
        with self._lock:
            live = self._live.get(collection_id)
        if live is not None:
            name = live.key.name
            Sealing(self._database, live.key, live.folder, threads=self._threads).run(
                should_stop=should_stop
            )
            self.maintenance(name).retune(should_stop=should_stop)

    def _renew_terms(self, collection_id: int, language: Language, *, force: bool = False) -> None:
        if self._lexical_file is not None:
            self._lexical_file.remove()
            return
        wanted = analyser_fingerprint(language)
        with writing(self._database) as connection:
            # Another process may have renewed or deleted it since.
            analyser = connection.scalar(
                select(collections.c.analyser).where(collections.c.id == collection_id)
            )
            if analyser is None or (analyser == wanted and not force):
                return
            renew_terms(connection, collection_id, language)
        with self._lock:
            self._lanes.pop(collection_id, None)

    def exported(
        self, name: str
    ) -> AbstractContextManager[tuple[PortableHeader, Iterator[NewDocument]]]:
        """Give a collection and its documents of one moment; see `index.portable.exported`."""
        return exported(self._database, name)

    @property
    def tunings(self) -> TuningStore:
        """What tuners chose for these collections."""
        return TuningStore(self._database)

    def list(self) -> builtins.list[CollectionInfo]:
        """Return all collections by name."""
        with reading(self._database) as connection:
            rows = connection.execute(_infos().order_by(collections.c.name))
            return [_to_info(row) for row in rows]


def _infos() -> Any:
    return select(
        collections,
        select(func.count())
        .where(documents.c.collection_id == collections.c.id)
        .scalar_subquery()
        .label("num_documents"),
        select(func.count())
        .where(chunks.c.collection_id == collections.c.id)
        .scalar_subquery()
        .label("num_chunks"),
        func.coalesce(token_options.c.most, 0).label("token_vectors"),
    ).outerjoin(token_options, token_options.c.collection_id == collections.c.id)


def _info(connection: Connection, name: str) -> CollectionInfo:
    row = connection.execute(_infos().where(collections.c.name == name)).first()
    if row is None:
        raise _unknown(connection, name)
    return _to_info(row)


def _to_info(row: Any) -> CollectionInfo:
    return CollectionInfo(
        name=row.name,
        embedder=row.embedder,
        fingerprint=row.fingerprint,
        dim=row.dim,
        metric=Metric(row.metric),
        num_documents=row.num_documents,
        num_chunks=row.num_chunks,
        created_at=row.created_at,
        token_vectors=row.token_vectors,
    )


def _unknown(connection: Connection, name: str) -> UnknownCollectionError:
    names = sorted(connection.scalars(select(collections.c.name)))
    return UnknownCollectionError(
        f"no collection is called {name!r};"
        + (f" there are {', '.join(map(repr, names))}" if names else " there is none yet")
    )
