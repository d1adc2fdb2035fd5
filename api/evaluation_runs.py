"""Runs of sets of questions in the state database, so that a later one can be held against them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from api.evaluation_tables import evaluation_runs
from index.database import reading, writing
from rag.evaluation import QuestionResult

Mode = Literal["extractive", "model"]

KEPT_RUNS = 20  # of a collection; accepted ones are kept all


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run: of which collection, how it answered, and the result of every question.

    `mode` is "extractive" where answers are quotes alone, "model" where the chat model spoke too.
    """

    collection: str
    mode: Mode
    k: int
    seed: int
    set_digest: str
    version: str
    created_at: datetime
    results: tuple[QuestionResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "collection": self.collection,
            "mode": self.mode,
            "k": self.k,
            "seed": self.seed,
            "set_digest": self.set_digest,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "results": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RunRecord":
        """Return the run of `to_json`'s object."""
        return cls(
            **{
                **value,
                "created_at": datetime.fromisoformat(value["created_at"]),
                "results": tuple(QuestionResult.from_json(one) for one in value["results"]),
            }
        )


class RunStore:
    """The runs of one database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def save(self, run: RunRecord) -> int:
        """Keep a run and return its number; the oldest that were not accepted make room."""
        of_it = evaluation_runs.c.collection == run.collection
        with writing(self._database) as connection:
            number = connection.scalar(
                insert(evaluation_runs)
                .values(
                    collection=run.collection,
                    mode=run.mode,
                    k=run.k,
                    is_accepted=False,
                    record=run.to_json(),
                    created_at=datetime.now(UTC),
                )
                .returning(evaluation_runs.c.id)
            )
            kept = (
                select(evaluation_runs.c.id)
                .where(of_it, evaluation_runs.c.is_accepted.is_(False))
                .order_by(evaluation_runs.c.id.desc())
                .limit(KEPT_RUNS)
            )
            connection.execute(
                delete(evaluation_runs).where(
                    of_it,
                    evaluation_runs.c.is_accepted.is_(False),
                    evaluation_runs.c.id.not_in(kept),
                )
            )
        return int(number or 0)

    def accept(self, number: int) -> None:
        """Let later runs be compared with this one."""
        with writing(self._database) as connection:
            connection.execute(
                update(evaluation_runs)
                .where(evaluation_runs.c.id == number)
                .values(is_accepted=True)
            )

    def last_accepted(self, collection: str, *, mode: Mode, k: int) -> RunRecord | None:
        """Return the latest accepted run that answered in the same way; None where none was."""
        with reading(self._database) as connection:
            record = connection.scalar(
                select(evaluation_runs.c.record)
                .where(
                    evaluation_runs.c.collection == collection,
                    evaluation_runs.c.mode == mode,
                    evaluation_runs.c.k == k,
                    evaluation_runs.c.is_accepted,
                )
                .order_by(evaluation_runs.c.id.desc())
                .limit(1)
            )
        return None if record is None else RunRecord.from_json(record)
