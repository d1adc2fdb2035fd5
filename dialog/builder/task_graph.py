"""A bot as a graph: what is asked, searched, checked, confirmed and done, and where it goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from dialog.bot.definition import (
    BotDefinition,
    Confirm,
    ReactionDefinition,
    StepDefinition,
    TaskDefinition,
)
from dialog.bot.dependencies import all_steps
from dialog.bot.source import SourceLine
from dialog.builder.step_checks import is_write


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One thing that happens; `id` is its name in coverage reports ("book_table.date")."""

    id: str
    task: str
    kind: str  # task | slot | find | check | confirm | step | end
    label: str
    source: SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """What may follow what, and when."""

    start: str
    end: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGraph:
    """The nodes of all tasks in their order, and the ways between them."""

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


def graph_of(bot: BotDefinition) -> TaskGraph:
    """Return the graph of a bot."""
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    for task in bot.tasks.values():
        own = list(_nodes(bot, task))
        nodes += own
        edges += _edges(task, own)
    return TaskGraph(name=bot.name, nodes=tuple(nodes), edges=tuple(edges))


def _nodes(bot: BotDefinition, task: TaskDefinition) -> Iterator[GraphNode]:
    def node(place: str, kind: str, label: str, source: SourceLine) -> GraphNode:
        return GraphNode(id=place, task=task.name, kind=kind, label=label, source=source)

    needs = f"\nneeds {task.needs.text}" if task.needs is not None else ""
    yield node(task.name, "task", f"{task.name}{needs}", task.source)
    for slot in task.slots.values():
        if slot.name == task.into:
            continue
        when = f"\nwhen {slot.when.text}" if slot.when is not None else ""
        mark = "" if slot.required else "?"
        label = f"{slot.name}{mark}: {slot.type.name}{when}"
        yield node(f"{task.name}.{slot.name}", "slot", label, slot.source)
    if task.find is not None:
        into = f" → {task.into}" if task.into else ""
        label = f"find {task.find.function}{into}"
        yield node(f"{task.name}:find", "find", label, task.find.source)
    for i, check in enumerate(task.check):
        what = check.call.function if check.call is not None else ""
        text = what or (check.condition.text if check.condition is not None else "")
        yield node(f"{task.name}:check:{i}", "check", f"check {text}", check.source)
    steps = list(all_steps(task.do))
    has_writes = any(is_write(bot, step.call) for _, step in steps)
    if task.confirm is Confirm.EXPLICIT or (has_writes and task.confirm is not Confirm.NEVER):
        yield node(f"{task.name}:confirm", "confirm", f"confirm ({task.confirm})", task.source)
    for place, step in steps:
        yield node(f"{task.name}:do:{place}", "step", _label(bot, step), step.source)
    yield node(f"{task.name}:done", "end", "done", (task.done or task).source)


def _label(bot: BotDefinition, step: StepDefinition) -> str:
    parts = [f"if {step.condition.text}"] if step.condition is not None else []
    if step.ask is not None:
        parts.append("ask")
    if step.say is not None:
        parts.append("say")
    if step.set:
        parts.append(f"set {', '.join(name for name, _ in step.set)}")
    if step.call is not None:
        parts.append(f"{'write' if is_write(bot, step.call) else 'read'} {step.call.function}")
    parts += [f"start {step.start}"] if step.start else []
    parts += [f"person {step.handoff}".strip()] if step.handoff is not None else []
    parts += ["stop"] if step.stop else []
    return "\n".join(parts)


def _edges(task: TaskDefinition, nodes: list[GraphNode]) -> Iterator[GraphEdge]:
    plain = [node for node in nodes if node.kind != "step"]
    steps = [node for node in nodes if node.kind == "step" and "." not in _place(node)]
    line = [*plain[:-1], *steps, plain[-1]]
    for first, second in pairwise(line):
        yield GraphEdge(start=first.id, end=second.id)
    for i, check in enumerate(task.check):
        yield from _back(task, f"{task.name}:check:{i}", "else", check.otherwise)
    for place, step in all_steps(task.do):
        yield from _ways_of(task, f"{task.name}:do:{place}", step)
    for following in task.next:
        yield GraphEdge(start=f"{task.name}:done", end=following, label="next")
    for slot in task.slots.values():
        if slot.carried_from is not None:
            origin = slot.carried_from
            yield GraphEdge(
                start=f"{origin.task}.{origin.slot}", end=f"{task.name}.{slot.name}", label="same"
            )


def _ways_of(task: TaskDefinition, here: str, step: StepDefinition) -> Iterator[GraphEdge]:
    yield from _back(task, here, "failed", step.failed)
    for answer, branch in (("yes", step.yes), ("no", step.no)):
        if branch:
            yield GraphEdge(start=here, end=f"{here}.{answer}.0", label=answer)
        for j in range(len(branch) - 1):
            yield GraphEdge(start=f"{here}.{answer}.{j}", end=f"{here}.{answer}.{j + 1}")
    if step.start:
        yield GraphEdge(start=here, end=step.start, label="start")


def _place(node: GraphNode) -> str:
    return node.id.rpartition(":")[2]


def _back(
    task: TaskDefinition, start: str, label: str, reaction: ReactionDefinition | None
) -> Iterator[GraphEdge]:
    for slot in reaction.reask if reaction is not None else ():
        yield GraphEdge(start=start, end=f"{task.name}.{slot}", label=label)
    if reaction is not None and reaction.start:
        yield GraphEdge(start=start, end=reaction.start, label=label)
