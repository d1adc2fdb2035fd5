"""Which techniques of `rag/query_plan.py` a collection is searched with: those that surely help.

    gain of a technique = mean over questions of nDCG@10 with it - without it, by paired bootstrap

One is turned on only where the lower end of its gain's interval is above 0 and the 95th percentile
of its search time is within the budget. Where several are, they are tried together, and what is
kept is the better of that and the best one alone. Each interval stands for itself: of thirteen
techniques that do nothing, one in four runs turns one on.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from rag.dialogue_context import context_of
from rag.errors import PlanError
from rag.evaluation_set import EvaluationItem, ranked_keys, relevant_keys
from rag.held_out import FilterableCollection, HeldOut
from rag.metrics import Difference, Interval, bootstrap_interval, ndcg_at_k, paired_bootstrap
from rag.planned_search import PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan

K = 10
FEWEST_QUESTIONS = 20  # fewer make a bootstrap that believes too much
DEFAULT_BUDGET_MS = 1000.0
TECHNIQUES: Mapping[str, Mapping[str, Any]] = {
    "rewrite by questions": {"rewrite": "questions"},
    "rewrite by model": {"rewrite": "model"},
    "hyde": {"hyde": 4},
    "paraphrases": {"paraphrases": 3},
    "self_ask": {"self_ask": 2},
    "knowledge": {"knowledge": True},
    "fusion by scores": {"fusion": "scores"},
    "fusion by ranks": {"fusion": "ranks"},
    "distinct": {"distinct": 0.8},
    "mmr": {"mmr": 0.7},
    "late-interaction": {"rerank": "late-interaction", "rerank_depth": 30},
    "query-likelihood": {"rerank": "query-likelihood", "rerank_depth": 10},
    "cross-encoder": {"rerank": "cross-encoder", "rerank_depth": 20},
}

# Called with what is being measured, how many of its questions are done, and of how many.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A plan on all questions: nDCG@10 and seconds of each, and what was left out how often."""

    values: tuple[float, ...]
    seconds: tuple[float, ...]
    num_problems: int = 0
    problem: str = ""

    @property
    def p95_ms(self) -> float:
        """The time that 95 of 100 searches keep to."""
        return float(np.percentile(self.seconds, 95)) * 1000

    @property
    def median_ms(self) -> float:
        """The time of the middle search."""
        return statistics.median(self.seconds) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a technique gained and cost, whether it is on, and why; `gain` is None if not tried."""

    name: str
    is_on: bool
    why: str
    gain: Difference | None = None
    median_ms: float = 0.0
    p95_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedPlan:
    """The plan that was chosen, and how: `usual` is nDCG@10 of the plan without any technique."""

    plan: QueryPlan
    usual: Interval
    usual_p95_ms: float
    budget_ms: float
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as a JSON object."""
        return {**asdict(self), "plan": self.plan.changes()}


def answerable(items: Sequence[EvaluationItem], name: str) -> list[EvaluationItem]:
    """Return the questions that a collection is tuned on: those that it answers.

    Raises:
        PlanError: they are too few.
    """
    found = [item for item in items if item.answerable]
    if len(found) < FEWEST_QUESTIONS:
        raise PlanError(
            f"{len(found)} answerable questions are too few to tell what helps; at least"
            f" {FEWEST_QUESTIONS} are needed: make more with 'python -m api eval build {name} --num"
            " 100', or name a file with --queries"
        )
    return found


