"""The port of a strategy: from a run's state to the next question, from a text to calls or answer.

A strategy is pure: it knows neither model nor tools' results beyond what the state holds, so that a
run that is taken up again asks exactly what it would have asked.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from llm.chat import Message, ToolCall, ToolSpec
from llm.decoding.grammar_spec import GrammarSpec
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from tools.agent_state import AgentState
from tools.datamarking import DATA_RULE, as_data
from tools.provenance import Origin
from tools.result import ToolResult

MAX_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the model is asked next; `messages` are as its template takes them.

    `visible` tells what of the text the user may see as it comes: None is nothing, "" all but
    calls, and any other text what stands behind it. `banned` strings cannot come. `form` is that of
    calls.
    """

    stage: str
    messages: tuple[Message, ...]
    grammar: GrammarSpec | None = None
    visible: str | None = None
    banned: tuple[str, ...] = ()
    max_tokens: int | None = None
    form: CallForm = OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a text of the model's was read as; `answer` is None unless it ends the run."""

    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    answer: str | None = None


@runtime_checkable
class Strategy(Protocol):
    """A way to go from a question to an answer by steps."""

    @property
    def name(self) -> str:
        """What requests call it."""
        ...

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Return what to ask next; `is_last` demands an answer, since no further step will be."""
        ...

    def read(self, ask: Ask, text: str) -> Said:
        """Return what the model's text, an answer to `ask`, says.

        A text that has not the form of the strategy is neither call nor answer: the next question
        tells the model so.
        """
        ...


def call_id(ask: Ask, number: int, name: str) -> str:
    """Return the id of a call: the same for the same question, so that runs can be compared."""
    digest = hashlib.blake2b(digest_size=12)
    for message in ask.messages:
        digest.update(f"{message.role}\0{len(message.content)}\0{message.content}\0".encode())
    digest.update(f"{number}\0{name}".encode())
    return f"call_{digest.hexdigest()}"


def told(result: ToolResult) -> str:
    """Return a result as the model reads it: marked as data, with what to make of an error."""
    data = as_data(result.content, origin=Origin.TOOL)
    return f"Error ({result.kind}):\n{data}" if result.is_error else data


def with_system(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Return a chat whose first system message says this, too, and the rule of data."""
    whole = f"{text}\n{DATA_RULE}"
    if messages and messages[0].role == "system":
        first, *others = messages
        return (Message(role="system", content=f"{first.content}\n\n{whole}"), *others)
    return (Message(role="system", content=whole), *messages)


def alternating(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return a chat in which no two messages in a row are the user's: templates want it so."""
    told: list[Message] = []
    for message in messages:
        if told and told[-1].role == message.role == "user":
            both = f"{told[-1].content}\n\n{message.content}"
            told[-1] = replace(message, content=both)
        else:
            told.append(message)
    return tuple(told)


def tool_lines(specs: Sequence[ToolSpec]) -> str:
    """Return the tools, one a line: name, schema of the arguments, what it does."""
    return "\n".join(
        f"{spec.name}({spec.parameters}) {' '.join(spec.description.split())}".rstrip()
        for spec in specs
    )


def json_rule(schema: str) -> str:
    """Return a rule of a grammar in Lark's notation: compact JSON of a schema."""
    options = {"x-guidance": {"whitespace_flexible": False}}
    return "%json " + json.dumps({**json.loads(schema), **options}, ensure_ascii=True)


def quoted(text: str) -> str:
    """Return a text as a terminal of a grammar in Lark's notation."""
    return json.dumps(text, ensure_ascii=False)
