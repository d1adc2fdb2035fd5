"""The ports to answers from documents and to talk that asks nothing of the tasks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.errors import DialogError
from dialog.task.acts import Act, FindPassages
from dialog.task.commands import JSON
from dialog.task.events import PassagesFound
from dialog.task.state import DialogState

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeAnswer:
    """An answer with its citations; `text` "" is the admission that there is none near enough."""

    text: str = ""
    citations: tuple[JSON, ...] = ()
    score: float = 0.0


class KnowledgeBase(Protocol):
    """Answers questions from a bot's documents, or abstains."""

    def answer(
        self, bot: BotDefinition, source: KnowledgeDefinition, query: str
    ) -> KnowledgeAnswer:
        """Return the answer to a query that stands on its own.

        Raises:
            DialogError: the documents cannot be searched.
        """
        ...


class Chatter(Protocol):
    """Answers small talk."""

    def chat(self, bot: BotDefinition, state: DialogState, message: str) -> str:
        """Return one or two sentences without a question, "" to leave it to a phrase."""
        ...


def found(
    base: KnowledgeBase | None, bot: BotDefinition, state: DialogState, step: FindPassages
) -> PassagesFound:
    """Return what a search of a bot's documents comes to; a failing one is an event as well."""
    nothing = PassagesFound(query=step.query, knowledge=step.knowledge, error="no retrieval")
    if base is None:
        return nothing
    try:
        answer = base.answer(bot, bot.knowledge[step.knowledge], standalone(bot, state, step.query))
    except DialogError as error:
        _log.warning("%s could not be searched: %s", step.knowledge, error)
        return replace(nothing, error=str(error))
    return PassagesFound(
        query=step.query,
        knowledge=step.knowledge,
        answer=answer.text,
        citations=answer.citations,
        score=answer.score,
    )


def with_small_talk(
    chatter: Chatter | None, bot: BotDefinition, state: DialogState, acts: tuple[Act, ...]
) -> tuple[Act, ...]:
    """Return the acts with what a chatter says in the place of a phrase."""
    if chatter is None or not any(act.key == "chitchat" for act in acts):
        return acts
    words = chatter.chat(bot, state, state.last_message)
    if not words:
        return acts
    return tuple(
        replace(act, key="answer", words=words) if act.key == "chitchat" else act for act in acts
    )


def standalone(bot: BotDefinition, state: DialogState, query: str) -> str:
    """Return the query with what "it" and the like stand for: the entity in focus, or the task.

    Rule first: a pronoun is replaced by the name of what was spoken of last; a query of few words
    without a noun of its own takes the task's name along.
    """
    words = query.split()
    name = _focus(bot, state)
    if name and any(_bare(word) in _PRONOUNS for word in words):
        return " ".join(name if _bare(word) in _PRONOUNS else word for word in words)
    return query


def _focus(bot: BotDefinition, state: DialogState) -> str:
    if not isinstance(state.focus, Sequence) or isinstance(state.focus, str):
        return ""
    table, key = state.focus
    found = bot.tables.get(str(table))
    return found.show_name(str(key)) if found is not None else ""


def _bare(word: str) -> str:
    return word.strip("?!.,;:").casefold()


_PRONOUNS = frozenset({"it", "they", "them", "there", "es", "sie", "dort", "il", "elle", "y"})
