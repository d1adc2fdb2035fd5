"""Checks of what a task does: writes that nobody confirmed, steps that are never reached."""

from collections.abc import Iterator

from dialog.bot.definition import (
    BotDefinition,
    CallDefinition,
    CheckDefinition,
    Confirm,
    ReactionDefinition,
    StepDefinition,
    TaskDefinition,
)
from dialog.bot.dependencies import (
    DependencyGraph,
    all_steps,
    dependencies,
    names_of_call,
)
from dialog.bot.problems import Problem
from dialog.builder.findings import error, warning
from tools.base import Effect


def step_findings(bot: BotDefinition) -> Iterator[Problem]:
    """Yield what is wrong with checks, searches and steps."""
    for task in bot.tasks.values():
        yield from _unguarded_writes(bot, task)
        yield from _writes_before_the_confirmation(bot, task)
        yield from _unreachable(task, task.do)
        yield from _checks(bot, task)
        yield from _endless_starts(bot, task)
        yield from _texts_without_use(bot, task)
    yield from _unused_tools(bot)


def is_write(bot: BotDefinition, call: CallDefinition | None) -> bool:
    """Return whether a call changes anything outside of the conversation."""
    tool = bot.tools.get(call.function) if call is not None else None
    return tool is not None and tool.effect is Effect.WRITE


def _unguarded_writes(bot: BotDefinition, task: TaskDefinition) -> Iterator[Problem]:
    for place, step in all_steps(task.do):
        if not is_write(bot, step.call) or step.call is None:
            continue
        is_asked = ".yes." in f".{place}"
        if task.confirm is Confirm.NEVER and not is_asked:
            yield error(
                "unconfirmed_write", step.call.source,
                f"{task.name}: {step.call.function} writes, and confirm: never asks for no"
                " agreement; as no write is made without one, the user will be asked all the same",
                remedy="use confirm: auto or explicit, call it under the yes: of a question, or"
                " declare the function as one that reads",
                example='@tool(effect="read")',
            )  # fmt: skip
        if place != "0" and not is_asked and "result" in names_of_call(bot, step.call):
            yield warning(
                "unconfirmed_write", step.call.source,
                f"{task.name}: {step.call.function} writes with values of a result, which the user"
                " never saw",
                remedy="ask first, and call it under yes:",
                example=f"{{ask: Shall I?, yes: {{call: {step.call.function}}}}}",
            )  # fmt: skip


def _writes_before_the_confirmation(bot: BotDefinition, task: TaskDefinition) -> Iterator[Problem]:
    early = [("find", task.find)] if not task.find_is_table else []
    early += [(f"check {i}", check.call) for i, check in enumerate(task.check, 1)]
    early += [(f"options_from of {s.name}", s.options_from) for s in task.slots.values()]
    for what, call in early:
        if is_write(bot, call) and call is not None:
            yield error(
                "unconfirmed_write", call.source,
                f"{task.name}: {what} calls {call.function}, which writes, before anything is"
                " confirmed",
                remedy=f"declare that {call.function} reads, or call it in do:",
                example='@tool(effect="read")',
            )  # fmt: skip


def _ends(step: StepDefinition) -> bool:
    return step.condition is None and (step.stop or step.handoff is not None)


def _unreachable(task: TaskDefinition, steps: tuple[StepDefinition, ...]) -> Iterator[Problem]:
    for i, step in enumerate(steps):
        if _ends(step) and i + 1 < len(steps):
            yield error(
                "unreachable", steps[i + 1].source,
                f"{task.name}: this step is never reached, as the one at {step.source} always ends"
                " the task",
                remedy="put a condition on the step before it, or remove this one",
            )  # fmt: skip
            break
    for step in steps:
        if step.ask is not None and not step.yes and not step.no:
            yield warning(
                "unreachable", step.source,
                f"{task.name}: nothing follows from the answer to this question",
                remedy="add yes: or no:", example="{ask: Shall I?, yes: {call: upgrade}}",
            )  # fmt: skip
        for branch in (step.yes, step.no):
            yield from _unreachable(task, branch)


def _is_progress(reaction: ReactionDefinition | None) -> bool:
    return reaction is not None and bool(
        reaction.reask or reaction.stop or reaction.start or reaction.handoff is not None
    )


