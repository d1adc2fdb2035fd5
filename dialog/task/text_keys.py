"""The texts of a bot file by a key that an act can carry.

say:KEY · task:NAME:done|cancelled|needs|failed · task:NAME:check:I:else
task:NAME:do|on_cancel:PLACE:say|ask|else · slot:TASK:NAME:ask|reask|why|valid:I|on_fail:else
knowledge:NAME:else · glossary:TERM · behaviour:out_of_scope
"""

from dialog.bot.definition import BotDefinition, TaskDefinition
from dialog.bot.texts import Texts
from dialog.task.program import program_of


def text_at(  # noqa: PLR0911 - one return per section
    bot: BotDefinition, key: str
) -> Texts | None:
    """Return the text of a key, None if the bot file has none there."""
    section, _, rest = key.partition(":")
    match section:
        case "say":
            return bot.say.texts.get(rest)
        case "task":
            name, _, part = rest.partition(":")
            return _of_task(bot.tasks[name], part) if name in bot.tasks else None
        case "slot":
            task, name, part = rest.split(":", 2)
            return _of_slot(bot, task, name, part)
        case "glossary":
            return bot.glossary.get(rest)
        case "knowledge":
            source = bot.knowledge.get(rest.partition(":")[0])
            return source.otherwise if source is not None else None
        case "behaviour":
            return bot.behaviour.out_of_scope
    return bot.say.texts.get(key)  # a phrase of ours in the bot's own words


def _of_task(task: TaskDefinition, part: str) -> Texts | None:
    simple = {"done": task.done, "cancelled": task.cancelled, "needs": task.needs_otherwise}
    if part in simple:
        return simple[part]
    pieces = part.split(":")
    if pieces[0] == "check":
        reaction = task.check[int(pieces[1])].otherwise
        return reaction.say if reaction is not None else None
    if pieces[0] == "else":
        return task.failed.say if task.failed is not None else None
    program = program_of(task, pieces[0])
    step = program[int(pieces[1])].step
    match pieces[2]:
        case "say":
            return step.say
        case "ask":
            return step.ask
    return step.failed.say if step.failed is not None else None


def _of_slot(bot: BotDefinition, task: str, name: str, part: str) -> Texts | None:
    slot = bot.slot(task, name)
    if part.startswith("valid:"):
        return slot.valid[int(part.partition(":")[2])].otherwise
    if part.startswith("on_fail"):
        return slot.on_fail.say if slot.on_fail is not None else None
    return {"ask": slot.ask, "reask": slot.reask, "why": slot.why}[part]
