"""What was chosen for collections, as one JSON file each: `FOLDER/COLLECTION.json`.

A file belongs to the collection that it was made for: one that was made anew under the same name,
or embedded by another model, has none until there is a new one.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from index.protocol import CollectionInfo

_OF = "of"  # the key under which a file says whose it is


class CollectionFiles:
    """The files of one folder; `info` describes a collection by its name."""

    def __init__(self, folder: Path, info: Callable[[str], CollectionInfo]) -> None:
        self._folder = folder
        self._info = info

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what is kept for a collection as it is now; None where that is nothing.

        Raises:
            UnknownCollectionError: there is a file of this name, and no collection.
            OSError: the file cannot be read.
            ValueError, KeyError, TypeError: it is none that `write` wrote.
        """
        path = self._path(name)
        if not path.is_file():
            return None
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept if kept[_OF] == self._identity(name) else None

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep JSON values for a collection, whole or not at all.

        Raises:
            UnknownCollectionError: no collection has this name.
        """
        text = json.dumps({_OF: self._identity(name), **content}, indent=1)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def forget(self, name: str) -> None:
        """Remove what is kept, if anything is; raises `UnknownCollectionError`."""
        self._identity(name)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _identity(self, name: str) -> str:
        info = self._info(name)
        return f"{info.created_at.isoformat()} {info.fingerprint}"
