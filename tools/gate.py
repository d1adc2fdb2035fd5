"""The gate before a tool: may this caller, does the user mean it? One that fails stays closed."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.base import Confirm, Tool
from tools.call_context import Caller
from tools.mandate import Mandate, call_digest
from tools.provenance import reasons
from tools.result import ConfirmationRequest, ResultKind

Authorise = Callable[[Tool, Caller, Mapping[str, Any]], str]  # "" or why not
Holds = Callable[[str, Caller, Mapping[str, Any]], bool]  # whether a condition of `needs` is true

_log = logging.getLogger(__name__)


def anyone(tool: Tool, caller: Caller, arguments: Mapping[str, Any]) -> str:
    """Let every caller use every tool."""
    del tool, caller, arguments
    return ""


def nothing_holds(condition: str, caller: Caller, arguments: Mapping[str, Any]) -> bool:
    """Know no conditions, so that none is fulfilled."""
    del condition, caller, arguments
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a call is not made, and what the user would have to agree to."""

    kind: ResultKind
    reason: str
    confirmation: ConfirmationRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolGate:
    """Asks who may call what, and for the user's agreement where a tool demands it.

    `holds` tells whether a condition that a tool `needs` is true now; unless given, none is.
    """

    authorise: Authorise = anyone
    holds: Holds = nothing_holds

    def authorised(
        self, tool: Tool, arguments: Mapping[str, Any], mandate: Mandate
    ) -> Refusal | None:
        """Return why the caller may not use the tool so; None if they may."""
        try:
            reason = self.authorise(tool, mandate.caller, arguments) or next(
                (
                    f"it needs {condition}, which is not so"
                    for condition in tool.needs
                    if not self.holds(condition, mandate.caller, arguments)
                ),
                "",
            )
        except Exception:  # noqa: BLE001  # a gate that cannot be asked is closed
            _log.exception("the authorisation of %s failed", tool.name)
            reason = "it cannot be checked at the moment whether you may"
        return Refusal(kind=ResultKind.DENIED, reason=reason) if reason else None

    def confirmed(
        self, tool: Tool, arguments: Mapping[str, Any], mandate: Mandate
    ) -> Refusal | None:
        """Return what the user must agree to first; None if nothing, or if they have.

        An agreement is used up, so this comes last before the call.
        """
        if tool.asks is Confirm.NEVER:
            return None
        doubts = reasons(mandate.provenance.trace(arguments, tool.schema))
        if tool.asks is Confirm.UNGROUNDED and not doubts:
            return None
        digest = call_digest(tool.name, arguments, mandate.caller)
        if mandate.confirmations.take(digest):
            return None
        return Refusal(
            kind=ResultKind.NEEDS_CONFIRMATION,
            reason="the user must agree to this call first; it was not made",
            confirmation=ConfirmationRequest(
                tool=tool.name,
                arguments=json.dumps(arguments, ensure_ascii=False),
                digest=digest,
                reasons=doubts,
            ),
        )
