"""What the tuner is asked, what it measured and what it chose: values to be stored as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from index.methods import METHODS, builder_of
from index.protocol import AnnBuilder

GROWTH = 4.0  # a collection that grew so many times is tuned anew
FLAT_P95_MS = 10.0  # exact search within this is chosen outright where no limit is given

Preference = Literal["speed", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`recall` at `k` that the lower bound at `confidence` must reach, and the limits to keep.

    `memory` is in bytes: the index, and the rows where a search reads all of them. `prefer` ranks
    what holds the target.
    """

    recall: float = 0.95
    k: int = 10
    confidence: float = 0.95
    memory: int | None = None
    p95_ms: float | None = None
    prefer: Preference = "speed"

    def __post_init__(self) -> None:
        if not 0 < self.recall < 1:
            raise ValueError(
                f"recall must be between 0 and 1, got {self.recall}; for 1 use exact search, flat"
            )
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"confidence must be at least .5 and below 1, got {self.confidence}")
        for name in ("memory", "p95_ms"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        if self.prefer not in {"speed", "memory"}:
            raise ValueError(f"prefer must be speed or memory, got {self.prefer!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A method, its parameters and the effort of its searches."""

    method: str
    parameters: Mapping[str, Any]
    effort: int

    def __post_init__(self) -> None:
        builder_of(self.method, self.parameters)
        if self.effort < 1:
            raise ValueError(f"effort must be >= 1, got {self.effort}")

    @property
    def builder(self) -> AnnBuilder:
        """What builds the index."""
        return builder_of(self.method, self.parameters)

    def __str__(self) -> str:
        usual = asdict(METHODS[self.method]())  # type: ignore[call-overload]
        stated = [f"{k}={v}" for k, v in self.parameters.items() if usual[k] != v]
        return " ".join([self.method, *stated, f"effort={self.effort}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One choice, measured on `num_rows` rows.

    Times are of single searches, in milliseconds; `memory` is in bytes. `remark` says why it was
    left, or is empty.
    """

    choice: Choice
    num_rows: int
    recall: float
    recall_low: float
    p50_ms: float
    p95_ms: float
    build_s: float
    memory: int
    is_pareto: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A record of one tuning: `choice` was measured as `trials` say, on one thread.

    `queries` says where they come from: "logged" ones, or "held out" rows, which are as the rows
    themselves and may be easier than what users ask.
    """

    target: Target
    choice: Choice
    num_rows: int
    dim: int
    metric: str
    queries: Literal["logged", "held out"]
    num_queries: int
    seed: int
    trials: tuple[Trial, ...]

    def is_outgrown(self, num_rows: int) -> bool:
        """Say whether a collection of so many rows should be tuned anew."""
        return num_rows >= GROWTH * self.num_rows

    @property
    def chosen(self) -> Trial:
        """The trial of the choice on all rows."""
        return next(t for t in reversed(self.trials) if t.choice == self.choice)

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Tuning":
        """Return what `to_json` wrote.

        Raises:
            ValueError: it did not, or the method is not known any more.
        """
        try:
            fields = json.loads(text)
            trials = tuple(
                Trial(**{**trial, "choice": Choice(**trial["choice"])})
                for trial in fields["trials"]
            )
            return cls(
                **{
                    **fields,
                    "target": Target(**fields["target"]),
                    "choice": Choice(**fields["choice"]),
                    "trials": trials,
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no record of a tuning: {error}; tune again") from error
