"""The messages of a request as turns: what precedes, what was asked, what is to be answered."""

import re
from collections.abc import Sequence

from dialog.reply import TurnRequest
from dialog.state import Turn
from llm.chat import Message
from llm.tool_prompt import with_tools
from rag.dialogue_context import DialogueContext
from rag.subject import Exchange

_MARK = re.compile(r"\s*\[\d+\]")
_CARRIED_TURNS = 3


def last_of(request: TurnRequest) -> Message:
    """Return the message to answer as the model's template takes it."""
    return with_tools(request.messages, request.tools)[-1]


def asked(request: TurnRequest) -> str:
    """Return what the user asked, also where what a tool gave back came after it."""
    said = [message.content for message in request.messages if message.role == "user"]
    return said[-1] if said else request.messages[-1].content


def turns_of(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Turn, ...]]:
    """Split a chat that a caller sent: what precedes the first user message, then its turns."""
    system: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "user":
            turns.append([message])
        elif turns:
            turns[-1].append(message)
        else:
            system.append(message)
    return tuple(system), tuple(
        Turn(question=turn[0].content, messages=tuple(turn), answer=_answer(turn)) for turn in turns
    )


def search_context(turns: Sequence[Turn]) -> DialogueContext:
    """Return what a search may know of the turns so far."""
    return DialogueContext(
        exchanges=tuple(
            Exchange(question=turn.question, answer=_MARK.sub("", turn.answer)) for turn in turns
        ),
        cited=tuple(turn.found for turn in turns[-_CARRIED_TURNS:]),
    )


def _answer(turn: Sequence[Message]) -> str:
    said = [message.content for message in turn if message.role == "assistant"]
    return said[-1] if said else ""
