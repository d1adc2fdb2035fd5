"""A task's calls, made through the one gate of all tools: `tools.executor`.

The state has decided that a call is due and agreed to; the executor checks the arguments again,
asks for the agreement to exactly them, keeps the deadline and writes the audit log. A call with an
idempotency key that was made before is answered from that log.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from dialog.bot.definition import BotDefinition
from dialog.task.commands import JSON
from dialog.task.events import ToolReturned, ToolStarted
from dialog.task.redaction import Vault
from llm.chat import ToolCall
from tools.audit import AuditSink
from tools.base import Effect, Tool
from tools.call_context import Caller
from tools.call_counts import CallCounts
from tools.executor import ToolExecutor
from tools.mandate import Mandate, call_digest
from tools.registry import ToolRegistry
from tools.result import ResultKind, ToolResult

_VALUE: Final = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrigin:
    """For whom a call is made."""

    user: str
    conversation: str
    frame: int


class ToolRunner:
    """Makes the calls of one bot."""

    def __init__(
        self,
        bot: BotDefinition,
        audit: AuditSink,
        vault: Vault,
        *,
        stubs: Mapping[str, Callable[..., object]] | None = None,
        counts: CallCounts | None = None,
    ) -> None:
        """Take what is written to and asked; `stubs` stand for tools in tests and simulations.

        How each call ended is added to `counts`.
        """
        self._counts = counts or CallCounts()
        self._vault = vault
        self._tools = {
            name: _boxed(_without_secrets(bot, tool), (stubs or {}).get(name))
            for name, tool in bot.tools.items()
        }
        self._executor = ToolExecutor(
            registry=ToolRegistry(list(self._tools.values())), audit=audit
        )

    def run(self, started: ToolStarted, origin: CallOrigin, *, is_agreed: bool) -> ToolReturned:
        """Make a call and return how it ended; never raises for what a tool did."""
        tool = self._tools[started.tool]
        try:
            arguments = {
                name: self._vault.resolve(origin.conversation, value)
                for name, value in started.arguments.items()
            }
        except KeyError as missing:
            place = missing.args[0][1] if missing.args else ""
            name = next((n for n, v in started.arguments.items() if v == place), "")
            message = "it was not kept; please give it once more"
            return ToolReturned(
                call_id=started.call_id, error="invalid", message=message, slot=name
            )
        caller = Caller(user=origin.user, conversation=origin.conversation, task=str(origin.frame))
        mandate = Mandate(caller=caller)
        if is_agreed:
            mandate.confirmations.agree(call_digest(tool.name, arguments, caller))
        call = ToolCall(
            id=started.call_id, name=tool.name, arguments=json.dumps(arguments, ensure_ascii=False)
        )
        result = self._executor.run(call, mandate)
        self._counts.count(tool.name, result.kind)
        return _returned(started, result, arguments)

    def may_repeat(self, tool: str) -> bool:
        """Tell whether a call in doubt may be made again: it only reads, or is the same deed."""
        found = self._tools.get(tool)
        if found is None:
            return False
        return found.effect is Effect.READ or found.idempotent_by is not None


def _without_secrets(bot: BotDefinition, tool: Tool) -> Tool:
    """Return the tool with all arguments marked sensitive that a sensitive slot may fill."""
    names = set(tool.schema.get("properties", {}))
    secret = {
        slot.name
        for task in bot.tasks.values()
        for slot in task.slots.values()
        if (slot.sensitive or slot.type.name == "card") and slot.name in names
    }
    return replace(tool, sensitive=tool.sensitive | secret) if secret else tool


def _boxed(tool: Tool, stub: Callable[..., object] | None) -> Tool:
    """Return a tool whose result is a JSON object, so that a text is told from a number."""
    function = stub or tool.function

    def boxed(*args: Any, **kwargs: Any) -> dict[str, object]:
        return {_VALUE: function(*args, **kwargs)}

    return replace(tool, function=boxed)


def _returned(
    started: ToolStarted, result: ToolResult, arguments: Mapping[str, JSON]
) -> ToolReturned:
    if result.kind is ResultKind.OK:
        return ToolReturned(call_id=started.call_id, value=_unboxed(result.content))
    slot, message = "", result.content
    if result.kind is ResultKind.INVALID:
        slot = next((name for name in arguments if message.startswith(f"{name}:")), "")
        message = message.partition(":")[2].strip() if slot else message
    is_plain = result.kind in (ResultKind.INVALID, ResultKind.CONFLICT, ResultKind.NOT_FOUND)
    return ToolReturned(
        call_id=started.call_id,
        error=result.kind.value,
        message=message if is_plain else "",
        slot=slot,
        is_in_doubt=result.is_in_doubt,
    )


def _unboxed(content: str) -> JSON:
    try:
        found = json.loads(content)
    except ValueError:
        return content  # done, but the result was too large to be kept
    return found.get(_VALUE) if isinstance(found, dict) else found
