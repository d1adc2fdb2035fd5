"""Whether a simulated conversation came to its right end: by state, calls and acts, no model.

All parts must hold; there is no partial credit, and none at the limit of turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dialog.bot.definition import BotDefinition, Confirm
from dialog.simulation.goal import Goal, GoalTask, Persona
from dialog.simulation.user import tells_so
from dialog.task.acts import Act, ActName
from dialog.task.commands import JSON
from dialog.task.events import BotUttered, CommandsParsed, TaskEvent, ToolReturned, ToolStarted
from dialog.task.state import DialogState, FrameStatus, HandoffStatus, TaskFrame
from tools.base import Effect

_GRACE: Final = 3  # turns that a bot may take to hand an impatient user over
_CONFIRMING: Final = (ActName.CONFIRM, ActName.IMPLICIT_CONFIRM)


class Failure(StrEnum):
    """Why a conversation did not come to its right end, the gravest first."""

    NONE = ""
    ERROR = "error"  # the bot raised an exception
    UNCONFIRMED_WRITE = "unconfirmed_write"
    WRONG_WRITE = "wrong_write"  # something was written that nobody wanted
    EXACT_REPEAT = "exact_repeat"
    NOT_TOLD = "not_told"  # an impossible wish, and nobody said so
    NOT_HANDED_OVER = "not_handed_over"
    TURN_LIMIT = "turn_limit"
    NOT_REACHED = "not_reached"  # it ended, and the goal is not what is stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A conversation as it went."""

    events: tuple[TaskEvent, ...]
    state: DialogState
    turns: int
    has_ended: bool
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of a conversation; `detail` names what was missed, and where."""

    failure: Failure = Failure.NONE
    detail: str = ""
    unconfirmed_writes: int = 0
    exact_repeats: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the right end was reached."""
        return self.failure is Failure.NONE


def judged(bot: BotDefinition, goal: Goal, record: Record) -> Verdict:
    """Return the verdict on a conversation."""
    unconfirmed = unconfirmed_writes(bot, record.events)
    repeats = exact_repeats(record.events)

    def verdict(failure: Failure, detail: str) -> Verdict:
        return Verdict(
            failure=failure,
            detail=detail,
            unconfirmed_writes=len(unconfirmed),
            exact_repeats=len(repeats),
        )

    if record.error:
        return verdict(Failure.ERROR, record.error)
    if unconfirmed:
        return verdict(Failure.UNCONFIRMED_WRITE, unconfirmed[0])
    if (wrong := _wrong_write(bot, goal, record)) is not None:
        return verdict(Failure.WRONG_WRITE, wrong)
    if repeats:
        return verdict(Failure.EXACT_REPEAT, repeats[0])
    failure, detail = _end(bot, goal, record)
    return verdict(failure, detail)


def _end(bot: BotDefinition, goal: Goal, record: Record) -> tuple[Failure, str]:
    has_person = record.state.handoff is not HandoffStatus.NONE
    missed = [_missed(bot, task, record.state) for task in goal.tasks]
    missed = [detail for detail in missed if detail]
    if not goal.is_possible:
        told = any(tells_so(act) for act in _acts(record.events)) or has_person
        return (Failure.NONE, "") if told else (Failure.NOT_TOLD, "the user was never told so")
    if goal.persona is Persona.IMPATIENT and record.turns >= goal.patience:
        in_time = has_person and record.turns <= goal.patience + _GRACE
        if in_time or not missed:
            return Failure.NONE, ""
        return Failure.NOT_HANDED_OVER, f"no person after {record.turns} turns"
    if not record.has_ended:
        return Failure.TURN_LIMIT, f"no end after {record.turns} turns"
    return (Failure.NOT_REACHED, missed[0]) if missed else (Failure.NONE, "")


def _missed(bot: BotDefinition, wanted: GoalTask, state: DialogState) -> str:
    """Return what is not as a part of the goal wants it, "" if all is."""
    frames = [frame for frame in (*state.closed, *state.frames) if frame.task == wanted.task]
    done = [frame for frame in frames if frame.status is FrameStatus.DONE]
    if not done:
        status = frames[-1].status.value if frames else "never begun"
        return f"{wanted.task} is {status}, not done"
    task = bot.tasks[wanted.task]
    differing = ""
    for frame in done:
        differing = _difference(wanted, frame, task.into)
        if not differing:
            return ""
    return differing


