"""What is said of each thing that a reply must take up, in the order of importance.

repair > handoff > failed call > success > answer to the user's question > acknowledgement
"""

from collections.abc import Callable, Mapping
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.state import DialogState, Notice

_Worded = Callable[[BotDefinition, DialogState, Notice], Act | None]


def _plain(name: ActName, key: str = "") -> _Worded:
    def act(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
        del bot, state
        return Act(
            name=name,
            task=notice.task,
            frame=notice.frame,
            slot=notice.slot,
            values={} if notice.value is None or not notice.slot else {notice.slot: notice.value},
            key=key or notice.kind,
            words=notice.text,
            source=notice.source,
            reason=notice.kind,
        )

    return act


def _nothing(bot: BotDefinition, state: DialogState, notice: Notice) -> None:
    del bot, state, notice


def _correction(bot: BotDefinition, state: DialogState, notice: Notice) -> Act | None:
    if bot.behaviour.correction == "silent":
        return None
    frame = state.frame(notice.frame)
    if frame is None or frame not in state.frames:
        return None
    return _plain(ActName.ACK)(bot, state, notice)


def _of_task(name: ActName, part: str) -> _Worded:
    """Return what words a notice by the task's own text if it has one, else by a phrase."""

    def act(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
        task = bot.tasks.get(notice.task)
        own = {
            "done": task is not None and task.done is not None,
            "cancelled": task is not None and task.cancelled is not None,
            "needs": task is not None and task.needs_otherwise is not None,
        }
        frame = state.frame(notice.frame)
        return Act(
            name=name,
            task=notice.task,
            frame=notice.frame,
            key=f"task:{notice.task}:{part}" if own[part] else notice.kind,
            given={"result": frame.result} if frame is not None else {},
            source=notice.source,
            reason=notice.kind,
        )

    return act


def _said(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del bot, state
    given = notice.value if isinstance(notice.value, Mapping) else {"result": notice.value}
    name = ActName.NOTIFY_FAILURE if notice.kind == "check_failed" else ActName.INFORM
    return Act(
        name=name,
        task=notice.task,
        frame=notice.frame,
        key=notice.key or notice.kind,
        given=given,
        words=notice.text,
        source=notice.source,
        reason=notice.kind,
    )


def _why(bot: BotDefinition, state: DialogState, notice: Notice) -> Act | None:
    frame = state.frame(notice.frame)
    if frame is None or not notice.slot:
        return Act(name=ActName.INFORM, key="why_nothing", reason="why")
    slot = bot.slot(frame.task, notice.slot)
    key = f"slot:{frame.task}:{slot.name}:why" if slot.why is not None else "why"
    return Act(
        name=ActName.INFORM,
        task=frame.task,
        frame=frame.id,
        slot=slot.name,
        key=key,
        source=str(slot.source),
        reason="why",
    )


def _what(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del bot, state
    words = str(notice.value or "")
    return Act(name=ActName.INFORM, key=notice.key or "what", words=words, reason="what")


def _attribute(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del bot, state
    assert isinstance(notice.value, list | tuple)
    table, key = notice.value
    return Act(
        name=ActName.INFORM,
        table=str(table),
        entities=(key,),
        key="attribute",
        slot=notice.slot,
        reason="attribute",
    )


def _answer(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del state
    return Act(
        name=ActName.INFORM,
        key="answer",
        words=notice.text,
        citations=notice.citations,
        source=str(bot.knowledge[notice.key].source) if notice.key in bot.knowledge else "",
        reason="answer",
    )


def _abstained(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del state
    source = bot.knowledge.get(notice.key)
    own = source is not None and source.otherwise is not None
    return Act(
        name=ActName.INFORM,
        key=f"knowledge:{notice.key}:else" if own else "abstained",
        source=str(source.source) if source is not None else "",
        reason="abstained",
    )


def _out_of_scope(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    own = bot.behaviour.out_of_scope is not None
    del state, notice
    return Act(
        name=ActName.REPAIR,
        key="behaviour:out_of_scope" if own else "out_of_scope",
        options=tuple(bot.tasks),
        reason="out_of_scope",
    )


def _handoff(bot: BotDefinition, state: DialogState, notice: Notice) -> Act:
    del state
    return Act(
        name=ActName.HANDOFF,
        frame=notice.frame,
        key="handoff",
        options=(notice.key or bot.behaviour.handoff_to or "people",),
        source=notice.source,
        reason=notice.text,
    )


NOTICES: Final[Mapping[str, _Worded]] = {
    "repeat": _nothing,
    "operator": _plain(ActName.ACK),
    "restarted": _plain(ActName.ACK),
    "language": _plain(ActName.ACK),
    "no_language": _plain(ActName.REPAIR),
    "in_doubt": _plain(ActName.NOTIFY_FAILURE),
    "failed": _plain(ActName.NOTIFY_FAILURE),
    "check_failed": _said,
    "say": _said,
    "success": _of_task(ActName.NOTIFY_SUCCESS, "done"),
    "cancelled": _of_task(ActName.ACK, "cancelled"),
    "needs": _of_task(ActName.REPAIR, "needs"),
    "handoff": _handoff,
    "kept": _plain(ActName.ACK),
    "nothing_to_cancel": _plain(ActName.REPAIR),
    "nothing_to_resume": _plain(ActName.REPAIR),
    "nothing_back": _plain(ActName.REPAIR),
    "unclear": _plain(ActName.REPAIR),
    "which": _plain(ActName.REPAIR),
    "no_more": _plain(ActName.REPAIR),
    "out_of_scope": _out_of_scope,
    "invalid": _plain(ActName.REPAIR),
    "dropped": _plain(ActName.INFORM),
    "changed": _correction,
    "added": _correction,
    "removed": _correction,
    "cleared": _correction,
    "denied": _nothing,
    "back": _plain(ActName.ACK),
    "answer": _answer,
    "abstained": _abstained,
    "attribute": _attribute,
    "what": _what,
    "why": _why,
    "refused": _why,
    "chitchat": _plain(ActName.ACK),
    "idle": _plain(ActName.INFORM),
    "hold": _plain(ActName.HOLD),
    "queued": _plain(ActName.ACK),
    "queue_started": _plain(ActName.ACK),
    "resumed": _plain(ActName.ACK),
    "ack": _plain(ActName.ACK),
    "goodbye": _plain(ActName.GOODBYE),
    "started": _nothing,
    "not_admitted": _nothing,
    "stopped": _nothing,
    "rephrase": _nothing,
    "knowledge": _nothing,
    "undo": _nothing,
    "what_else": _nothing,
    "next": _nothing,
    "change_what": _nothing,
    "clarify_task": _nothing,
    "clarify_slot": _nothing,
    "may_undo": _nothing,
    "offer_handoff": _nothing,
}
"""The act of each kind of notice; those of no act of their own bring about a question, or none."""

_RANK: Final = {kind: rank for rank, kind in enumerate(NOTICES)}


def acts_of_notices(bot: BotDefinition, state: DialogState) -> list[Act]:
    """Return what is to be said of all that this turn brought about, the most important first."""
    found: list[Act] = []
    for notice in sorted(state.notices, key=lambda n: _RANK[n.kind]):
        act = NOTICES[notice.kind](bot, state, notice)
        if act is not None and act not in found:
            found.append(act)
    return found
