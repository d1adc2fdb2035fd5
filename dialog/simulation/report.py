"""What came of a simulation: rates, pass^k, turns, failures; figures beside their bounds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dialog.simulation.goal import Goal
from dialog.simulation.judgement import Failure, Record, Verdict
from dialog.simulation.pass_hat_k import pass_hat
from dialog.simulation.specification import Bound, SimulationSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of a scenario."""

    scenario: int
    number: int
    goal: Goal
    record: Record
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The trials of one bot at one level ("act" or "text").

    A scenario whose user does not reach its goal with perfect understanding is a `simulator_error`;
    its trials count like all others, so that nothing is hidden.
    """

    level: str
    spec: SimulationSpec
    trials: tuple[Trial, ...]
    simulator_errors: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = field(default=())

    @property
    def success(self) -> float:
        """The share of trials that came to their right end."""
        return sum(t.verdict.is_success for t in self.trials) / max(1, len(self.trials))

    def pass_hat(self, k: int) -> float:
        """Return pass^k over the scenarios."""
        counts: Counter[int] = Counter()
        for trial in self.trials:
            counts[trial.scenario] += trial.verdict.is_success
        return pass_hat(list(counts.values()), self.spec.trials, k)

    def turns(self, quantile: float) -> int:
        """Return a quantile of the turns that a conversation took."""
        lengths = sorted(trial.record.turns for trial in self.trials)
        return lengths[min(len(lengths) - 1, int(quantile * len(lengths)))] if lengths else 0

    @property
    def failures(self) -> dict[str, int]:
        """How often each failure came up, the most frequent first."""
        found = Counter(t.verdict.failure.value for t in self.trials if not t.verdict.is_success)
        return dict(found.most_common())

    @property
    def figures(self) -> dict[str, float]:
        """All figures by name."""
        k = self.spec.trials
        return {
            "success": self.success,
            f"pass^{k}": self.pass_hat(k),
            "turns_p50": self.turns(0.5),
            "turns_p90": self.turns(0.9),
            "unconfirmed_writes": sum(t.verdict.unconfirmed_writes for t in self.trials),
            "exact_repeats": sum(t.verdict.exact_repeats for t in self.trials),
            "simulator_errors": len(self.simulator_errors),
        }

    @property
    def missed(self) -> list[str]:
        """The bounds that do not hold, each with the figure that was reached."""
        figures = self.figures
        return [
            f"{bound}, reached {figures[bound.figure]:.4g}"
            for bound in self.spec.expect
            if bound.figure in figures and not bound.holds(figures[bound.figure])
        ]

    @property
    def unmeasured(self) -> list[str]:
        """The bounds on a figure that this number of trials does not give, such as pass^5 of 2."""
        return [str(bound) for bound in self.spec.expect if bound.figure not in self.figures]

    def by_persona(self) -> dict[str, float]:
        """Return the success rate of each persona."""
        groups: dict[str, list[bool]] = {}
        for trial in self.trials:
            groups.setdefault(trial.goal.persona.value, []).append(trial.verdict.is_success)
        return {name: sum(found) / len(found) for name, found in sorted(groups.items())}

    def first(self, failure: Failure) -> Trial | None:
        """Return the first trial that failed so."""
        return next((t for t in self.trials if t.verdict.failure is failure), None)

    def failed(self) -> list[Trial]:
        """Return the trials that failed."""
        return [trial for trial in self.trials if not trial.verdict.is_success]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "level": self.level,
            "scenarios": self.spec.dialogues,
            "trials": self.spec.trials,
            "seed": self.spec.seed,
            "figures": self.figures,
            "by_persona": self.by_persona(),
            "failures": self.failures,
            "missed": self.missed,
            "unmeasured": self.unmeasured,
            "examples": _examples(self.failed()),
        }


def _examples(trials: Sequence[Trial], most: int = 5) -> list[dict[str, Any]]:
    return [
        {
            "scenario": trial.scenario,
            "trial": trial.number,
            "persona": trial.goal.persona.value,
            "failure": trial.verdict.failure.value,
            "detail": trial.verdict.detail,
        }
        for trial in trials[:most]
    ]
