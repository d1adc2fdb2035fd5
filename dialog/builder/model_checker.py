"""Bounded model checking: every dialogue of a task up to a number of turns, the shortest first.

The machine of `dialog.builder.task_model` is walked breadth first. What is said of a task without
faults: "no counterexample to depth n" where the bound ended the walk, "holds" where nothing was
left. Each finding is a dialogue; `dialog.builder.counterexample` writes it as a test.

Held: no write without a yes; no write twice; from every point a user who only answers can finish
the task; every step, every question and every task is reached by some dialogue. That every
digression returns, and that cancel and handoff are always possible, are laws of the engine itself.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dialog.bot.definition import BotDefinition, Fill, TaskDefinition
from dialog.bot.problems import Problem
from dialog.bot.source import SourceLine
from dialog.builder.counterexample import as_test
from dialog.builder.findings import error
from dialog.builder.task_model import GOOD_ENDS, Kind, Move, Phase, State, TaskModel
from dialog.slot_types.base import JsonValue

DEPTH = 30
MAX_STATES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskVerdict:
    """What the walk through one task showed."""

    task: str
    problems: tuple[Problem, ...]
    num_states: int
    depth: int
    is_complete: bool  # nothing was left to walk

    def __str__(self) -> str:
        if self.problems:
            return f"{self.task}: {len(self.problems)} counterexamples in {self.num_states} states"
        if self.is_complete:
            return f"{self.task}: holds ({self.num_states} states)"
        return f"{self.task}: no counterexample to depth {self.depth} ({self.num_states} states)"


@dataclass(slots=True)
class _Walk:
    model: TaskModel
    came_from: dict[State, tuple[State, Move] | None] = field(default_factory=dict)
    edges: dict[State, list[tuple[Move, State]]] = field(default_factory=dict)
    broken: dict[str, tuple[State, Move]] = field(default_factory=dict)
    depth: int = 0
    is_complete: bool = True

    def run(self, depth: int, most: int) -> None:
        start = State()
        self.came_from[start] = None
        waiting = deque([(start, 0)])
        while waiting:
            state, turns = waiting.popleft()
            self.depth = max(self.depth, turns)
            if turns >= depth or len(self.came_from) >= most:
                self.is_complete = False
                continue
            edges = self.edges.setdefault(state, [])
            for move, after in self.model.moves(state):
                edges.append((move, after))
                if move.breaks:
                    self.broken.setdefault(f"{move.breaks}:{move.about}", (state, move))
                if after not in self.came_from:
                    self.came_from[after] = (state, move)
                    cost = 0 if move.kind is Kind.OUTCOME else 1
                    (waiting.append if cost else waiting.appendleft)((after, turns + cost))

    def path(self, state: State, last: Move | None = None) -> list[Move]:
        moves = [last] if last else []
        at = self.came_from[state]
        while at is not None:
            state, move = at
            moves.append(move)
            at = self.came_from[state]
        return moves[::-1]

    def world(self, state: State) -> Mapping[str, JsonValue]:
        """Return values by which the guards have answered as they did up to a state."""
        return self.model.worlds.world(state.truths) or {}

    def to_refusal(self, state: State) -> list[Move]:
        """Return the shortest way on to the guard or check that refuses, () if none does."""
        waiting: deque[tuple[State, list[Move]]] = deque([(state, [])])
        seen = {state}
        while waiting:
            here, moves = waiting.popleft()
            for move, after in self.edges.get(here, ()):
                if move.act in _REFUSALS:
                    return [*moves, move]
                if move.kind is not Kind.FREE and after not in seen:
                    seen.add(after)
                    waiting.append((after, [*moves, move]))
        return []

    def dead_ends(self) -> Iterator[State]:
        """Yield states from which a user who only answers never finishes, the earliest first."""
        before: dict[State, list[State]] = {}
        good: deque[State] = deque()
        for state in self.came_from:
            is_end = state.phase is Phase.END
            if (is_end and state.end in GOOD_ENDS) or (not is_end and state not in self.edges):
                good.append(state)  # beyond the bound nothing is said
            for move, after in self.edges.get(state, ()):
                if move.kind is not Kind.FREE:
                    before.setdefault(after, []).append(state)
        alive = set(good)
        while good:
            for state in before.get(good.popleft(), ()):
                if state not in alive:
                    alive.add(state)
                    good.append(state)
        for state in self.came_from:
            if state not in alive and (state.phase is not Phase.END or state.end == "stuck"):
                yield state

    def worst_dead_end(self) -> State | None:
        """Return the dead end that tells the most, None if there is none.

        Where no dialogue at all comes to an end, that is the first point at which a guard or check
        can only refuse. A task that never starts is told as that.
        """
        dead = list(self.dead_ends())
        if not dead or dead[0].phase is not Phase.START:
            return dead[0] if dead else None
        begun = [state for state in dead if state.phase not in (Phase.START, Phase.END)]
        refused = (
            state
            for state in begun
            if self.edges.get(state) and all(m.act in _REFUSALS for m, _ in self.edges[state])
        )
        return next(refused, begun[0] if begun else None)


def check_task(
    bot: BotDefinition, task: TaskDefinition, *, depth: int = DEPTH, most: int = MAX_STATES
) -> TaskVerdict:
    """Walk through one task."""
    walk = _Walk(TaskModel(bot, task))
    walk.run(depth, most)
    problems = [*_broken(bot, task, walk), *_dead_ends(bot, task, walk)]
    if walk.is_complete:
        problems += _never_reached(task, walk)
    return TaskVerdict(
        task=task.name,
        problems=tuple(problems),
        num_states=len(walk.came_from),
        depth=depth,
        is_complete=walk.is_complete,
    )


def check_model(
    bot: BotDefinition, *, depth: int = DEPTH, most: int = MAX_STATES
) -> tuple[TaskVerdict, ...]:
    """Walk through all tasks of a bot."""
    return tuple(check_task(bot, task, depth=depth, most=most) for task in bot.tasks.values())


_REFUSALS = frozenset({"does not hold", "needs fails"})
_SAYINGS = {
    "unconfirmed_write": ("writes without a yes", "use confirm: auto or explicit"),
    "repeated_write": (
        "writes twice in one task",
        "declare idempotent_by for it, or do not ask again after it",
    ),
}


def _broken(bot: BotDefinition, task: TaskDefinition, walk: _Walk) -> Iterator[Problem]:
    for name, (state, move) in walk.broken.items():
        rule = name.partition(":")[0]
        what, remedy = _SAYINGS[rule]
        dialogue = as_test(bot, task, walk.world(state), walk.path(state, move), rule)
        yield error(
            rule,
            _source_of_place(task, walk.model, state),
            f"{task.name}: {move.about} {what}, as in this dialogue",
            remedy=remedy,
            example=dialogue,
        )


def _dead_ends(bot: BotDefinition, task: TaskDefinition, walk: _Walk) -> Iterator[Problem]:
    state = walk.worst_dead_end()
    if state is None:
        return
    moves = [*walk.path(state), *walk.to_refusal(state)]
    yield error(
        "dead_end", _source_of_refusal(task, walk.model, moves),
        f"{task.name}: {_contradiction(walk.model, state, moves)}, so that the task can never be"
        " finished, as in this dialogue",
        remedy="mend the condition, or add a way out: reask what it uses, stop, or handoff",
        example=as_test(bot, task, walk.world(state), moves, "dead_end"),
    )  # fmt: skip


def _never_reached(task: TaskDefinition, walk: _Walk) -> Iterator[Problem]:
    states = walk.came_from
    if not any(s.phase is Phase.COLLECT for s in states):
        needs = task.needs.source if task.needs else task.source
        yield error("never_reached", needs, f"{task.name} never starts", remedy="mend its needs:")
        return
    given = {m.about for edges in walk.edges.values() for m, _ in edges if m.act == "give"}
    for name, slot in task.slots.items():
        is_asked = slot.required and slot.fill in {Fill.ANYTIME, Fill.WHEN_ASKED}
        if is_asked and name not in given:
            yield error(
                "never_reached", (slot.when or slot).source,
                f"{task.name}: no dialogue asks for {name}", remedy="mend the conditions before it",
            )  # fmt: skip
    places = {s.place for s in states if s.phase is Phase.DO}
    finished = any(s.phase is Phase.DO for s in states)
    for place, step in walk.model.steps.items():
        if place not in places and finished:
            yield error(
                "never_reached", step.source, f"{task.name}: no dialogue reaches this step",
                remedy="mend the conditions before it, or remove it",
            )  # fmt: skip


def _source_of_place(task: TaskDefinition, model: TaskModel, state: State) -> SourceLine:
    step = model.steps.get(state.place)
    if step is None:
        return task.source
    return step.call.source if step.call is not None else step.source


def _refusal(moves: list[Move]) -> Move | None:
    return next((move for move in reversed(moves) if move.act in _REFUSALS), None)


def _source_of_refusal(task: TaskDefinition, model: TaskModel, moves: list[Move]) -> SourceLine:
    """Return the line of the guard or check that refuses, else that of the task."""
    refusal = _refusal(moves)
    if refusal is None:
        return task.source
    if refusal.about in model.worlds.guards:
        return model.worlds.guards[refusal.about].source
    if refusal.about.startswith("check:"):
        return task.check[int(refusal.about.removeprefix("check:"))].source
    return task.source


def _contradiction(model: TaskModel, state: State, moves: list[Move]) -> str:
    """Return which conditions exclude each other, with both lines where there are two."""
    refusal = _refusal(moves)
    if refusal is None:
        return "nothing leads on from here"
    guard = model.worlds.guards.get(refusal.about)
    what = f"{guard.text!r} at {guard.source}" if guard is not None else refusal.about
    others = [
        f"{other.text!r} at {other.source} is {'true' if truth else 'not true'}"
        for name, truth in sorted(state.truths)
        if name != refusal.about and (other := model.worlds.guards.get(name)) is not None
    ]
    return (
        f"once {' and '.join(others)}, {what} does not hold" if others else f"{what} does not hold"
    )
