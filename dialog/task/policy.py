"""From a state to what is done next: a call, a search of documents, or acts to say.

    repair > handoff > failed tool > pending confirmation > violated check > answer to the user's
    question > open question > next slot > offer > write > completion > queue > anything else? > bye

Pure: equal states give equal decisions. `question_rules` is the agenda of the first parts, of
which a turn puts at most one; `legal_acts` is the mask that any other policy must keep to.
"""

from collections.abc import Sequence
from typing import Protocol

from dialog.bot.definition import BotDefinition
from dialog.task.acts import QUESTIONS, Act, ActName, CallTool, Decision, FindPassages
from dialog.task.agenda import (
    DueCall,
    arguments_of,
    due_check,
    due_search,
    next_instruction,
    to_confirm,
    unasked,
)
from dialog.task.notices import acts_of_notices
from dialog.task.program import Op
from dialog.task.questions import Question, question_rules
from dialog.task.state import DialogState, FrameStatus, HandoffStatus, TaskFrame


class Policy(Protocol):
    """Decides what the system does next; must be pure and keep to `legal_acts`."""

    def decide(self, bot: BotDefinition, state: DialogState) -> Decision:
        """Return one step to take, or the acts of the reply."""
        ...


class RulePolicy:
    """The default: rules over an agenda."""

    def decide(self, bot: BotDefinition, state: DialogState) -> Decision:
        """Return one step to take, or the acts of the reply."""
        return decide(bot, state)


def decide(bot: BotDefinition, state: DialogState) -> Decision:
    """Return one step to take, or the acts of the reply."""
    if state.handoff is HandoffStatus.WITH_PERSON:
        return Decision(rule="with_person")
    if state.handoff is HandoffStatus.WAITING:
        act = Act(name=ActName.HOLD, key="waiting", given={"count": state.counters.turns})
        return Decision(acts=(act,), rule="waiting")
    if any(notice.kind == "repeat" for notice in state.notices) and state.last_text:
        return Decision(acts=state.last_acts, rule="repeat")
    step = next_step(bot, state)
    if step is not None:
        return Decision(step=step, rule=step.kind)
    return _said(bot, state)


def _said(bot: BotDefinition, state: DialogState) -> Decision:
    acts = acts_of_notices(bot, state)
    names = {act.name for act in acts}
    if names & {ActName.HANDOFF, ActName.GOODBYE, ActName.HOLD}:
        last = [act for act in acts if act.name in (ActName.HANDOFF, ActName.GOODBYE, ActName.HOLD)]
        rest = [act for act in acts if act not in last]
        return Decision(acts=(*rest, last[-1]), rule=last[-1].name.value.lower())
    candidates = [
        (rule, question)
        for rule, ask in question_rules(bot, state)
        for question in (ask(bot, state),)
        if question is not None
    ]
    if not candidates:
        return Decision(acts=tuple(acts), rule="nothing_to_ask")
    (rule, question), *others = candidates
    acts = [act for act in acts if _goes_with(act, question)]
    echoes = implicit_confirmations(state, question)
    whole = (*acts, *question.before, *echoes, question.act)
    return Decision(acts=whole, rule=rule, lost=tuple(name for name, _ in others))


def _goes_with(act: Act, question: Question) -> bool:
    """Tell whether an act is worth its words beside the question: a mere "fine" is not."""
    return not (act.key == "ack" and question.act.name is not ActName.REQ_MORE)


def implicit_confirmations(state: DialogState, question: Question) -> list[Act]:
    """Return the echo of values that were accepted under the condition that nobody objects."""
    frame = state.top
    if frame is None:
        return []
    values = {
        name: cell.value
        for name, cell in frame.slots.items()
        if cell.plan == "implicit" and cell.has_value and name not in question.act.values
    }
    if not values:
        return []
    return [
        Act(
            name=ActName.IMPLICIT_CONFIRM,
            task=frame.task,
            frame=frame.id,
            values=values,
            reason="expected cost",
        )
    ]