def _checks(bot: BotDefinition, task: TaskDefinition) -> Iterator[Problem]:
    graph = dependencies(bot, task)
    for i, check in enumerate(task.check):
        if not _is_progress(check.otherwise):
            if graph.uses[f"check:{i}"]:
                continue  # what it used last is asked again
            yield warning(
                "no_progress", check.source,
                f"{task.name}: when check {i + 1} does not hold, there is nothing to ask again, and"
                " the task fails",
                remedy="add else: with reask, stop, start or handoff",
                example='else: {say: "That is too much.", reask: amount}',
            )  # fmt: skip
            continue
        yield from _useless_reasks(task, check, i, graph)


def _useless_reasks(
    task: TaskDefinition, check: CheckDefinition, i: int, graph: DependencyGraph
) -> Iterator[Problem]:
    for slot in check.otherwise.reask if check.otherwise else ():
        if f"check:{i}" not in graph.dependents(slot):
            yield error(
                "no_progress", check.otherwise.source if check.otherwise else check.source,
                f"{task.name}: to ask {slot} again cannot change check {i + 1}, which has no use"
                " for it",
                remedy="ask again for what the check uses: "
                + (", ".join(sorted(graph.uses[f"check:{i}"])) or "it uses no slot"),
            )  # fmt: skip


def _endless_starts(bot: BotDefinition, task: TaskDefinition) -> Iterator[Problem]:
    """Yield tasks that start themselves again, directly or by others, without a condition."""
    seen, name = [task.name], task.name
    while True:
        steps = bot.tasks[name].do
        start = next((s for s in steps if s.start and s.condition is None), None)
        if start is None or start.start is None:
            return
        name = start.start
        if name == task.name:
            yield error(
                "endless", start.source, f"{' starts '.join([*seen, name])}, without an end",
                remedy="put an if: on one of the starts",
            )  # fmt: skip
            return
        if name in seen:
            return
        seen.append(name)


def _texts_without_use(bot: BotDefinition, task: TaskDefinition) -> Iterator[Problem]:
    calls = [step.call for _, step in all_steps(task.do) if step.call is not None]
    if task.failed is not None and not calls:
        yield warning(
            "unused", task.failed.source, f"{task.name} calls nothing that could fail",
            remedy="remove failed:",
        )  # fmt: skip
    if not (task.do or task.find or task.done or task.next):
        yield warning(
            "no_progress", task.source, f"the task {task.name!r} does nothing with what it asks",
            remedy="add a call, a find, or at least a done text", example="call: reserve",
        )  # fmt: skip
    if not task.about and not task.examples:
        yield warning(
            "unstartable", task.source, f"nothing tells what users say to start {task.name!r}",
            remedy="add about: and examples:", example="examples: [I need a table]",
        )  # fmt: skip
    for name in task.offer.relax if task.offer is not None else ():
        if task.find is not None and name not in names_of_call(bot, task.find) | _columns(task):
            yield warning(
                "no_progress", task.offer.source if task.offer else task.source,
                f"{task.name}: to relax {name} changes nothing, as the search does not use it",
                remedy="name slots that find: uses",
            )  # fmt: skip


def _columns(task: TaskDefinition) -> frozenset[str]:
    return frozenset(column for column, _ in (task.find.arguments or ()) if task.find)  # type: ignore[union-attr]


def _unused_tools(bot: BotDefinition) -> Iterator[Problem]:
    called = {tool.undo for tool in bot.tools.values()}
    for task in bot.tasks.values():
        steps = (*all_steps(task.do), *all_steps(task.on_cancel))
        called |= {step.call.function for _, step in steps if step.call is not None}
        called |= {check.call.function for check in task.check if check.call is not None}
        called |= {s.options_from.function for s in task.slots.values() if s.options_from}
        called |= {task.find.function} if task.find is not None else set()
    for name in sorted(set(bot.tools) - called):
        if bot.tools[name].effect is Effect.WRITE:
            yield warning(
                "unused", bot.source, f"no task calls {name} of tools.py",
                remedy="call it, or let its name begin with _",
            )  # fmt: skip
