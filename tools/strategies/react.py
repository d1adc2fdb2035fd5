r"""ReAct (arXiv 2210.03629): a thought, an action whose form is a grammar, what came back.

Thought: …\nAction: NAME({…})   →   Observation: …   →   …   →   Thought: …\nAnswer: …
"""

import re
from collections.abc import Sequence

from llm.chat import Message, ToolCall, ToolSpec
from llm.decoding.grammar_spec import Lark
from tools.agent_state import AgentState
from tools.strategies.base import (
    MAX_LINE,
    Ask,
    Said,
    call_id,
    json_rule,
    quoted,
    told,
    tool_lines,
    with_system,
)

_INSTRUCTION = (
    "Answer the user's question step by step, in this form:\n"
    "Thought: what to do next\n"
    "Action: NAME(ARGUMENTS)\n"
    "ARGUMENTS are JSON. The next message gives the observation. When you know enough:\n"
    "Thought: what you found\n"
    "Answer: the answer for the user\n"
    "The functions, with the schemas of their arguments:"
)
_FORM = "That had not the form that was asked for. Write a line Thought:, then Action: or Answer:."
_STEP = re.compile(
    r"Thought: (?P<thought>[^\n]*)\n"
    r"(?:Action: (?P<name>[A-Za-z0-9_.-]+)\((?P<arguments>.*)\)|Answer: (?P<answer>.*))\s*",
    re.DOTALL,
)


class ReAct:
    """Thought, action, observation, until a thought is followed by an answer."""

    name = "react"

    def __init__(self, specs: Sequence[ToolSpec]) -> None:
        self._specs = tuple(specs)
        self._system = f"{_INSTRUCTION}\n{tool_lines(specs)}"
        self._grammar = Lark(source=_grammar(self._specs))
        self._last = Lark(source=_grammar(()))
        self._must_call = Lark(source=_grammar(self._specs, may_answer=False))

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Return the chat so far; observations are the user's messages."""
        chat = [*with_system(state.opened.messages, self._system)]
        for step in state.steps:
            chat.append(Message(role="assistant", content=step.spoke.text))
            seen = [told(result) for _, result in step.ordered_results]
            chat.append(Message(role="user", content="\n".join(_observed(seen))))
        must_call = state.opened.must_call and not state.steps
        grammar = self._must_call if must_call else self._grammar
        return Ask(
            stage="act",
            messages=tuple(chat),
            grammar=self._last if is_last else grammar,
            visible="\nAnswer: ",
        )

    def read(self, ask: Ask, text: str) -> Said:
        """Return the action as a call, or the answer."""
        found = _STEP.fullmatch(text)
        if found is None:
            return Said(content=text)
        thought = found["thought"]
        if found["answer"] is not None:
            return Said(content=thought, answer=found["answer"].strip())
        name = found["name"]
        call = ToolCall(id=call_id(ask, 0, name), name=name, arguments=found["arguments"])
        return Said(content=thought, calls=(call,))


def _observed(results: Sequence[str]) -> list[str]:
    return [f"Observation: {text}" for text in results] or [_FORM]


def _grammar(specs: Sequence[ToolSpec], *, may_answer: bool = True) -> str:
    """Return the grammar of one step; without tools that of the last one."""
    ways = [f"{quoted('Answer: ')} TEXT"] if may_answer or not specs else []
    if specs:
        calls = " | ".join(f"call_{i}" for i in range(len(specs)))
        ways.append(f"{quoted('Action: ')} ({calls})")
    lines = [
        f"start: {quoted('Thought: ')} LINE {quoted(chr(10))} ({' | '.join(ways)})",
        f"LINE: /[^\\n]{{1,{MAX_LINE}}}/",
        "TEXT: /(?s:.+)/",
    ]
    for i, spec in enumerate(specs):
        lines.append(f"call_{i}: {quoted(spec.name + '(')} arguments_{i} {quoted(')')}")
        lines.append(f"arguments_{i}: {json_rule(spec.parameters)}")
    return "\n".join(lines) + "\n"
