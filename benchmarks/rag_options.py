"""What every part of `benchmarks.rag` is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the data sets are, whether a small sample will do, and the seed of all drawing."""

    data: Path
    is_quick: bool
    seed: int
