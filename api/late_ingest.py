"""The work of the command `ingest` in this process, with the embedding model loaded when needed.

What is compared, refused or removed needs no model; what is read does, to count its tokens.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from api.settings import unworkable_settings
from index.errors import EmbedderMismatchError, UnknownCollectionError
from index.protocol import CollectionInfo
from index.store import CollectionStore
from rag.embedder import Embedder, TextKind
from rag.errors import RemovalDoubtError
from rag.ingest import Ingestor
from rag.ingest_plan import IngestPlan, Step, make_plan
from rag.ingest_recipe import MAX_CHUNK_TOKENS, Recipe
from rag.ingest_report import FileReport, Progress
from rag.ingest_source import Scan
from rag.late_interaction import TokenEncoder

_NEED_NO_MODEL = {Step.KEEP, Step.REFUSE}


class LateEmbedder:
    """The embedder of a collection by what the collection says of it, until a text is given.

    Its chunks are bounded by `MAX_CHUNK_TOKENS`. Giving it a text raises what `load` does, and
    `EmbedderMismatchError` where that loads another one.
    """

    def __init__(self, info: CollectionInfo, load: Callable[[], Embedder]) -> None:
        self.name = info.embedder
        self.fingerprint = info.fingerprint
        self.dim = info.dim
        self.max_tokens = MAX_CHUNK_TOKENS
        self._load = load

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return self._loaded().count_tokens(texts)

    def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
        """Return one unit row a text; see `rag.embedder.Embedder`."""
        return self._loaded().encode(texts, kind)

    def token_vectors(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> list[Float32[np.ndarray, "t d"]]:
        """Return unit rows for each text; `ValueError` where the model gives none."""
        loaded = self._loaded()
        if not isinstance(loaded, TokenEncoder):
            raise ValueError(f"{self.name} gives no vectors of tokens")  # noqa: TRY004  # as a text's
        return loaded.token_vectors(texts, kind)

    def _loaded(self) -> Embedder:
        loaded = self._load()
        if loaded.fingerprint != self.fingerprint:
            raise EmbedderMismatchError(
                f"vectors of {self.name} ({self.fingerprint}) are stored, not of"
                f" {loaded.name} ({loaded.fingerprint})"
            )
        return loaded


class LateIngest:
    """The port `api.ingest_desk.IngestDesk`, with an embedder that is loaded once, when needed.

    `embedder_name` is what the settings name. `plan` compares without it where all that is stored
    was made by a model of that name in chunks of up to `MAX_CHUNK_TOKENS`, and loads it where a
    source is to be read: a missing model is told before any work is done.
    """

    def __init__(
        self,
        store: CollectionStore,
        load: Callable[[], Embedder],
        *,
        embedder_name: str,
        chunk_overlap: int,
        near_duplicates: float,
    ) -> None:
        """Take the store and the settings; raises `ConfigurationError` for too long an overlap."""
        with unworkable_settings():
            self._recipe = Recipe(max_tokens=MAX_CHUNK_TOKENS, overlap=chunk_overlap)
        self._chunk_overlap = chunk_overlap
        self._store = store
        self._load = load
        self._embedder_name = embedder_name
        self._near_duplicates = near_duplicates
        self._embedder: Embedder | None = None

    def plan(self, scan: Scan, collection: str) -> IngestPlan:
        """Return what `apply` would do; changes nothing.

        Raises:
            EmbedderMismatchError: the collection was made with another embedder. Where nothing is
                to be read, another model of the same name is not noticed.
        """
        info = self._info(collection)
        if info is None:
            planned = make_plan(scan, None, self._recipe)
        elif self._embedder is None and self._is_usual(info):
            stored = self._store.open(collection)
            planned = make_plan(scan, stored, self._recipe)
        else:
            return self._ingestor(self._loaded()).plan(scan, collection)
        if _needs_model(planned):
            self._loaded()
        return planned

    def apply(
        self,
        plan: IngestPlan,
        collection: str,
        *,
        is_confirmed: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Do it, as `rag.ingest.Ingestor.apply`; no collection is made where nothing is read."""
        if plan.doubts and not is_confirmed:
            raise RemovalDoubtError(plan.doubts)
        info = self._info(collection)
        if _needs_model(plan) or self._embedder is not None:
            embedder = self._loaded()
        elif info is None:
            return [one.look.refused for one in plan.steps if one.look.refused is not None]
        else:
            embedder = LateEmbedder(info, self._loaded)
        return self._ingestor(embedder).apply(
            plan, collection, is_confirmed=is_confirmed, on_progress=on_progress, cancel=cancel
        )

    def _info(self, collection: str) -> CollectionInfo | None:
        try:
            return self._store.info(collection)
        except UnknownCollectionError:
            return None

    def _is_usual(self, info: CollectionInfo) -> bool:
        """Whether the recipe can be known without the model: it is that of all that is stored."""
        recipes = {note.recipe for note in self._store.open(info.name).notes().values()} - {""}
        return info.embedder == self._embedder_name and recipes <= {str(self._recipe)}

    def _loaded(self) -> Embedder:
        if self._embedder is None:
            self._embedder = self._load()
        return self._embedder

    def _ingestor(self, embedder: Embedder) -> Ingestor:
        with unworkable_settings():  # a model may read less than the overlap needs
            return Ingestor(
                self._store,
                embedder,
                chunk_overlap=self._chunk_overlap,
                near_duplicates=self._near_duplicates,
            )


def _needs_model(plan: IngestPlan) -> bool:
    return any(one.step not in _NEED_NO_MODEL for one in plan.steps)
