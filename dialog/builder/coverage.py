"""What of a bot its tests have touched: tasks, slots, steps, texts, rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dialog.bot.definition import BotDefinition
from dialog.task.events import BotUttered, TaskEvent, ToolStarted
from dialog.task.fold import after
from dialog.task.program import program_of
from dialog.task.state import DialogState


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The touched and all names, by kind: task, slot, step, text."""

    touched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    whole: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def share(self, kind: str) -> float:
        """Return the share of a kind that was touched; 1 where there is nothing to touch."""
        whole = self.whole.get(kind, frozenset())
        return len(self.touched.get(kind, frozenset()) & whole) / len(whole) if whole else 1.0

    def missed(self, kind: str) -> Sequence[str]:
        """Return the names of a kind that were not touched."""
        return sorted(self.whole.get(kind, frozenset()) - self.touched.get(kind, frozenset()))


def coverage_of(bot: BotDefinition, logs: Iterable[Sequence[TaskEvent]]) -> Coverage:
    """Return what conversations touched of a bot."""
    touched: dict[str, set[str]] = {"task": set(), "slot": set(), "step": set(), "text": set()}
    for log in logs:
        state = DialogState()
        for event in log:
            state = after(bot, state, event)
            _touch(touched, state, event)
    return Coverage(
        touched={kind: frozenset(names) for kind, names in touched.items()}, whole=_whole(bot)
    )


def _touch(touched: dict[str, set[str]], state: DialogState, event: TaskEvent) -> None:
    for frame in (*state.frames, *state.closed):
        touched["task"].add(frame.task)
        for name, cell in frame.slots.items():
            if cell.is_answered or cell.history:
                touched["slot"].add(f"{frame.task}.{name}")
        for step in range(frame.step):
            touched["step"].add(f"{frame.task}:{frame.program}:{step}")
    if isinstance(event, BotUttered):
        touched["text"].update(t for t in event.templates if ":" in t)
    if isinstance(event, ToolStarted) and event.purpose == "check":
        asked = state.frame(event.frame)
        if asked is not None:
            touched["step"].add(f"{asked.task}:{event.place}")


def _whole(bot: BotDefinition) -> dict[str, frozenset[str]]:
    slots = {f"{task.name}.{slot}" for task in bot.tasks.values() for slot in task.slots}
    steps, texts = set(), {f"say:{key}" for key in bot.say.texts}
    for task in bot.tasks.values():
        for name in ("do", "on_cancel"):
            steps |= {f"{task.name}:{name}:{i}" for i in range(len(program_of(task, name)))}
        steps |= {f"{task.name}:check:{i}" for i, c in enumerate(task.check) if c.call is not None}
        texts |= {f"task:{task.name}:done"} if task.done is not None else set()
        texts |= {f"task:{task.name}:cancelled"} if task.cancelled is not None else set()
        for i, check in enumerate(task.check):
            if check.otherwise is not None and check.otherwise.say is not None:
                texts.add(f"task:{task.name}:check:{i}:else")
    return {
        "task": frozenset(bot.tasks),
        "slot": frozenset(slots),
        "step": frozenset(steps),
        "text": frozenset(texts),
    }