def next_step(  # noqa: PLR0911 - one return per thing to wait for
    bot: BotDefinition, state: DialogState
) -> CallTool | FindPassages | None:
    """Return the call or search that comes before the reply, if any."""
    for notice in state.notices:
        if notice.kind == "knowledge":
            name = notice.key if notice.key in bot.knowledge else next(iter(bot.knowledge), "")
            if not name:
                break
            source = str(bot.knowledge[name].source)
            return FindPassages(query=notice.text, knowledge=name, source=source)
    frame = state.top
    if frame is None or frame.status is not FrameStatus.ACTIVE or frame.pending is not None:
        return None
    if frame.program == "do":
        due = due_check(bot, state, frame)
        if due is not None:
            return _call(frame, due, "check")
        if unasked(bot, state, frame) or _is_unclear(frame):
            return None
        due = due_search(bot, state, frame)
        if due is not None:
            return _call(frame, due, "find")
        if _waits_for_choice(bot, frame) or to_confirm(bot, state, frame) is not None:
            return None
    return _program_call(bot, state, frame)


def _program_call(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> CallTool | None:
    at = next_instruction(bot, frame)
    if at is None or at.op is not Op.CALL or at.step.call is None:
        return None
    arguments = arguments_of(bot, state, frame, at.step.call)
    if arguments is None:
        return None
    place = f"{frame.program}:{frame.step}"
    due = DueCall(call=at.step.call, purpose="call", place=place, arguments=arguments)
    return _call(frame, due, "confirmed" if frame.confirmed else "do")


def _is_unclear(frame: TaskFrame) -> bool:
    return any(cell.plan in ("explicit", "choice") for cell in frame.slots.values())


def _waits_for_choice(bot: BotDefinition, frame: TaskFrame) -> bool:
    task = bot.tasks[frame.task]
    if task.find is None:
        return False
    is_taken = bool(task.into) and frame.cell(task.into).has_value
    return not (is_taken or (frame.search is not None and frame.search.chosen is not None))


def _call(frame: TaskFrame, due: DueCall, reason: str) -> CallTool:
    return CallTool(
        tool=due.call.function,
        arguments=due.arguments,
        frame=frame.id,
        task=frame.task,
        purpose=due.purpose,
        place=due.place,
        source=str(due.call.source),
        reason=reason,
    )


def legal_acts(bot: BotDefinition, state: DialogState) -> frozenset[ActName]:
    """Return the acts that any policy may choose from in this state.

    A question about a slot needs an open frame, an offer rows that were found, a success a call
    that succeeded; a person, once called, silences the bot.
    """
    if state.handoff is HandoffStatus.WITH_PERSON:
        return frozenset()
    allowed = {ActName.INFORM, ActName.ACK, ActName.REPAIR, ActName.HOLD, ActName.HANDOFF}
    allowed |= {ActName.REQ_MORE, ActName.GOODBYE}
    kinds = {notice.kind for notice in state.notices}
    if "success" in kinds:
        allowed.add(ActName.NOTIFY_SUCCESS)
    if kinds & {"failed", "in_doubt", "check_failed"}:
        allowed.add(ActName.NOTIFY_FAILURE)
    if bot.tasks:
        allowed |= {ActName.OFFER_INTENT, ActName.CLARIFY}
    if "may_undo" in kinds:
        allowed.add(ActName.CONFIRM)
    if state.top is not None:
        allowed |= {ActName.REQUEST, ActName.CONFIRM, ActName.IMPLICIT_CONFIRM}
        if state.top.search is not None:
            allowed |= {ActName.OFFER, ActName.INFORM_COUNT}
    return frozenset(allowed)


def check_legal(bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> None:
    """Assert that a policy kept to the mask, and to one question a turn."""
    legal = legal_acts(bot, state)
    is_repeat = any(notice.kind == "repeat" for notice in state.notices)
    for act in acts:
        assert is_repeat or act.name in legal, f"{act.name} is not legal here: {sorted(legal)}"
    num_questions = sum(act.name in QUESTIONS for act in acts)
    assert num_questions <= 1, f"{num_questions} questions in one turn"
