"""The buttons that go with a question: a title, and the command that a press stands for."""

import json
from collections.abc import Mapping, Sequence

from dialog.bot.definition import BotDefinition
from dialog.errors import CommandError
from dialog.task.act_words import ActWords
from dialog.task.acts import Act, ActName
from dialog.task.commands import (
    JSON,
    Affirm,
    Choose,
    Command,
    Deny,
    Set,
    Start,
    ValueSource,
    command_from_payload,
)
from dialog.task.phrases.catalogue import phrase
from dialog.task.state import DialogState
from dialog.task.text_keys import text_at
from dialog.task.value_words import row_words


def buttons_of(bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> tuple[JSON, ...]:
    """Return the buttons of the question among the acts, as {"title", "payload"}."""
    found: list[tuple[str, Command]] = []
    for act in acts:
        found += _of_act(bot, state, act)
    return tuple({"title": title, "payload": payload_of(command)} for title, command in found)


def _of_act(bot: BotDefinition, state: DialogState, act: Act) -> list[tuple[str, Command]]:
    match act.name:
        case ActName.CONFIRM | ActName.OFFER_INTENT:
            yes, no = phrase(state.locale, "yes")[0], phrase(state.locale, "no")[0]
            return [(yes, Affirm()), (no, Deny())]
        case ActName.OFFER:
            rows = [(row_words(bot, act.table, key), key) for key in act.entities]
            return [(title, Choose(entity=key)) for title, key in rows]
        case ActName.REQ_MORE:
            return [
                (bot.tasks[str(name)].about or str(name), Start(task=str(name)))
                for name in act.options
            ]
        case ActName.CLARIFY:
            titles = ActWords(bot, state).option_words(act)
            return [(title, Choose(n=i)) for i, title in enumerate(titles, start=1)]
        case ActName.REQUEST if act.slot:
            return _values(bot, state, act)
    return []


def _values(bot: BotDefinition, state: DialogState, act: Act) -> list[tuple[str, Command]]:
    titles = ActWords(bot, state).option_words(act)
    found: list[tuple[str, Command]] = [
        (title, Set(slot=act.slot, value=value, task=act.task, source=ValueSource.BUTTON))
        for title, value in zip(titles, act.options, strict=True)
    ]
    texts = text_at(bot, act.key) if act.key else None
    for word in texts.buttons if texts is not None else ():
        edit = Set(slot=act.slot, value=word, task=act.task, source=ValueSource.BUTTON)
        found.append((word, edit))
    return found


def payload_of(command: Command) -> str:
    """Return what a button sends when it is pressed."""
    return json.dumps(command.to_payload(), ensure_ascii=False, sort_keys=True)


def command_of_button(payload: str) -> Command:
    """Return the command of a pressed button.

    Raises:
        CommandError: no button of ours sends this.
    """
    try:
        found = json.loads(payload)
    except ValueError as error:
        raise CommandError(f"a button sends a command as JSON, got {payload!r}") from error
    if not isinstance(found, Mapping):
        raise CommandError(f"a button sends a JSON object, got {payload!r}")
    return command_from_payload(found)
