"""Runs of a set against a collection: what answers, and where it stands when it was interrupted."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.evaluation_runs import Mode, RunRecord
from api.version import VERSION
from rag.evaluation import Answerer, QuestionResult, digest_of_set, run_set
from rag.evaluation_set import EvaluationItem

OnResult = Callable[[QuestionResult, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is run: a set against one state `seq` of a collection."""

    collection: str
    seq: int
    mode: Mode
    k: int
    seed: int
    items: tuple[EvaluationItem, ...]

    @property
    def key(self) -> str:
        """What tells this run from any other that would answer otherwise."""
        parts = (self.collection, self.seq, self.mode, self.k, VERSION, digest_of_set(self.items))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def run_plan(plan: RunPlan, answerer: Answerer, *, folder: Path, on_result: OnResult) -> RunRecord:
    """Run a plan; what an interrupted run of the same plan left in `folder` is not asked again.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.key}.partial"
    known = _known(path)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(result.to_json()) + "\n" for result in known.values())

        def keep(result: QuestionResult, done: int, total: int) -> None:
            file.write(json.dumps(result.to_json()) + "\n")
            file.flush()
            on_result(result, done, total)

        results = tuple(run_set(plan.items, answerer, k=plan.k, known=known, on_result=keep))
    path.unlink()
    return RunRecord(
        collection=plan.collection,
        mode=plan.mode,
        k=plan.k,
        seed=plan.seed,
        set_digest=digest_of_set(plan.items),
        version=VERSION,
        created_at=datetime.now(UTC),
        results=results,
    )


def _known(path: Path) -> dict[str, QuestionResult]:
    if not path.exists():
        return {}
    known = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            result = QuestionResult.from_json(json.loads(line))
        except (ValueError, TypeError):
            continue  # the line that was being written when the run was killed
        known[result.digest] = result
    return known


def chosen(items: Sequence[EvaluationItem], kinds: Sequence[str]) -> tuple[EvaluationItem, ...]:
    """Return the questions of some kinds; all where none is named."""
    return tuple(item for item in items if not kinds or item.kind in kinds)
