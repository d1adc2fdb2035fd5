"""Uptake of what is about the conversation itself: tasks, questions back, repair, leave."""

from dataclasses import replace

from dialog.bot.definition import BotDefinition
from dialog.task.commands import (
    Ask,
    Cancel,
    Command,
    Handoff,
    Knowledge,
    Language,
    Resume,
    Start,
    Unclear,
    What,
    Why,
)
from dialog.task.frames import close_frame, noted, queue_task, resumed, start_task
from dialog.task.state import Counters, DialogState, FrameStatus, PairKind, TaskFrame
from dialog.task.user_memory import kept_slots


def start(bot: BotDefinition, state: DialogState, command: Start) -> DialogState:
    """Return the state with a task begun, taken up again, or queued behind the one of this turn."""
    if command.task not in bot.tasks:
        return noted(state, "not_admitted", text="start", task=command.task)
    for frame in state.frames:
        if frame.task == command.task:
            if frame is state.top and frame.status is FrameStatus.ACTIVE:
                return state
            return resumed(state, frame)
    top = state.top
    is_new = top is not None and any(
        n.kind in ("started", "resumed") and n.frame == top.id for n in state.notices
    )
    if top is not None and (is_new or len(state.frames) > bot.behaviour.max_depth):
        return queue_task(state, command.task)
    before = state.counters.frames
    state = start_task(bot, state, command.task)
    if state.counters.frames == before or state.top is None:
        return state
    return noted(state, "started", frame=state.top.id, task=command.task)


def cancel(bot: BotDefinition, state: DialogState, command: Cancel) -> DialogState:
    """Return the state with a task given up, and what it did undone where the bot says how."""
    frame = next(
        (f for f in reversed(state.frames) if command.task in ("", f.task)),
        None,
    )
    if frame is not None:
        return cancelled(bot, state, frame)
    if any(waiting.task == command.task for waiting in state.queue):
        queue = tuple(waiting for waiting in state.queue if waiting.task != command.task)
        return noted(replace(state, queue=queue), "cancelled", task=command.task)
    for old in reversed(state.closed):
        is_done = old.status is FrameStatus.DONE and command.task in ("", old.task)
        if is_done and old.effects and bot.tasks[old.task].on_cancel:
            # Who said so while the deed was being done need not be asked.
            kind = "undo" if state.was_busy else "may_undo"
            return noted(state, kind, frame=old.id, task=old.task)
    return noted(state, "nothing_to_cancel", task=command.task)


