"""What the commands about bots share: the folder, JSON, and how a bot is read."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors

BotFolder = Annotated[
    Path, typer.Argument(help="A bot's folder, or its bot.yaml.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


def read_bot(path: Path) -> BotDefinition:
    """Read a bot for a command; what is wrong with it ends the command with exit code 2.

    Raises:
        typer.Exit: its files cannot be used.
    """
    try:
        return load_bot(path)
    except BotFileErrors as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except OSError as error:
        print(f"error: {path} cannot be read: {error.strerror}", file=sys.stderr)
        raise typer.Exit(2) from None


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