class PlanTuner:
    """Tries techniques on the questions of one collection."""

    def __init__(
        self,
        search: PlannedSearch,
        collection: FilterableCollection,
        name: str,
        items: Sequence[EvaluationItem],
        *,
        budget_ms: float = DEFAULT_BUDGET_MS,
        seed: int = 0,
        on_progress: OnProgress = lambda *_: None,
    ) -> None:
        """Take what searches, where, and questions; those that nothing answers are left out.

        Raises:
            PlanError: too few questions are left.
        """
        self._search = search
        self._collection = collection
        self._name = name
        self._items = answerable(items, name)
        self._budget_ms = budget_ms
        self._seed = seed
        self._on_progress = on_progress
        # In use a lane has as long as it had when it was measured.
        self._usual = replace(DEFAULT_PLAN, lane_s=max(budget_ms / 1000, 0.001))

    def tune(self, missing: Mapping[str, str]) -> TunedPlan:
        """Return the plan; `missing` says of techniques that cannot be tried why."""
        usual = self._measured("the plan without them", self._usual)
        trials: list[Trial] = []
        measured: dict[str, Measured] = {}
        for name, changes in TECHNIQUES.items():
            if reason := missing.get(name) or self._pointless(name):
                trials.append(Trial(name=name, is_on=False, why=reason))
                continue
            measured[name] = self._measured(name, self._with([changes]))
            trials.append(self._judged(name, measured[name], usual))
        helpful = [one for one in trials if one.is_on]
        helpful.sort(key=lambda one: -(one.gain.value if one.gain else 0.0))
        plan, kept = self._together(helpful, measured, usual, trials)
        return TunedPlan(
            plan=plan,
            usual=bootstrap_interval(usual.values, seed=self._seed),
            usual_p95_ms=usual.p95_ms,
            budget_ms=self._budget_ms,
            trials=tuple(
                one
                if one.name in kept or not one.is_on
                else replace(one, is_on=False, why=f"helps, but not beside {kept[-1]}")
                for one in trials
            ),
        )

    def _pointless(self, name: str) -> str:
        if name.startswith("rewrite") and not any(item.history for item in self._items):
            return "no question has a dialogue before it"
        return ""

    def _with(self, several: Sequence[Mapping[str, Any]]) -> QueryPlan:
        """Return the usual plan with techniques; of two that exclude each other the first."""
        together: dict[str, Any] = {}
        for changes in several:
            if not together.keys() & changes.keys():
                together |= changes
        return replace(self._usual, **together)

    def _together(
        self,
        helpful: Sequence[Trial],
        measured: Mapping[str, Measured],
        usual: Measured,
        trials: list[Trial],
    ) -> tuple[QueryPlan, tuple[str, ...]]:
        """Return the plan of all that help, or of the best alone, and the names in it."""
        if not helpful:
            return DEFAULT_PLAN, ()
        best = helpful[0]
        alone = self._with([TECHNIQUES[best.name]])
        names, taken = [], set[str]()
        for one in helpful:
            if not taken & TECHNIQUES[one.name].keys():
                names.append(one.name)
                taken |= TECHNIQUES[one.name].keys()
        if len(names) == 1:
            return alone, (best.name,)
        plan = self._with([TECHNIQUES[name] for name in names])
        found = self._measured("together", plan)
        trial = self._judged(" + ".join(names), found, usual)
        is_better = statistics.fmean(found.values) >= statistics.fmean(measured[best.name].values)
        if trial.is_on and is_better:
            trials.append(trial)
            return plan, (*names, trial.name)
        why = trial.why if not trial.is_on else f"no better than {best.name} alone"
        trials.append(replace(trial, is_on=False, why=why))
        return alone, (best.name,)

    def _judged(self, name: str, found: Measured, usual: Measured) -> Trial:
        gain = paired_bootstrap(found.values, usual.values, seed=self._seed)
        problems = ""
        if found.num_problems:
            problems = (
                f"; left out in {found.num_problems} of {len(found.values)} questions"
                f" ({found.problem})"
            )
        is_on = False
        if not gain.is_gain:
            why = "surely worse" if gain.is_loss else "no gain that is sure"
        elif found.p95_ms > self._budget_ms:
            why = f"helps, but p95 {found.p95_ms:.0f} ms is over the budget"
        else:
            is_on, why = True, "helps within the budget"
        return Trial(
            name=name,
            is_on=is_on,
            why=why + problems,
            gain=gain,
            median_ms=found.median_ms,
            p95_ms=found.p95_ms,
        )

    def _measured(self, name: str, plan: QueryPlan) -> Measured:
        values: list[float] = []
        seconds: list[float] = []
        problems: list[str] = []
        for number, item in enumerate(self._items, start=1):
            whole = self._collection
            began = time.perf_counter()
            found = self._search.run(
                item.query,
                HeldOut(whole, item.held_out) if item.held_out else whole,
                name=self._name,
                k=K,
                plan=plan,
                context=context_of(item.history),
            )
            seconds.append(time.perf_counter() - began)
            gains = dict.fromkeys(relevant_keys(item), 1.0)
            values.append(ndcg_at_k(ranked_keys(item, found.passages), gains, K))
            problems += found.trace.problems[:1]
            self._on_progress(name, number, len(self._items))
        return Measured(
            values=tuple(values),
            seconds=tuple(seconds),
            num_problems=len(problems),
            problem=problems[0] if problems else "",
        )
