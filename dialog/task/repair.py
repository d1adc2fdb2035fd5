"""Too many tries: a question is put at most so often, in other words each time, then help comes."""

from dataclasses import replace
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.frames import noted
from dialog.task.scope import scope_of
from dialog.task.settling import react
from dialog.task.state import DialogState, Pair, PairKind, TaskFrame

_FAILURES: Final = frozenset({"unclear", "invalid", "out_of_scope", "which", "refused"})


def escalated(bot: BotDefinition, state: DialogState) -> DialogState:
    """Return the state with what follows from too many tries, misses or failures.

    The rules of the bot file go first (`handoff: {when: […]}`); a slot's own `on_fail` comes next,
    then the offer of a person.
    """
    if any(notice.kind in ("handoff", "goodbye") for notice in state.notices):
        return state
    scope = scope_of(bot, state, state.top)
    for rule in bot.behaviour.handoff_when:
        if rule.condition.holds(scope):
            return noted(state, "handoff", text=rule.condition.text, source=str(rule.source))
    if _is_out_of_scope(bot, state):
        then = bot.behaviour.out_of_scope_then
        state = replace(state, counters=replace(state.counters, out_of_scope=0))
        if then == "handoff":
            return noted(state, "offer_handoff", text="out_of_scope")
        return noted(state, "goodbye") if then == "stop" else state
    pair = state.open_pair
    frame = state.frame(pair.frame) if pair is not None else None
    if pair is None or frame is None or frame not in state.frames or not _failed(state, pair):
        return state
    return _given_up(bot, state, pair, frame)


def _is_out_of_scope(bot: BotDefinition, state: DialogState) -> bool:
    return state.counters.out_of_scope >= max(2, bot.behaviour.out_of_scope_after)


def _failed(state: DialogState, pair: Pair) -> bool:
    return any(
        notice.kind in _FAILURES and notice.slot in ("", pair.slot) for notice in state.notices
    )


def _given_up(bot: BotDefinition, state: DialogState, pair: Pair, frame: TaskFrame) -> DialogState:
    slot = bot.tasks[frame.task].slots.get(pair.slot)
    limit = slot.max_tries if slot is not None else 3
    if pair.tries < limit:
        return state
    if slot is not None and slot.on_fail is not None and pair.kind is PairKind.QUESTION:
        key = f"slot:{frame.task}:{slot.name}:on_fail"
        source = str(slot.on_fail.source)
        return react(bot, state, frame, slot.on_fail, key, frozenset(), source)
    fresh = replace(pair, tries=1)
    pairs = tuple(fresh if other is pair else other for other in state.pairs)
    return noted(replace(state, pairs=pairs), "offer_handoff", text="max_tries", slot=pair.slot)
