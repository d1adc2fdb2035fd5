"""Calls as the chat protocol has them: the model speaks, or calls, until it only speaks."""

from collections.abc import Sequence
from dataclasses import replace

from llm.chat import Message, ToolSpec
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import ToolUse, call_salt, read_calls, with_tools
from tools.agent_state import AgentState
from tools.strategies.base import Ask, Said, told, with_system

_RESULT = "<tool_resp"  # ours to write: a model that does makes a result up
_RULE = "Call a function where it helps; else answer the user."


class NativeCalling:
    """Function calling in the form of `llm.tool_prompt`; several calls at once where they may."""

    name = "native"

    def __init__(
        self, specs: Sequence[ToolSpec], *, is_parallel: bool = True, form: CallForm = OWN
    ) -> None:
        self._form = form
        self._use = (
            ToolUse(tools=tuple(specs), is_parallel=is_parallel, form=form) if specs else None
        )
        self._grammar = None if self._use is None else self._use.grammar()
        must = None if self._use is None else replace(self._use, demand="required")
        self._must_call = None if must is None else must.grammar()

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Return the chat so far; in the last step calls are banned."""
        chat = [*with_system(state.opened.messages, _RULE)]
        for step in state.steps:
            chat.append(Message(role="assistant", content=step.spoke.text))
            chat += [
                Message(role="tool", content=told(result), tool_call_id=call.id)
                for call, result in step.ordered_results
            ]
        must_call = state.opened.must_call and not state.steps
        grammar = self._must_call if must_call else self._grammar
        return Ask(
            stage="act",
            messages=with_tools(chat, self._use),
            grammar=None if is_last else grammar,
            visible="",
            form=self._form,
            banned=(_RESULT, *((self._form.opening,) if is_last else ())),
        )

    def read(self, ask: Ask, text: str) -> Said:
        """Return the calls, or the text as the answer where there are none."""
        content, calls = read_calls(text, salt=call_salt(ask.messages), form=self._form)
        return Said(content=content, calls=calls, answer=None if calls else content.strip())
