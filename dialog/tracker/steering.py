"""Words that steer the dialogue itself: repeat, why, back, cancel, a person, another language."""

from dialog.task.commands import COMMANDS, Back, Command, Language, Why
from dialog.tracker.situation import Situation, SlotView
from dialog.tracker.words import Found, find_phrase, first_phrase, split, words_of

_ALONE = 0.97
_WITHIN = 0.9

_HEADS: tuple[str, ...] = (
    "handoff",
    "restart",
    "cancel",
    "repeat",
    "rephrase",
    "why",
    "back",
    "hold",
    "skip",
    "resume",
    "more",
    "done",
)
"""In order of precedence: where two are said, the earlier one here is meant."""


def steering(situation: Situation) -> tuple[Command, Found | None] | None:
    """Return the steering command of a turn and the words that gave it; None if there is none."""
    phrases = situation.phrases
    said = _without_polite(situation)
    for head in _HEADS:
        if not _is_admitted(head, situation):
            continue
        if any(said == list(split(phrase)) for phrase in phrases.alone.get(head, ())):
            return _command(head, "", _ALONE), None
    for head in _HEADS:
        if not _is_admitted(head, situation):
            continue
        found = first_phrase(situation.text, phrases.commands.get(head, ()))
        if found is not None and _is_meant(head, situation, found):
            slot = _named_slot(situation, found) if head in {"back", "why"} else None
            return _command(head, "" if slot is None else slot.name, _WITHIN), found
    return None


def language(situation: Situation) -> Language | None:
    """Return the wish for another language of the bot, by its name."""
    if len(situation.locales) < 2:
        return None
    names = situation.phrases.languages
    found = first_phrase(situation.text, names)
    if found is None:
        return None
    wanted = names[found.phrase]
    locale = next((x for x in situation.locales if x.split("-")[0] == wanted), None)
    if locale is None or locale == situation.locale:
        return None
    return Language(locale=locale, p=_WITHIN)


def _command(head: str, slot: str, p: float) -> Command:
    kind = COMMANDS[head]
    return kind(slot=slot, p=p) if issubclass(kind, Back | Why) else kind(p=p)


def _is_admitted(head: str, situation: Situation) -> bool:
    """Tell whether the state leaves room for a command; what is left is read as something else."""
    room = {
        "repeat": situation.has_spoken,
        "rephrase": situation.has_spoken,
        "skip": situation.question.kind == "question",
        "why": bool(situation.question.slot),
        "more": bool(situation.offered) or situation.can_show_more,
        "resume": any(task.is_suspended for task in situation.tasks),
        "back": any(slot.is_answered and slot.is_open for slot in situation.slots),
    }
    return room.get(head, True)


def _is_meant(head: str, situation: Situation, found: Found) -> bool:
    """Tell whether a phrase within a longer turn steers, and is not part of what is said."""
    num_words = len(words_of(situation.text))
    if head == "done":
        return num_words - (found.last - found.first) <= 8
    if head == "hold":
        return num_words - (found.last - found.first) <= 4
    if head == "skip" and situation.question.kind == "question":
        return num_words <= 10
    return True


def _without_polite(situation: Situation) -> list[str]:
    words = [w.folded for w in words_of(situation.text)]
    polite = set(situation.phrases.polite)
    alone = {w for p in situation.phrases.alone.values() for x in p for w in split(x)}
    kept = [w for w in words if w not in polite or w in alone]
    kept = [w for w in kept if w != "!"]
    return [w for w in kept if w not in {"please", "bitte"}] or kept


def _named_slot(situation: Situation, found: Found) -> SlotView | None:
    words = words_of(situation.text)[found.last :]
    for slot in situation.slots:
        if slot.is_open and any(find_phrase(words, split(phrase)) for phrase in slot.words):
            return slot
    return None
