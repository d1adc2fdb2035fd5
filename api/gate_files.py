"""The gates of collections, as files beside the tenant's data: `gates/COLLECTION.json`.

A gate belongs to the collection that it was fitted on: one that was made anew under the same name,
or embedded by another model, has the shipped gate until it is fitted again.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from api.collection_files import CollectionFiles
from index.protocol import CollectionInfo
from rag.errors import GateError
from rag.gate_model import DEFAULT_GATE, GateModel

GATES = "gates"  # the folder, within the state

logger = logging.getLogger(__name__)


class GateFiles:
    """Keeps one gate a collection; `info` describes a collection by its name."""

    def __init__(self, folder: Path, info: Callable[[str], CollectionInfo]) -> None:
        self._files = CollectionFiles(folder, info)

    def gate_of(self, name: str) -> GateModel:
        """Return a collection's gate, the shipped one where it has none.

        Raises:
            UnknownCollectionError: no collection has this name.
        """
        try:
            kept = self._files.read(name)
            return DEFAULT_GATE if kept is None else GateModel.from_json(json.dumps(kept["gate"]))
        except (OSError, ValueError, KeyError, TypeError, GateError) as error:
            logger.warning(
                "the gate of %r cannot be read: %s; the shipped one is used", name, error
            )
            return DEFAULT_GATE

    def save(self, name: str, gate: GateModel) -> None:
        """Keep a gate that was fitted on a collection; raises `UnknownCollectionError`."""
        self._files.write(name, {"gate": json.loads(gate.to_json())})

    def forget(self, name: str) -> None:
        """Go back to the shipped gate; raises `UnknownCollectionError`."""
        self._files.forget(name)
