"""The steps of a task as a flat list of instructions, so that a place in it is one number."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dialog.bot.definition import StepDefinition, TaskDefinition


class Op(StrEnum):
    """What an instruction does; TEST and ASK go to `target` where the answer is no."""

    TEST = "test"
    SAY = "say"
    ASK = "ask"
    SET = "set"
    CALL = "call"
    START = "start"
    HANDOFF = "handoff"
    STOP = "stop"
    JUMP = "jump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One part of one step."""

    op: Op
    step: StepDefinition
    target: int = 0


def program_of(task: TaskDefinition, name: str) -> tuple[Instruction, ...]:
    """Return the instructions of `do` or `on_cancel`."""
    return compiled(task.on_cancel if name == "on_cancel" else task.do)


def compiled(steps: Sequence[StepDefinition], start: int = 0) -> tuple[Instruction, ...]:
    """Return the instructions of steps, of which the first stands at `start`."""
    found: list[Instruction] = []
    for step in steps:
        found += _of_step(step, start + len(found))
    return tuple(found)


def _of_step(step: StepDefinition, start: int) -> list[Instruction]:
    found: list[Instruction] = []
    has_test = step.condition is not None
    at = start + has_test  # the test goes before all else, and its target is known at the end
    if step.say is not None:
        found.append(Instruction(op=Op.SAY, step=step))
    if step.ask is not None:
        at_yes = at + len(found) + 1
        yes = compiled(step.yes, at_yes)
        at_no = at_yes + len(yes) + 1
        no = compiled(step.no, at_no)
        end = at_no + len(no)
        found += [Instruction(op=Op.ASK, step=step, target=at_no), *yes]
        found += [Instruction(op=Op.JUMP, step=step, target=end), *no]
    for op, is_there in (
        (Op.SET, bool(step.set)),
        (Op.CALL, step.call is not None),
        (Op.START, step.start is not None),
        (Op.HANDOFF, step.handoff is not None),
        (Op.STOP, step.stop),
    ):
        if is_there:
            found.append(Instruction(op=op, step=step))
    if has_test:
        found.insert(0, Instruction(op=Op.TEST, step=step, target=at + len(found)))
    return found


def is_under_yes(program: Sequence[Instruction], at: int) -> bool:
    """Tell whether an instruction is reached by the yes to a question of the task alone."""
    return any(
        ask.op is Op.ASK and i < at < ask.target - 1  # the jump over `no` ends the branch
        for i, ask in enumerate(program)
    )
