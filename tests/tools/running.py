import json
from collections.abc import Sequence

from llm.chat import Message, TextDelta
from llm.testing import ScriptedChatModel
from tools.agent import RunContext, ToolAgent
from tools.agent_events import (
    AgentEvent,
    RunEnded,
    RunOpened,
)
from tools.base import Tool, tool
from tools.builtin.calculator import calculator
from tools.call_context import Caller
from tools.executor import ToolExecutor
from tools.registry import ToolRegistry
from tools.strategies.native import NativeCalling
from tools.testing import MemoryAudit

ANN = RunContext(caller=Caller(user="ann", conversation="c1"))


def calls(name: str, **arguments: object) -> str:
    return f'<tool_call>{{"name":"{name}","arguments":{json.dumps(arguments)}}}</tool_call>'


SUM = calls("calculate", expression="1 + 2")


def mailer(sent: list[str], *, confirm: str = "always", **declared: object) -> Tool:
    def send_mail(to: str, text: str = "") -> str:
        sent.append(to)
        return f"sent to {to}"

    return tool(confirm=confirm, **declared)(send_mail)  # type: ignore[arg-type]


def agent(model: ScriptedChatModel, *tools: Tool) -> ToolAgent:
    registry = ToolRegistry(tools or (calculator(),))
    executor = ToolExecutor(registry=registry, audit=MemoryAudit())
    return ToolAgent(model, executor, [NativeCalling(registry.specs)])


def opened(of: ToolAgent, text: str = "How much is 1 + 2?", **more: object) -> RunOpened:
    return of.open([Message(role="user", content=text)], **more)  # type: ignore[arg-type]


def run(
    of: ToolAgent, log: Sequence[AgentEvent], context: RunContext = ANN
) -> tuple[list[AgentEvent], str]:
    """Return the whole log, and the text that the user saw."""
    events, text = [*log], ""
    for part in of.stream(log, context):
        if isinstance(part, TextDelta):
            text += part.text
        else:
            events.append(part)
    return events, text


def the_end(events: Sequence[AgentEvent]) -> RunEnded:
    assert isinstance(events[-1], RunEnded)
    return events[-1]


def kinds(events: Sequence[AgentEvent]) -> list[type]:
    return [type(event) for event in events]
