"""The ports to answers from documents and to talk that asks nothing of the tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.task.commands import JSON
from dialog.task.state import DialogState


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
