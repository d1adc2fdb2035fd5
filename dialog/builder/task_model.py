"""A task as a finite machine: slots empty or filled, guards true or false, calls that go both ways.

The file is taken at its word: where `confirm: never` lets a write through, it goes through here, so
that it is found, though the engine would ask. The machine forgets values and keeps what the order
of a dialogue depends on. What a guard or a call answered is remembered until a slot that it uses
changes. `dialog.builder.model_checker` walks it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dialog.bot.definition import (
    BotDefinition,
    Confirm,
    Fill,
    ReactionDefinition,
    SlotDefinition,
    StepDefinition,
    TaskDefinition,
)
from dialog.bot.dependencies import all_steps, dependencies
from dialog.bot.environment import value_type
from dialog.builder.guard_checks import guards_of
from dialog.builder.guard_worlds import GuardWorlds, Truths
from dialog.builder.step_checks import is_write


class Phase(StrEnum):
    """How far a task is."""

    START = "start"
    COLLECT = "collect"
    FIND = "find"
    CHECK = "check"
    CONFIRM = "confirm"
    DO = "do"
    END = "end"


class Kind(StrEnum):
    """Who makes a move, and whether a user who only answers would."""

    ANSWER = "answer"
    FREE = "free"  # a change, a cancellation, an answer to what nobody asked
    OUTCOME = "outcome"  # of a guard or a call


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the machine is; `written` are the places of the calls that have written."""

    phase: Phase = Phase.START
    place: str = ""
    filled: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    truths: Truths = frozenset()
    tries: int = 0
    is_confirmed: bool = False
    written: frozenset[str] = frozenset()
    resume: str = "0"  # the step of `do` that comes next: what is done is not done again
    end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move: what is done (`give`, `change`, `yes`, `true`, `fails`, …) and to what."""

    kind: Kind
    act: str
    about: str = ""
    breaks: str = ""  # the property that this move violates


Moves = Iterator[tuple[Move, State]]
GOOD_ENDS = frozenset({"done", "stopped", "started", "person"})


@dataclass(slots=True)
class TaskModel:
    """The machine of one task."""

    bot: BotDefinition
    task: TaskDefinition
    worlds: GuardWorlds = field(init=False)
    uses: Mapping[str, frozenset[str]] = field(init=False)
    steps: dict[str, StepDefinition] = field(init=False)
    matters: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        slots = {**self.task.slots, **self.bot.user}
        types = {n: value_type(s.type, self.bot.tables, many=s.many) for n, s in slots.items()}
        guards = dict(guards_of(self.task))
        self.worlds = GuardWorlds(guards, types, self.task.slots)
        self.uses = dependencies(self.bot, self.task).uses
        self.steps = dict(all_steps(self.task.do))
        names = [guard.names for guard in guards.values()]
        names += [used for node, used in self.uses.items() if node.startswith(("check:", "find"))]
        self.matters = frozenset().union(*names)

    def moves(self, state: State) -> Moves:
        """Yield all moves from a state."""
        match state.phase:
            case Phase.START:
                yield from self._branch(state, "needs", self._begun, self._refused)
            case Phase.COLLECT:
                yield from self._collect(state)
            case Phase.FIND:
                yield from self._find(state)
            case Phase.CHECK:
                yield from self._check(state, int(state.place))
            case Phase.CONFIRM:
                yield from self._confirm(state)
            case Phase.DO:
                yield from self._do(state)
            case Phase.END:
                return

    # Guards and calls: an answer once given stays, until a slot that it depends on changes.

    def _answers(self, state: State, name: str) -> Iterator[tuple[bool, State]]:
        known = dict(state.truths).get(name)
        for truth in (True, False) if known is None else (known,):
            truths = state.truths | {(name, truth)}
            if self.worlds.world(truths) is not None:
                yield truth, replace(state, truths=truths)

    def _branch(
        self,
        state: State,
        name: str,
        yes: Callable[[State], Moves],
        no: Callable[[State], Moves],
    ) -> Moves:
        has_guard = name in self.worlds.guards
        if not has_guard:
            yield from yes(state)
            return
        for truth, after in self._answers(state, name):
            for move, then in (yes if truth else no)(after):
                yield replace(move, about=move.about or name), then

    def _begun(self, state: State) -> Moves:
        yield Move(kind=Kind.ANSWER, act="start"), replace(state, phase=Phase.COLLECT)

    def _refused(self, state: State) -> Moves:
        yield Move(kind=Kind.OUTCOME, act="needs fails"), _ended(state, "refused")

    # Questions.

    def _open_slot(self, state: State) -> Iterator[tuple[SlotDefinition | None, State]]:
        """Yield what is asked next, None for nothing, in each world that the guards allow."""
        for name, slot in self.task.slots.items():
            is_due = slot.required and slot.fill in {Fill.ANYTIME, Fill.WHEN_ASKED}
            if not is_due or name in state.filled | state.skipped:
                continue
            guard = f"when of {name}"
            if guard not in self.worlds.guards:
                yield slot, state
                return
            if not self._is_known(state, guard):
                continue
            answers = list(self._answers(state, guard))
            for truth, after in answers:
                if truth:
                    yield slot, after
                else:
                    yield from self._open_slot(replace(after, skipped=after.skipped | {name}))
            return
        yield None, state

    def _is_known(self, state: State, guard: str) -> bool:
        """Return whether all slots that a guard mentions have a value; facts always have."""
        names = self.worlds.guards[guard].names & set(self.task.slots)
        return all(n in state.filled or self.task.slots[n].default is not None for n in names)

    def _collect(self, state: State) -> Moves:
        for slot, here in self._open_slot(state):
            if slot is None:
                yield (
                    Move(kind=Kind.OUTCOME, act="all given"),
                    replace(here, phase=Phase.FIND, place="", tries=0),
                )
                continue
            yield Move(kind=Kind.ANSWER, act="give", about=slot.name), self._given(here, slot.name)
            yield from self._not_understood(here, slot)
            yield from self._free(here, slot)

    def _not_understood(self, state: State, slot: SlotDefinition) -> Moves:
        move = Move(kind=Kind.FREE, act="unclear", about=slot.name)
        if state.tries + 1 < slot.max_tries:
            yield move, replace(state, tries=state.tries + 1)
        elif slot.on_fail is not None:
            yield move, self._reacted(state, slot.on_fail, "person")
        else:
            yield move, _ended(state, "person")

    def _free(self, state: State, asked: SlotDefinition | None) -> Moves:
        """Yield what a user may do unasked.

        To change or to volunteer a value that no guard, check or search uses leads nowhere new.
        """
        for name in sorted(state.filled & self.matters):
            if name in self.task.slots and self.task.slots[name].fill is not Fill.TOOL:
                yield Move(kind=Kind.FREE, act="change", about=name), self._given(state, name)
        for name, slot in self.task.slots.items():
            is_other = asked is None or name != asked.name
            is_other = is_other and name in self.matters
            if is_other and name not in state.filled and slot.fill is Fill.ANYTIME:
                yield Move(kind=Kind.FREE, act="over-answer", about=name), self._given(state, name)
        yield Move(kind=Kind.FREE, act="cancel"), _ended(state, "cancelled")

    def _given(self, state: State, *names: str) -> State:
        """Fill slots; what depended on them is open again, and so is the confirmation."""
        kept = frozenset((n, t) for n, t in state.truths if not self._depends(n, names))
        again = {
            n
            for n in state.skipped
            if not dict(kept).get(f"when of {n}") and f"when of {n}" not in dict(kept)
        }
        return replace(
            state, filled=state.filled | set(names), truths=kept, tries=0, is_confirmed=False,
            skipped=state.skipped - again, phase=Phase.COLLECT, place="",
        )  # fmt: skip

    def _depends(self, guard: str, names: tuple[str, ...]) -> bool:
        if guard in self.worlds.guards:
            return bool(self.worlds.guards[guard].names & set(names))
        return bool(self.uses.get(guard, frozenset()) & set(names))

    # Search, checks, confirmation.

    def _find(self, state: State) -> Moves:
        after = replace(state, phase=Phase.CHECK, place="0")
        if self.task.find is None or (self.task.into and self.task.into in state.filled):
            yield Move(kind=Kind.OUTCOME, act="nothing to find"), after
            return
        if self.task.into:
            after = replace(after, filled=after.filled | {self.task.into})
        yield Move(kind=Kind.ANSWER, act="choose", about=self.task.into), after
        asked = [n for n in sorted(self.uses.get("find", frozenset())) if n in state.filled]
        for name in asked:
            yield (
                Move(kind=Kind.ANSWER, act="none found, give", about=name),
                self._given(state, name),
            )
        if not asked:
            yield Move(kind=Kind.OUTCOME, act="none found"), _ended(state, "nothing found")

    def _check(self, state: State, i: int) -> Moves:
        if i >= len(self.task.check):
            yield (
                Move(kind=Kind.OUTCOME, act="checks hold"),
                replace(state, phase=Phase.CONFIRM, place=""),
            )
            return
        check = self.task.check[i]
        name = f"check {i + 1}" if check.condition is not None else f"check:{i}"
        for truth, after in self._answers(state, name):
            if truth:
                yield (
                    Move(kind=Kind.OUTCOME, act="holds", about=name),
                    replace(after, place=str(i + 1)),
                )
            else:
                then = self._reacted(after, check.otherwise, "failed", f"check:{i}")
                yield Move(kind=Kind.OUTCOME, act="does not hold", about=name), then

    def _confirm(self, state: State) -> Moves:
        after = replace(state, phase=Phase.DO, place=state.resume)
        has_writes = any(is_write(self.bot, step.call) for step in self.steps.values())
        if state.is_confirmed or not has_writes or self.task.confirm is Confirm.NEVER:
            yield Move(kind=Kind.OUTCOME, act="nothing to confirm"), after
            return
        yield Move(kind=Kind.ANSWER, act="yes", about="confirm"), replace(after, is_confirmed=True)
        yield from self._free(state, None)

    # Steps.

    def _do(self, state: State) -> Moves:
        step = self.steps.get(state.place)
        if step is None:
            yield Move(kind=Kind.OUTCOME, act="done"), _ended(state, "done")
            return
        guard = f"if of step do:{state.place}"
        if guard not in self.worlds.guards:
            yield from self._step(state, step)
            return
        for truth, after in self._answers(state, guard):
            if truth:
                yield from self._step(after, step)
            else:
                yield Move(kind=Kind.OUTCOME, act="passed over", about=guard), self._next(after)

    def _step(self, state: State, step: StepDefinition) -> Moves:
        if step.ask is not None:
            for answer, branch in (("yes", step.yes), ("no", step.no)):
                inside = replace(state, place=f"{state.place}.{answer}.0")
                after = inside if branch else self._next(state)
                yield Move(kind=Kind.ANSWER, act=answer, about=f"do:{state.place}"), after
            return
        if step.call is None:
            yield Move(kind=Kind.OUTCOME, act="said"), self._after(state, step)
            return
        breaks, here = "", state
        if is_write(self.bot, step.call):
            breaks = self._violation(state, step)
            here = replace(state, written=state.written | {state.place})
        name = step.call.function
        yield (
            Move(kind=Kind.OUTCOME, act="returns", about=name, breaks=breaks),
            self._after(here, step),
        )
        reaction = step.failed or self.task.failed
        yield (
            Move(kind=Kind.OUTCOME, act="fails", about=name, breaks=breaks),
            self._reacted(state, reaction, "failed"),
        )

    def _violation(self, state: State, step: StepDefinition) -> str:
        is_asked = ".yes." in state.place
        if not state.is_confirmed and not is_asked:
            return "unconfirmed_write"
        tool = self.bot.tools.get(step.call.function) if step.call else None
        if state.place in state.written and tool is not None and tool.idempotent_by is None:
            return "repeated_write"
        return ""

    def _after(self, state: State, step: StepDefinition) -> State:
        if step.set:
            state = replace(state, filled=state.filled | {name for name, _ in step.set})
        if step.handoff is not None:
            return _ended(state, "person")
        if step.stop:
            return _ended(state, "stopped")
        return self._next(state)

    def _next(self, state: State) -> State:
        """Go to the step behind this one, out of the branches that end here."""
        place = state.place
        while True:
            head, _, last = place.rpartition(".")
            following = f"{head}.{int(last) + 1}" if head else str(int(last) + 1)
            if following in self.steps or not head:
                return replace(state, place=following)
            place = head.rpartition(".")[0]

    def _reacted(
        self, state: State, reaction: ReactionDefinition | None, default: str, check: str = ""
    ) -> State:
        """Go where a failure leads: a check without a way out asks again for what it used last."""
        again = reaction.reask if reaction is not None else ()
        is_final = reaction is not None and bool(
            reaction.stop or reaction.start or reaction.handoff is not None
        )
        if check and not again and not is_final:
            used = self.uses.get(check, frozenset())
            again = tuple(name for name in self.task.slots if name in used)[-1:]
        if again:
            return replace(
                state, filled=state.filled - set(again), tries=0, phase=Phase.COLLECT, place="",
                is_confirmed=False, resume=state.place if state.phase is Phase.DO else state.resume,
            )  # fmt: skip
        if reaction is not None and reaction.handoff is not None:
            return _ended(state, "person")
        if reaction is not None and is_final:
            return _ended(state, "started" if reaction.start else "stopped")
        return _ended(state, default)


def _ended(state: State, how: str) -> State:
    return replace(state, phase=Phase.END, place="", end=how, tries=0)
