"""What of an index is valid: the segments of one generation, with the length and hash of each file.

Values only; `index.index_folder` reads and writes them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from index.durable_files import FileStamp
from index.protocol import Metric
from index.tuning import Choice

_MAGIC = "causerie-manifest"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEntry:
    """A segment: its folder's name, its rows, how they are searched, and its files by path."""

    name: str
    num_rows: int
    choice: Choice
    files: Mapping[str, FileStamp]

    @property
    def num_bytes(self) -> int:
        """What it takes on the disk."""
        return sum(stamp.num_bytes for stamp in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One generation of the files of a collection.

    `seq` is the write up to which rows were sealed and `token` that write's name: where the
    database has no such write, the files were made of another one. `set_id` is the set of vectors.
    """

    generation: int
    collection_id: int
    seq: int
    token: str
    set_id: int
    dim: int
    metric: Metric
    segments: tuple[SegmentEntry, ...]

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return json.dumps({"magic": _MAGIC, "version": _VERSION, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Return what `to_bytes` wrote; raises `ValueError` where it did not."""
        try:
            fields: dict[str, Any] = json.loads(data)
            if (fields.pop("magic"), fields.pop("version")) != (_MAGIC, _VERSION):
                raise ValueError("it does not begin as a manifest of this version")
            segments = tuple(
                SegmentEntry(
                    name=entry["name"],
                    num_rows=entry["num_rows"],
                    choice=Choice(**entry["choice"]),
                    files={path: FileStamp(**stamp) for path, stamp in entry["files"].items()},
                )
                for entry in fields.pop("segments")
            )
            return cls(**{**fields, "metric": Metric(fields["metric"]), "segments": segments})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no manifest: {error}") from error
