"""Plan, act, reflect: a plan as a list, each of its steps by calls, then a word to itself about it.

    plan → act → reflect → act → reflect → … → answer,  or back to a new plan

The monologue is never shown; it is in the run's log. Which stage comes next is read from the state.
"""

import json
from collections.abc import Iterator, Sequence

from llm.chat import Message, ToolSpec
from llm.decoding.grammar_spec import JsonSchema
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import ToolUse, call_salt, read_calls, with_tools
from tools.agent_state import AgentState, Step
from tools.strategies.base import MAX_LINE, Ask, Said, alternating, told, with_system

MAX_PLAN = 5

_INSTRUCTION = (
    "Work in stages. First write a plan of a few short steps. Then do one step at a time, with a"
    " function where it helps. After each step think about what came of it. At last answer the"
    " user."
)
_LINE = {"type": "string", "minLength": 1, "maxLength": MAX_LINE}
_PLAN = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "plan": {"type": "array", "items": _LINE, "minItems": 1, "maxItems": MAX_PLAN}
        },
        "required": ["plan"],
        "additionalProperties": False,
    }
)
_REFLECTION = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "reflection": _LINE,
            "next": {"type": "string", "enum": ["continue", "new_plan", "answer"]},
        },
        "required": ["reflection", "next"],
        "additionalProperties": False,
    }
)
_ASK_PLAN = 'Write the plan as {"plan":[STEP,…]}.'
_ASK_REFLECTION = (
    'What did that show? Write {"reflection":TEXT,"next":"continue", "new_plan" or "answer"}.'
)
_ASK_ANSWER = "Now answer the user."


class PlanReflect:
    """Plans, acts by calls, and talks to itself between the steps (self-monologue)."""

    name = "plan"

    def __init__(self, specs: Sequence[ToolSpec], *, form: CallForm = OWN) -> None:
        self._form = form
        self._use = ToolUse(tools=tuple(specs), form=form) if specs else None

    def ask(self, state: AgentState, *, is_last: bool) -> Ask:
        """Return the chat so far and what the stage asks for."""
        stage, plan, number = _next_stage(state)
        stage = "answer" if is_last else stage
        chat = (
            *with_system(state.opened.messages, _INSTRUCTION),
            *_told_steps(state),
            Message(role="user", content=_asked(stage, plan, number)),
        )
        grammar = {
            "plan": _PLAN,
            "reflect": _REFLECTION,
            "answer": None,
            "act": self._use.grammar() if self._use else None,
        }[stage]
        return Ask(
            stage=stage,
            messages=alternating(with_tools(chat, self._use)),
            grammar=grammar,
            visible="" if stage == "answer" else None,
            form=self._form,
            banned=(self._form.opening,) if stage == "answer" else (),
        )

    def read(self, ask: Ask, text: str) -> Said:
        """Return the calls of an act, the answer, or else what the model said to itself."""
        if ask.stage == "answer":
            return Said(content=text, answer=text.strip())
        if ask.stage != "act":
            return Said(content=text)
        content, calls = read_calls(text, salt=call_salt(ask.messages), form=self._form)
        return Said(content=content, calls=calls)


def _next_stage(state: AgentState) -> tuple[str, tuple[str, ...], int]:
    """Return the stage to come, the plan in force, and the number of its step."""
    plan: tuple[str, ...] = ()
    number = 0
    stage = "plan"
    for step in state.steps:
        match step.spoke.stage:
            case "plan":
                plan, number = _plan_of(step), 0
                stage = "act" if plan else "answer"
            case "act":
                stage = "reflect"
            case "reflect":
                number += 1
                stage = _after_reflection(step, has_more=number < len(plan))
    return stage, plan, number


def _after_reflection(step: Step, *, has_more: bool) -> str:
    wanted = _said(step).get("next")
    if wanted == "new_plan":
        return "plan"
    return "act" if wanted == "continue" and has_more else "answer"


def _plan_of(step: Step) -> tuple[str, ...]:
    plan = _said(step).get("plan", ())
    return tuple(str(line) for line in plan) if isinstance(plan, list) else ()


def _said(step: Step) -> dict[str, object]:
    try:
        found = json.loads(step.spoke.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told_steps(state: AgentState) -> Iterator[Message]:
    """Yield the chat of the steps so far, each with the words that asked for it."""
    for i, step in enumerate(state.steps):
        before = AgentState(opened=state.opened, steps=state.steps[:i])
        _, plan, number = _next_stage(before)
        yield Message(role="user", content=_asked(step.spoke.stage, plan, number))
        yield Message(role="assistant", content=step.spoke.text)
        for call, result in step.ordered_results:
            yield Message(role="tool", content=told(result), tool_call_id=call.id)


def _asked(stage: str, plan: Sequence[str], number: int) -> str:
    match stage:
        case "plan":
            return _ASK_PLAN
        case "act":
            return f"Do step {number + 1} of {len(plan)}: {plan[number]}"
        case "reflect":
            return _ASK_REFLECTION
    return _ASK_ANSWER