def _difference(wanted: GoalTask, frame: TaskFrame, into: str) -> str:
    for slot, value in wanted.values.items():
        cell = frame.cell(slot)
        if cell.has_value and cell.value != value:
            return f"{wanted.task}.{slot} is {cell.value!r}, not {value!r}"
        if not cell.has_value and not cell.is_dontcare and frame.search is None:
            return f"{wanted.task}.{slot} is empty, not {value!r}"
    if into and wanted.target is not None and frame.cell(into).value != wanted.target:
        return f"{wanted.task}.{into} is {frame.cell(into).value!r}, not {wanted.target!r}"
    return ""


def _acts(events: Sequence[TaskEvent]) -> list[Act]:
    return [act for event in events if isinstance(event, BotUttered) for act in event.acts]


def _is_write(bot: BotDefinition, tool: str) -> bool:
    found = bot.tools.get(tool)
    return found is None or found.effect is Effect.WRITE


def _wrong_write(bot: BotDefinition, goal: Goal, record: Record) -> str | None:
    """Return a write that went well and that the goal does not want; None if there is none."""
    ended = {e.call_id: e for e in record.events if isinstance(e, ToolReturned)}
    wanted = {task.task: task for task in goal.tasks if task.impossible is None}
    for event in record.events:
        if not isinstance(event, ToolStarted) or not _is_write(bot, event.tool):
            continue
        result = ended.get(event.call_id)
        if result is None or result.error or event.purpose == "undo":
            continue
        frame = record.state.frame(event.frame)
        task = frame.task if frame is not None else ""
        if task not in wanted:
            return f"{event.tool} was called for {task or 'a closed task'}, which nobody wanted"
        for name, value in event.arguments.items():
            if name in wanted[task].values and wanted[task].values[name] != value:
                return f"{event.tool} was given {name}={value!r}, not {wanted[task].values[name]!r}"
    return None


def unconfirmed_writes(bot: BotDefinition, events: Sequence[TaskEvent]) -> list[str]:
    """Return the writes with a value that the user was not shown before in order to agree to it."""
    found: list[str] = []
    shown: dict[tuple[int, str], JSON] = {}
    agreed: dict[tuple[int, str], JSON] = {}
    asked, led = 0, set[int]()  # the frame of the task's own question, those that a yes led on
    for event in events:
        if isinstance(event, BotUttered):
            asked = next((a.frame for a in event.acts if _is_own_question(bot, a)), 0)
            for act in event.acts:
                if act.name in _CONFIRMING:
                    shown |= {(act.frame, slot): value for slot, value in act.values.items()}
        elif isinstance(event, CommandsParsed):
            heads = {command.head for command in event.commands}
            if "affirm" in heads or not heads & {"deny", "change"}:
                agreed |= shown
            led |= {asked} if "affirm" in heads else set()
        elif isinstance(event, ToolStarted) and _is_write(bot, event.tool):
            is_spared = event.purpose == "undo" or event.frame in led
            missed = "" if is_spared else _unagreed(bot, event, agreed)
            if missed:
                found.append(f"{event.tool} with {missed}, which was not confirmed")
    return found


def _is_own_question(bot: BotDefinition, act: Act) -> bool:
    """Tell whether an act asks what a task itself asks, in the place of a summary."""
    task = bot.tasks.get(act.task)
    return task is not None and task.confirm is Confirm.NEVER and act.key.endswith(":ask")


def _unagreed(
    bot: BotDefinition, event: ToolStarted, agreed: Mapping[tuple[int, str], JSON]
) -> str:
    for name, value in event.arguments.items():
        is_slot = any(name in task.slots for task in bot.tasks.values())
        if is_slot and value is not None and agreed.get((event.frame, name)) != value:
            return f"{name}={value!r}"
    return ""


def exact_repeats(events: Sequence[TaskEvent]) -> list[str]:
    """Return the replies that were given before in the same words, but for those asked to be."""
    found: list[str] = []
    said: set[str] = set()
    was_asked = False
    for event in events:
        if isinstance(event, CommandsParsed):
            was_asked = any(command.head == "repeat" for command in event.commands)
        elif isinstance(event, BotUttered) and event.text:
            if event.text in said and not was_asked:
                found.append(event.text)
            said.add(event.text)
    return found
