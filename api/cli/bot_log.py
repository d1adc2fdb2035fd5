"""`bot replay` and `bot explain`: stored conversations, run again and read turn by turn."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.bot_bootstrap import stored_logs, story_parts
from api.cli.bot_options import AsJson, BotFolder, print_json, read_bot
from api.settings import load_settings
from dialog.builder.card_text import card_text
from dialog.builder.command_text import command_text
from dialog.builder.decision_card import card_of, cards_of
from dialog.builder.migration import migrate
from dialog.builder.replay import Edit, Replay, Replayer, check_replay
from dialog.task.events import Migrated, TaskEvent, event_payload, task_event

Log = Annotated[
    str,
    typer.Argument(help="A conversation's id, or a file of `bot chat --log`.", show_default=False),
]


def write_log(path: Path, events: Sequence[TaskEvent]) -> None:
    """Write events as JSON lines."""
    lines = [
        json.dumps({"kind": event.kind, "payload": event_payload(event)}, ensure_ascii=False)
        for event in events
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_log(log: str) -> Sequence[TaskEvent]:
    """Return the events of a file or of a stored conversation.

    Raises:
        UnknownConversationError: there is no such file, and no such conversation in the state.
        UnreadableEventError: an event is of another kind or shape.
    """
    path = Path(log)
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        return [task_event(one["kind"], one["payload"]) for one in found]
    with stored_logs(load_settings()) as logs:
        return logs.read(log)[1]


def replay(  # noqa: PLR0913 - one parameter per option
    bot: BotFolder,
    log: Log,
    full: Annotated[
        bool, typer.Option("--full", help="Read the words again, in place of recorded commands.")
    ] = False,
    turn: Annotated[
        int | None, typer.Option("--turn", help="The turn to edit, from 1; needs --says.")
    ] = None,
    says: Annotated[
        str | None, typer.Option("--says", help="What the user says in that turn instead.")
    ] = None,
    new: Annotated[
        Path | None,
        typer.Option("--bot", help="Another version's folder, to run it with that one."),
    ] = None,
    moves: Annotated[
        bool, typer.Option("--migrate", help="Let the conversation go on with this version.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a stored conversation again, with this bot, and show what it says differently.

    Exit code 1: something differs. The stored conversation is never altered, except that --migrate
    notes the version it goes on with; no function of the bot is called: their recorded results are
    used.
    """
    if (turn is None) != (says is None):
        raise typer.BadParameter("--turn and --says belong together")
    definition, events = read_bot(new or bot), read_log(log)
    trackers, _ = story_parts()
    edit = None if turn is None else Edit(turn=turn, text=says)
    needs_tracker = full or edit is not None
    replayer = Replayer(definition, tracker=trackers["recogniser"] if needs_tracker else None)
    has_moved = any(isinstance(event, Migrated) for event in events)
    is_own = definition.hash == _hash_of(log) and not has_moved
    if is_own and not needs_tracker:
        found = check_replay(definition, events)  # bit for bit, or an error
    else:
        found = replayer.replay(events, edit)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if moves:
        with stored_logs(load_settings()) as logs:
            migrate(logs, log, definition)
        print(f"{log} goes on with this version", file=sys.stderr)
    elif found.changed:
        raise typer.Exit(1)


def _hash_of(log: str) -> str:
    if Path(log).is_file():
        return ""
    with stored_logs(load_settings()) as logs:
        return logs.read(log)[0].bot_hash


def _print(found: Replay) -> None:
    for one in found.turns:
        if one.is_same:
            continue
        print(f"turn {one.number}: {one.user}  ({one.fit})")
        if one.commands_before != one.commands_now:
            print(f"  understood  {'; '.join(map(command_text, one.commands_before))}")
            print(f"  now         {'; '.join(map(command_text, one.commands_now))}")
        if one.before != one.now:
            print(f"  said        {one.before}")
            print(f"  says now    {one.now}")
    print(f"{len(found.turns)} turns, {len(found.changed)} differ")


def _as_json(found: Replay) -> dict[str, object]:
    return {
        "turns": [
            {
                "turn": one.number,
                "user": one.user,
                "before": one.before,
                "now": one.now,
                "commands_before": list(map(command_text, one.commands_before)),
                "commands_now": list(map(command_text, one.commands_now)),
                "fit": one.fit.value,
                "same": one.is_same,
            }
            for one in found.turns
        ],
        "changed": len(found.changed),
    }


def explain(
    bot: BotFolder,
    log: Log,
    turn: Annotated[int | None, typer.Argument(help="The turn, from 1; all if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the decision card of a turn: what was understood, what changed, which line decided."""
    definition, events = read_bot(bot), read_log(log)
    cards = cards_of(definition, events) if turn is None else [card_of(definition, events, turn)]
    if as_json:
        print_json([card.to_json() for card in cards])
        return
    for card in cards:
        print(card_text(card))
