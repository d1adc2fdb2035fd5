"""Measuring rivals in turn: the same work for all, round after round, so that a slow minute of the
machine touches all of them.

A rival may take part in several settings; those that are clearly slower than the best of their
grade are left out after the warm-up, for each task by itself. Knows nothing of models: a rival
reads prompts and continues them.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_WARM_UP = 2
_CLEARLY_SLOWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Some sequences continued together.

    `seconds` are those of the steps after the prompts, `num_tokens` what these steps wrote in all.
    """

    seconds: float
    num_tokens: int

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.num_tokens > 0):
            raise ValueError(f"nothing was decoded: {self.num_tokens} tokens in {self.seconds} s")


class Contender(Protocol):
    """What reads and writes tokens; each call starts with nothing cached."""

    def prefill(self, token_ids: Sequence[int]) -> float:
        """Return the seconds from a prompt to what follows it."""
        ...

    def decode(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Decoded:
        """Continue prompts of equal length side by side, greedily, never ending early."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to be measured in tokens a second; `run` gets a contender and the round's number.

    `target` is how many times as fast as the fastest rival it should be.
    """

    name: str
    run: Callable[[Contender, int], float]
    target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """What came of one task: tokens a second by round, ours and those of each rival."""

    task: Task
    ours: tuple[float, ...]
    rivals: Mapping[str, tuple[float, ...]]

    def fastest(self, among: Callable[[str], bool] = lambda _: True) -> str | None:
        """Return the rival with the highest median of those that `among` admits."""
        admitted = {name: speeds for name, speeds in self.rivals.items() if among(name)}
        return max(admitted, key=lambda name: statistics.median(admitted[name]), default=None)

    def ratio(self, rival: str) -> float:
        """Return our median over a rival's."""
        return statistics.median(self.ours) / statistics.median(self.rivals[rival])

    def ratio_extremes(self, rival: str) -> tuple[float, float]:
        """Return the least and the greatest ratio of any round."""
        by_round = [a / b for a, b in zip(self.ours, self.rivals[rival], strict=True)]
        return min(by_round), max(by_round)


def race(
    tasks: Sequence[Task],
    ours: Contender,
    rivals: Mapping[str, Contender],
    *,
    num_rounds: int,
    grade: Callable[[str], str] = lambda _: "",
    on_round: Callable[[int], None] = lambda _: None,
) -> list[Race]:
    """Measure all tasks in all rounds; who comes first changes from round to round.

    Warm-up rounds, which `num_rounds` does not count, show which rivals are no use: only those of
    one `grade` are compared with each other for that.
    """
    if num_rounds < 1:
        raise ValueError(f"at least one round is needed, got {num_rounds}")
    kept = {task.name: dict(rivals) for task in tasks}
    ours_by: dict[str, list[float]] = {task.name: [] for task in tasks}
    rivals_by: dict[str, dict[str, list[float]]] = {
        task.name: {name: [] for name in rivals} for task in tasks
    }
    for number in range(_WARM_UP + num_rounds):
        for task in tasks:
            everybody = [("", ours), *kept[task.name].items()]
            first = number % len(everybody)
            for name, contender in everybody[first:] + everybody[:first]:
                speeds = rivals_by[task.name][name] if name else ours_by[task.name]
                speeds.append(task.run(contender, number))
        if number == _WARM_UP - 1:
            for task in tasks:
                kept[task.name] = _useful(rivals, rivals_by[task.name], grade)
        on_round(number + 1 - _WARM_UP)
    return [
        Race(
            task=task,
            ours=tuple(ours_by[task.name][_WARM_UP:]),
            rivals={name: tuple(rivals_by[task.name][name][_WARM_UP:]) for name in kept[task.name]},
        )
        for task in tasks
    ]


def _useful(
    rivals: Mapping[str, Contender],
    speeds: Mapping[str, Sequence[float]],
    grade: Callable[[str], str],
) -> dict[str, Contender]:
    best: dict[str, float] = {}
    for name, values in speeds.items():
        best[grade(name)] = max(best.get(grade(name), 0.0), *values)
    return {
        name: rival
        for name, rival in rivals.items()
        if max(speeds[name]) >= _CLEARLY_SLOWER * best[grade(name)]
    }
