"""A shrunk failure as a test of the bot file: it fails now, and passes once the fault is mended."""

from typing import Any, Final

import yaml

from dialog.builder.command_text import command_text
from dialog.simulation.judgement import Failure
from dialog.simulation.shrinking import Shrunk
from dialog.task.commands import JSON
from dialog.task.events import ToolReturned, ToolStarted

_NEVER: Final = {
    Failure.UNCONFIRMED_WRITE: ["unconfirmed_write"],
    Failure.EXACT_REPEAT: ["exact_repeat"],
}


def failure_story(shrunk: Shrunk, *, name: str) -> str:
    """Return the YAML of a test: what was said, and what should have come of it."""
    given: dict[str, JSON] = {"now": shrunk.goal.now[:16]}
    if shrunk.goal.facts:
        given["user"] = dict(shrunk.goal.facts)
    if shrunk.level == "act":
        given["parse"] = "commands"
    talk: list[dict[str, Any]] = []
    for message in shrunk.messages:
        if shrunk.level == "act" and message.commands is not None:
            talk.append({"commands": [command_text(command) for command in message.commands]})
        else:
            talk.append({"user": message.text})
    if talk:
        talk[-1] |= _expected(shrunk)
    story: dict[str, Any] = {"test": f"{name}: {shrunk.verdict.failure.value}", "given": given}
    story["talk"] = talk
    if shrunk.verdict.failure in _NEVER:
        story["never"] = _NEVER[shrunk.verdict.failure]
    text: str = yaml.safe_dump(
        {"tests": [story]}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return f"# {shrunk.verdict.detail}\n{text}"


def _expected(shrunk: Shrunk) -> dict[str, Any]:
    """Return what the last step should show: the goal's values in the slots of its last task."""
    if shrunk.verdict.failure in _NEVER or not shrunk.goal.is_possible:
        return {}
    if shrunk.verdict.failure is Failure.WRONG_WRITE:
        ended = {e.call_id for e in shrunk.record.events if isinstance(e, ToolReturned)}
        calls = [e.tool for e in shrunk.record.events if isinstance(e, ToolStarted)]
        return {"not_called": calls[-1:]} if ended else {}
    return {"slots": dict(shrunk.goal.tasks[-1].values)} if shrunk.goal.tasks else {}
