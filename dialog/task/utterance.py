"""What it changes that the bot has said something: questions open, values echoed, turns over."""

from dataclasses import replace
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.canonical import digest
from dialog.task.events import BotUttered
from dialog.task.state import (
    DialogState,
    HandoffStatus,
    Pair,
    PairKind,
    Status,
    TaskFrame,
)

_MAX_SAID: Final = 256

_EXPECTS: Final = {
    PairKind.QUESTION: ("set", "dontcare", "skip"),
    PairKind.OFFER: ("choose", "affirm", "deny", "more"),
    PairKind.CHECK: ("affirm", "deny", "change"),
    PairKind.CLARIFY: ("choose", "set", "deny"),
    PairKind.STEP: ("affirm", "deny"),
    PairKind.INTENT: ("affirm", "deny", "start"),
    PairKind.RESUME: ("affirm", "deny"),
    PairKind.HANDOFF: ("affirm", "deny"),
    PairKind.CLOSING: ("start", "done", "deny"),
}

_KINDS: Final = {
    ActName.REQUEST: PairKind.QUESTION,
    ActName.OFFER: PairKind.OFFER,
    ActName.CONFIRM: PairKind.CHECK,
    ActName.CLARIFY: PairKind.CLARIFY,
    ActName.OFFER_INTENT: PairKind.INTENT,
    ActName.REQ_MORE: PairKind.CLOSING,
}


def pair_kind(act: Act) -> PairKind | None:
    """Return the kind of pair that an act opens."""
    kind = _KINDS.get(act.name)
    if act.key.endswith(":ask") and act.name is ActName.CONFIRM:
        return PairKind.STEP
    if act.key in ("resume", "offer_handoff"):
        return PairKind.RESUME if act.key == "resume" else PairKind.HANDOFF
    return kind


def uttered(bot: BotDefinition, state: DialogState, event: BotUttered) -> DialogState:
    """Return the state after the bot's words."""
    del bot
    is_repeat = any(notice.kind == "repeat" for notice in state.notices)
    before = state
    for act in event.acts:
        state = _after_act(state, act)
    variants = dict(state.variants)
    for template, variant in zip(event.templates, event.variants, strict=True):
        variants[template] = variant + 1
    mark = digest(event.text)
    counters = state.counters
    if event.text and mark in before.said and not is_repeat:
        counters = replace(counters, exact_repeats=counters.exact_repeats + 1)
    return replace(
        state,
        notices=(),
        counters=counters,
        variants=variants,
        said=(*state.said, mark)[-_MAX_SAID:] if event.text else state.said,
        last_acts=event.acts or state.last_acts,
        last_text=event.text or state.last_text,
        is_greeted=True,
        is_answered=True,
    )


def _after_act(state: DialogState, act: Act) -> DialogState:
    kind = pair_kind(act)
    if kind is not None:
        state = _opened(state, act, kind)
    match act.name:
        case ActName.IMPLICIT_CONFIRM | ActName.CONFIRM:
            frame = state.frame(act.frame)
            if frame is not None and frame in state.frames:
                state = state.with_frame(_echoed(frame, act))
        case ActName.HANDOFF:
            return replace(state, handoff=HandoffStatus.WAITING)
        case ActName.GOODBYE:
            return replace(state, is_closed=True, pairs=())
        case ActName.INFORM if act.entities and act.table:
            return replace(state, focus=[act.table, act.entities[0]])
        case ActName.OFFER if len(act.entities) == 1 and act.table:
            return replace(state, focus=[act.table, act.entities[0]])
    return state


def _echoed(frame: TaskFrame, act: Act) -> TaskFrame:
    for name in act.values:
        cell = frame.cell(name)
        if cell.status is Status.UNGROUNDED:
            plan = "explicit" if act.name is ActName.CONFIRM and act.slot else ""
            frame = frame.with_cell(name, replace(cell, status=Status.PENDING, plan=plan))
    return frame


def _opened(state: DialogState, act: Act, kind: PairKind) -> DialogState:
    """Return the state with a first part on top; one frame has one open first part."""
    same = [p for p in state.pairs if (p.kind, p.frame, p.slot) == (kind, act.frame, act.slot)]
    others = tuple(p for p in state.pairs if p.frame != act.frame)
    was_put = max((pair.tries for pair in same), default=0)
    is_failed = any(n.kind in _FAILURES for n in state.notices)
    tries = was_put + (0 if same and not is_failed else 1)
    pair = Pair(
        kind=kind,
        act=act,
        expects=_EXPECTS[kind],
        frame=act.frame,
        slot=act.slot,
        tries=tries,
        turn=state.counters.turns,
    )
    frame = state.frame(act.frame)
    if frame is not None and frame in state.frames and act.slot:
        tries = frame.tries.get(act.slot, 0) + (0 if same and not is_failed else 1)
        state = state.with_frame(replace(frame, tries={**frame.tries, act.slot: tries}))
        if kind is PairKind.QUESTION and frame.cell(act.slot).has_value:
            counters = replace(state.counters, re_asks=state.counters.re_asks + 1)
            state = replace(state, counters=counters)
    return replace(state, pairs=(*others, pair))


_FAILURES: Final = frozenset({"unclear", "invalid", "out_of_scope", "which", "refused", "denied"})
"""What makes a question that is put again a further try of it; after an aside it is none."""
