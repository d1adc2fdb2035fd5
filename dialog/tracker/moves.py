"""What a turn may ask besides values, in this state: the other half of the grammar.

Each move is one line of text that a model can be asked about, and the command that it stands for.
"""

from dataclasses import dataclass

from dialog.task.commands import (
    Affirm,
    Ask,
    Back,
    Cancel,
    Chitchat,
    Choose,
    Command,
    Deny,
    Done,
    Handoff,
    Hold,
    Knowledge,
    Language,
    More,
    Repeat,
    Rephrase,
    Restart,
    Resume,
    Skip,
    Start,
    Unclear,
    What,
    Why,
)
from dialog.tracker.situation import Situation

INFORM = " gives information"
_MAX_QUERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move; its command is None where the turn gives values and nothing else."""

    text: str
    command: Command | None


def moves_of(situation: Situation) -> tuple[Move, ...]:
    """Return the moves that the state admits, the giving of values first."""
    found = [
        Move(text=INFORM, command=None),
        *_task_moves(situation),
        *_answers(situation),
        *_questions(situation),
        *_repairs(situation),
        *_ALWAYS,
    ]
    return tuple({move.text: move for move in found}.values())


_ALWAYS = (
    Move(text=" needs a moment", command=Hold()),
    Move(text=" wants to start over", command=Restart()),
    Move(text=" wants a person", command=Handoff()),
    Move(text=" says goodbye", command=Done()),
    Move(text=" says something unclear", command=Unclear()),
)


def _task_moves(situation: Situation) -> list[Move]:
    found = []
    for task in situation.tasks:
        name = task.phrases[0] if task.phrases else task.name
        if task.is_suspended:
            found.append(Move(text=f" returns to {name}", command=Resume(task=task.name)))
        elif not task.is_current:
            found.append(Move(text=f" wants to {name}", command=Start(task=task.name)))
        if task.is_open:
            found.append(Move(text=f" cancels {name}", command=Cancel(task=task.name)))
    return found


def _answers(situation: Situation) -> list[Move]:
    question = situation.question
    found = []
    if question.is_closed:
        found.append(Move(text=" agrees", command=Affirm(slot=question.slot)))
    if question.is_closed or situation.echoed:
        found.append(Move(text=" disagrees", command=Deny(slot=question.slot)))
    found += [
        Move(text=f" chooses {o.name}", command=Choose(n=o.n, entity=o.key))
        for o in situation.offered
    ]
    if situation.offered or situation.can_show_more:
        found.append(Move(text=" wants to see others", command=More()))
    if question.kind == "question":
        found.append(Move(text=" asks why", command=Why(slot=question.slot)))
        if question.is_optional:
            found.append(Move(text=" skips the question", command=Skip()))
    return found


def _questions(situation: Situation) -> list[Move]:
    found = [
        Move(text=f" asks about the {column.replace('_', ' ')}", command=Ask(attribute=column))
        for column in situation.attributes
    ]
    found += [
        Move(text=f" asks what {term} means", command=What(term=term)) for term in situation.terms
    ]
    names = {code: name for name, code in situation.phrases.languages.items()}
    for locale in situation.locales:
        name = names.get(locale.split("-")[0])
        if name is not None and locale != situation.locale:
            found.append(Move(text=f" wants to speak {name}", command=Language(locale=locale)))
    return found


def _repairs(situation: Situation) -> list[Move]:
    found = []
    if situation.has_spoken:
        found.append(Move(text=" asks to repeat", command=Repeat()))
        found.append(Move(text=" asks for other words", command=Rephrase()))
    if any(slot.is_answered and slot.is_open for slot in situation.slots):
        found.append(Move(text=" goes back", command=Back()))
    if situation.has_knowledge:
        query = situation.text[:_MAX_QUERY]
        found.append(Move(text=" asks a question", command=Knowledge(query=query)))
    if situation.may_chat:
        found.append(Move(text=" makes small talk", command=Chitchat()))
    return found
