import json
from collections.abc import Callable
from typing import Any

from llm.chat import ToolCall
from tools.audit import AuditLog
from tools.base import Effect, Tool
from tools.call_context import Caller
from tools.executor import ToolExecutor
from tools.mandate import Mandate
from tools.provenance import Origin, Provenance, Source
from tools.registry import ToolRegistry
from tools.result import ToolResult

ANN = Caller(user="ann", conversation="c1", task="t1")


def read_tool(function: Callable[..., object], **declared: Any) -> Tool:
    return Tool.from_function(function, effect=Effect.READ, **declared)


def call(name: str, /, id: str = "call_1", **arguments: object) -> ToolCall:  # noqa: A002
    return ToolCall(id=id, name=name, arguments=json.dumps(arguments))


def executor(audit: AuditLog, *tools: Tool, **more: Any) -> ToolExecutor:
    return ToolExecutor(registry=ToolRegistry(tools), audit=audit, **more)


def said(text: str) -> Mandate:
    return Mandate(caller=ANN, provenance=Provenance([Source(origin=Origin.USER, text=text)]))


def agreed(result: ToolResult, mandate: Mandate) -> Mandate:
    assert result.confirmation is not None
    mandate.confirmations.agree(result.confirmation.digest)
    return mandate


def noter(made: list[int]) -> Callable[[], None]:
    def note() -> None:
        made.append(1)

    return note