def cancelled(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DialogState:
    """Return the state with an open frame cancelled; if it acted, its `on_cancel` runs first."""
    task = bot.tasks[frame.task]
    if frame.effects and task.on_cancel and frame.program == "do":
        frame = replace(frame, program="on_cancel", step=0, ask_next=(), retries=0)
        pairs = tuple(pair for pair in state.pairs if pair.frame != frame.id)
        return replace(state.with_frame(frame), pairs=pairs)
    state = noted(state, "cancelled", frame=frame.id, task=frame.task)
    return close_frame(bot, state, frame, FrameStatus.CANCELLED)


def undo(state: DialogState, frame: TaskFrame) -> DialogState:
    """Return the state with a finished task open again, to run its `on_cancel`."""
    again = replace(frame, status=FrameStatus.ACTIVE, program="on_cancel", step=0, retries=0)
    below = state.top
    if below is not None:
        state = state.with_frame(replace(below, status=FrameStatus.SUSPENDED))
    closed = tuple(other for other in state.closed if other.id != frame.id)
    return replace(state, closed=closed, frames=(*state.frames, again))


def resume(bot: BotDefinition, state: DialogState, command: Resume) -> DialogState:
    """Return the state with a suspended task going on."""
    del bot
    for frame in reversed(state.frames):
        is_meant = command.task in ("", frame.task)
        if is_meant and frame.status is FrameStatus.SUSPENDED:
            return resumed(state, frame)
    return noted(state, "ack") if state.top is not None else noted(state, "nothing_to_resume")


def restart(bot: BotDefinition, state: DialogState, command: Command) -> DialogState:
    """Return the state with all tasks given up and the queue empty."""
    del command
    for frame in reversed(state.frames):
        if frame.effects and bot.tasks[frame.task].on_cancel:
            state = noted(state, "kept", frame=frame.id, task=frame.task)
    closed = tuple(replace(f, status=FrameStatus.CANCELLED) for f in reversed(state.frames))
    names = kept_slots(bot)  # who the user is, is known all the same
    state = replace(
        state,
        frames=(),
        queue=(),
        pairs=(),
        memory={name: cell for name, cell in state.memory.items() if name in names},
        closed=(*state.closed, *closed)[-20:],
    )
    return noted(state, "restarted")


def finish(bot: BotDefinition, state: DialogState, command: Command) -> DialogState:
    """Return the state after "that is all": what is open is given up, and the bot takes leave."""
    del command
    for frame in reversed(state.frames):
        task = bot.tasks[frame.task]
        if frame.effects or (task.find is not None and not task.do and frame.search is not None):
            state = close_frame(bot, state, frame, FrameStatus.DONE)
        else:
            state = noted(state, "cancelled", frame=frame.id, task=frame.task)
            state = close_frame(bot, state, frame, FrameStatus.CANCELLED)
    return noted(replace(state, queue=(), frames=(), pairs=()), "goodbye")


def handoff(bot: BotDefinition, state: DialogState, command: Handoff) -> DialogState:
    """Return the state in which a person is asked for."""
    del bot
    return noted(state, "handoff", text="user_asks", key=command.queue)


def language(bot: BotDefinition, state: DialogState, command: Language) -> DialogState:
    """Return the state in another of the bot's languages; all values are kept."""
    if command.locale not in bot.locales.all:
        return noted(state, "no_language", text=command.locale)
    return noted(replace(state, locale=command.locale), "language", text=command.locale)


def ask(bot: BotDefinition, state: DialogState, command: Ask) -> DialogState:
    """Return the state with an attribute of an entity asked for."""
    table, key = state.focus if state.focus is not None else ("", None)
    if command.entity is not None:
        key = command.entity
        table = next((n for n, t in bot.tables.items() if str(key) in t), table)
    found = bot.tables.get(table)
    if found is None or key is None or command.attribute not in found.columns:
        return noted(state, "knowledge", text=f"{command.attribute} {key or ''}".strip())
    state = replace(state, focus=[table, key])
    return noted(state, "attribute", slot=command.attribute, value=[table, key])


def knowledge(bot: BotDefinition, state: DialogState, command: Knowledge) -> DialogState:
    """Return the state with a question to be answered from documents."""
    if not bot.knowledge:
        return noted(state, "out_of_scope")
    return noted(state, "knowledge", text=command.query, key=command.source)


def why(bot: BotDefinition, state: DialogState, command: Why) -> DialogState:
    """Return the state with the reason of a question to be told."""
    pair = state.open_pair
    slot = command.slot or (pair.slot if pair is not None else "")
    frame = next((f for f in reversed(state.frames) if slot in bot.tasks[f.task].slots), None)
    return noted(state, "why", frame=frame.id if frame is not None else 0, slot=slot)


def what(bot: BotDefinition, state: DialogState, command: What) -> DialogState:
    """Return the state with a term to be explained: from the glossary, a slot, or documents."""
    wanted = command.term.casefold()
    for term in bot.glossary:
        if term.casefold() == wanted:
            return noted(state, "what", text=command.term, key=f"glossary:{term}")
    for frame in reversed(state.frames):
        slot = bot.tasks[frame.task].slots.get(wanted.replace(" ", "_"))
        if slot is not None and slot.about:
            return noted(state, "what", text=command.term, value=slot.about)
    if bot.knowledge:
        return noted(state, "knowledge", text=command.term)
    return noted(state, "out_of_scope")


def unclear(bot: BotDefinition, state: DialogState, command: Unclear) -> DialogState:
    """Return the state after something that was not understood, or not of what it was said."""
    if command.value is not None and (asked := _of_which_slot(bot, state, command)) is not None:
        return asked
    guesses = tuple(name for name in command.guesses if name in bot.tasks)
    if len(guesses) > 1:
        return noted(state, "clarify_task", options=guesses[:3])
    if not state.frames and not state.pairs:
        return noted(state, "out_of_scope")
    pair = state.open_pair
    if pair is not None and pair.kind is PairKind.CLOSING and not state.frames:
        return noted(state, "out_of_scope")
    return noted(
        state,
        "unclear",
        frame=pair.frame if pair is not None else 0,
        slot=pair.slot if pair is not None else "",
    )


def _of_which_slot(bot: BotDefinition, state: DialogState, command: Unclear) -> DialogState | None:
    for frame in reversed(state.frames):
        names = tuple(name for name in command.guesses if name in bot.tasks[frame.task].slots)
        if command.task in ("", frame.task) and len(names) > 1:
            return noted(
                state,
                "clarify_slot",
                frame=frame.id,
                task=frame.task,
                options=names,
                value=command.value,
            )
    return None


def counted(state: DialogState) -> Counters:
    """Return the counters after a turn's notices: misunderstandings in a row are counted."""
    kinds = {notice.kind for notice in state.notices}
    counters = state.counters
    return replace(
        counters,
        unclear=counters.unclear + 1 if "unclear" in kinds else 0,
        out_of_scope=counters.out_of_scope + 1 if "out_of_scope" in kinds else 0,
    )
