"""Commands as people write them in tests: `set(people, 4)`, `start(book_table)`, `affirm()`.

A value is JSON where it reads as JSON, else the text itself. Several stand in one line with `;`.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from dialog.errors import CommandError
from dialog.task.commands import COMMANDS, JSON, Command

_CALL: Final = re.compile(r"\s*([a-z]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENTS: Final = {
    "start": ("task",),
    "set": ("slot", "value"),
    "change": ("slot", "value"),
    "add": ("slot", "value"),
    "remove": ("slot", "value"),
    "clear": ("slot",),
    "dontcare": ("slot",),
    "affirm": ("slot",),
    "deny": ("slot",),
    "choose": ("n",),
    "more": ("direction",),
    "ask": ("attribute", "entity"),
    "why": ("slot",),
    "what": ("term",),
    "knowledge": ("query",),
    "skip": ("slot",),
    "back": ("slot",),
    "cancel": ("task",),
    "resume": ("task",),
    "handoff": ("queue",),
    "language": ("locale",),
}


def command_from_text(text: str) -> Command:
    """Return the command of a text.

    Raises:
        CommandError: no command has this head, or takes these arguments.
    """
    found = _CALL.fullmatch(text)
    if found is None or found[1] not in COMMANDS:
        raise CommandError(
            f"{text!r} is no command; write one like set(people, 4) of {sorted(COMMANDS)}"
        )
    head, names = found[1], _ARGUMENTS.get(found[1], ())
    parts = _split(found[2] or "")
    if head == "unclear":
        return COMMANDS[head].read({"guesses": parts})
    if len(parts) > len(names):
        raise CommandError(f"{head} takes {len(names)} arguments, got {len(parts)} in {text!r}")
    payload: dict[str, JSON] = {}
    for name, part in zip(names, parts, strict=False):
        is_slot, _, slot = part.partition(".")
        if name == "slot" and slot:
            payload |= {"task": is_slot, "slot": slot}
        elif head == "choose" and not part.lstrip("-").isdigit():
            payload["entity"] = part
        else:
            payload[name] = _value(part) if name in ("value", "n", "entity") else part
    try:
        return COMMANDS[head].read(payload)
    except TypeError as error:
        raise CommandError(f"{text!r} lacks an argument of {head}({', '.join(names)})") from error


def commands_from_text(text: str) -> tuple[Command, ...]:
    """Return the commands of a line, parted by semicolons.

    Raises:
        CommandError: one of them is none.
    """
    return tuple(command_from_text(part) for part in text.split(";") if part.strip())


def command_text(command: Command) -> str:
    """Return a command as people write it."""
    payload = command.to_payload()
    if command.head == "unclear":
        parts: Sequence[JSON] = payload.get("guesses", ())
    elif command.head == "choose" and "entity" in payload:
        parts = [payload["entity"]]
    else:
        parts = [payload.get(name, "") for name in _ARGUMENTS.get(command.head, ())]
    words = [p if isinstance(p, str) else json.dumps(p, ensure_ascii=False) for p in parts]
    while words and not words[-1]:
        words.pop()
    return f"{command.head}({', '.join(words)})"


def _split(text: str) -> list[str]:
    """Split arguments at commas that stand in no brackets or quotes."""
    parts: list[str] = []
    depth, quote, start = 0, "", 0
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character == '"':
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif character == "," and depth == 0 and len(parts) < 1:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _value(text: str) -> JSON:
    try:
        return json.loads(text)
    except ValueError:
        return text
