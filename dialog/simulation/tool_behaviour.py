"""A bot's tools for one conversation: a state of their own, and now and then a failure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from dialog.bot.definition import BotDefinition
from dialog.bot.problems import Problems
from dialog.bot.tool_module import load_tools
from dialog.simulation.dice import Dice, weighted
from tools.base import Effect, Tool
from tools.errors import ConflictError, FatalError, RetryableError


class ToolBehaviour(StrEnum):
    """What the writes of a conversation do."""

    OK = "ok"
    RETRYABLE = "retryable"  # the first call fails for a moment
    CONFLICT = "conflict"
    FATAL = "fatal"


def fresh_bot(bot: BotDefinition) -> BotDefinition:
    """Return the bot with its `tools.py` run anew, so that what it keeps begins empty."""
    path = Path(bot.folder) / "tools.py"
    if not path.is_file():
        return bot
    types = {
        slot.name: slot.type.name for task in bot.tasks.values() for slot in task.slots.values()
    }
    tools = load_tools(path, file="tools.py", types=types, problems=Problems())
    return bot if tools is None else replace(bot, tools=tools)


def behaving(
    bot: BotDefinition, weights: Mapping[ToolBehaviour, float], rng: Dice
) -> tuple[BotDefinition, ToolBehaviour]:
    """Return the bot with writes that behave in a drawn way, and which way that is."""
    if not weights:
        return bot, ToolBehaviour.OK
    drawn = weighted(rng, weights)
    if drawn is ToolBehaviour.OK:
        return bot, drawn
    tools = {
        name: _failing(tool, drawn) if tool.effect is Effect.WRITE else tool
        for name, tool in bot.tools.items()
    }
    return replace(bot, tools=tools), drawn


def _failing(tool: Tool, behaviour: ToolBehaviour) -> Tool:
    calls = 0
    function: Callable[..., object] = tool.function

    def fails(**arguments: Any) -> object:
        nonlocal calls
        calls += 1
        match behaviour:
            case ToolBehaviour.RETRYABLE if calls == 1:
                raise RetryableError("it is busy for a moment")
            case ToolBehaviour.CONFLICT:
                raise ConflictError("somebody else was faster")
            case ToolBehaviour.FATAL:
                raise FatalError("it is out of order")
        return function(**arguments)

    return replace(tool, function=fails)
