"""Program-aided answers (arXiv 2211.10435): the model writes a program, the tool computes it.

    question → program, in the form of a grammar → its value, by the tool → a sentence with it

In the sentence no digit can stand but those of the value: a number is computed or it is not there.
"""

import json
import re

from llm.chat import Message, ToolCall
from llm.decoding.grammar_spec import Regex
from tools.agent_state import AgentState
from tools.builtin.program import RESULT
from tools.builtin.program_tool import NAME, program_pattern
from tools.result import ToolResult
from tools.strategies.base import Ask, Said, call_id, told, with_system

MAX_TRIES = 3

_INSTRUCTION = (
    "Answer by a program: lines NAME = EXPRESSION with + - * / // % ^, comparisons, if(a, b, c),"
    " min, max, sum, round and others; dates like 2025-03-07, spans days(3). The last line is"
    f" {RESULT} = EXPRESSION. It is computed for you."
)
_WRITE_AGAIN = "It could not be computed. Write the program again."
_WRITE_ANSWER = "Now answer the user in one sentence with that value."
_GIVE_UP = "It could not be computed. Tell the user so in one sentence."

# A small model learns a form from examples; these are part of every prompt, and computed once.
_EXAMPLES = (
    Message(role="user", content="What do 3 nights at 80 each cost with 10% off?"),
    Message(role="assistant", content=f"price = 3 * 80\n{RESULT} = price * 0.9"),
    Message(role="user", content=f"216\n{_WRITE_ANSWER}"),
    Message(role="assistant", content="With the discount they cost 216."),
    Message(role="user", content="I arrive on 2025-05-30 for 4 nights. When do I leave?"),
    Message(role="assistant", content=f"{RESULT} = 2025-05-30 + days(4)"),
    Message(role="user", content=f"2025-06-03\n{_WRITE_ANSWER}"),
    Message(role="assistant", content="You leave on 2025-06-03."),
)


class ProgramAided:
    """A program, its value, a sentence; a program that cannot be computed is written anew."""

    name = "program"

    def __init__(self) -> None:
        self._grammar = Regex(pattern=program_pattern())

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Ask for a program until one has a value, then for the sentence."""
        first, *asked_before = with_system(state.opened.messages, _INSTRUCTION)
        chat = [first, *_EXAMPLES, *asked_before]
        value: str | None = None
        for step in state.steps:
            chat.append(Message(role="assistant", content=step.spoke.text))
            for _, result in step.ordered_results:
                value = _value(result)
                asked = _WRITE_AGAIN if value is None else _WRITE_ANSWER
                chat.append(Message(role="user", content=f"{_shown(result)}\n{asked}"))
            if not step.spoke.calls:
                chat.append(Message(role="user", content=_WRITE_AGAIN))
        if value is None and not is_last and len(state.steps) < MAX_TRIES:
            return Ask(stage="program", messages=tuple(chat), grammar=self._grammar, max_tokens=120)
        if value is None:
            chat[-1] = Message(role="user", content=_given_up(chat[-1]))
        return Ask(
            stage="answer",
            messages=tuple(chat),
            grammar=_sentence(value),
            visible="",
            max_tokens=80,
        )

    def read(self, ask: Ask, text: str) -> Said:
        """Return the program as a call, or the sentence."""
        if ask.stage == "answer":
            return Said(content=text, answer=text.strip())
        arguments = json.dumps({"program": text}, ensure_ascii=False)
        call = ToolCall(id=call_id(ask, 0, NAME), name=NAME, arguments=arguments)
        return Said(content=text, calls=(call,))


def _given_up(message: Message) -> str:
    text = message.content
    return text.replace(_WRITE_AGAIN, _GIVE_UP) if _WRITE_AGAIN in text else f"{text}\n{_GIVE_UP}"


def _shown(result: ToolResult) -> str:
    value = _value(result)
    return told(result) if value is None else value  # a value of ours is no stranger's text


def _value(result: ToolResult) -> str | None:
    """Return what a program gave; of one without a value, None."""
    if result.is_error:
        return None
    found = json.loads(result.content)
    return str(found[RESULT])


def _sentence(value: str | None) -> Regex:
    """Return the form of a sentence that holds the value and no other digit."""
    words = r"[^\n0-9]{0,60}"
    return Regex(pattern=words if value is None else f"{words}{re.escape(value)}{words}")
