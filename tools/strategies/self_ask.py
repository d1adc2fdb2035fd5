"""Self-ask (arXiv 2210.03350): follow-up questions, each answered by retrieval, then the answer.

Follow up: …  →  Intermediate answer: …  →  …  →  So the final answer is: …
"""

import json
import re

from llm.chat import Message, ToolCall
from llm.decoding.grammar_spec import Regex
from tools.agent_state import AgentState
from tools.strategies.base import MAX_LINE, Ask, Said, call_id, told, with_system

_FOLLOW_UP = "Follow up: "
_FINAL = "So the final answer is: "
_INSTRUCTION = (
    "Answer the question by asking simpler ones first. Write one line at a time:\n"
    f"{_FOLLOW_UP}a simpler question that can be looked up\n"
    "The next message gives its intermediate answer. When you know enough, write:\n"
    f"{_FINAL}the answer"
)
_FORM = f"Write one line that begins with {_FOLLOW_UP.strip()!r} or {_FINAL.strip()!r}."
_LINE = re.compile(f"(?:{_FOLLOW_UP}(?P<question>[^\n]+)|{_FINAL}(?P<answer>.*))\\s*", re.DOTALL)


class SelfAsk:
    """Decomposes a question; what it asks itself goes to the tool `search` as its `argument`."""

    name = "self_ask"

    def __init__(self, *, search: str = "search", argument: str = "query") -> None:
        self._search, self._argument = search, argument

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Return the chat so far; the first line is a follow-up question, the last the answer."""
        chat = [*with_system(state.opened.messages, _INSTRUCTION)]
        for step in state.steps:
            chat.append(Message(role="assistant", content=step.spoke.text))
            found = [told(result) for _, result in step.ordered_results]
            text = f"Intermediate answer: {found[0]}" if found else _FORM
            chat.append(Message(role="user", content=text))
        line = f"[^\\n]{{1,{MAX_LINE}}}"
        options = [f"{_FOLLOW_UP}{line}"] if not is_last else []
        if is_last or state.steps:  # an answer before the first look-up would rest on nothing
            options.append(f"{_FINAL}{line}")
        return Ask(
            stage="act",
            messages=tuple(chat),
            grammar=Regex(pattern=f"(?:{'|'.join(options)})"),
            visible=_FINAL,
        )

    def read(self, ask: Ask, text: str) -> Said:
        """Return the follow-up question as a call of the search, or the answer."""
        found = _LINE.fullmatch(text)
        if found is None:
            return Said(content=text)
        if found["answer"] is not None:
            return Said(content=text, answer=found["answer"].strip())
        arguments = json.dumps({self._argument: found["question"].strip()}, ensure_ascii=False)
        call = ToolCall(id=call_id(ask, 0, self._search), name=self._search, arguments=arguments)
        return Said(content=text, calls=(call,))
