"""The map of the command line, and how its errors end.

A command's module is imported when its name is the first word: what most of them need takes
seconds to load, and whoever asks for help should not wait for it.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Console

from api.cli.sentences import SENTENCES, error_line
from api.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a command or a group of commands is, and what the list of all says about it."""

    module: str
    attribute: str
    help: str
    epilog: str = ""

    def load(self) -> object:
        """Import it: a function, or the `Typer` of a group."""
        return getattr(importlib.import_module(self.module), self.attribute)


ENTRIES: Final = {
    "serve": Entry(
        module="api.cli.server",
        attribute="serve",
        help="Serve the web page and the HTTP API until Ctrl-C.",
    ),
    "ingest": Entry(
        module="api.cli.corpus",
        attribute="ingest",
        help="Bring a collection up to date with files and folders; what did not change costs"
        " nothing.",
        epilog="\b\nExamples:\n"
        "  python -m api ingest ~/papers notes.md --collection papers\n"
        "  python -m api ingest ~/papers --collection papers --plan\n"
        "  python -m api ingest ~/papers --collection papers --watch\n"
        "  python -m api ingest http://intranet/rules --collection papers --allow-private\n"
        "  python -m api ingest --collection papers --status",
    ),
    "chat": Entry(
        module="api.cli.chat",
        attribute="chat",
        help="Ask questions; answers stream, with their sources beneath.",
    ),
    "bot": Entry(module="api.cli.bot", attribute="bot_app", help="Build, try and test task bots."),
    "cite": Entry(
        module="api.cli.cite",
        attribute="cite_app",
        help="Check the citations of answers that were kept.",
    ),
    "models": Entry(
        module="api.cli.models",
        attribute="models_app",
        help="List, fetch and inspect the models on this machine.",
    ),
    "engine": Entry(
        module="api.cli.engine",
        attribute="engine_app",
        help="Look at the engine of the running server.",
    ),
    "index": Entry(
        module="api.cli.index_commands",
        attribute="index_app",
        help="Stored collections: made, tuned, verified, exported, removed.",
    ),
    "search": Entry(
        module="api.cli.search",
        attribute="search",
        help="Show the passages for a query, and why these.",
    ),
    "eval": Entry(
        module="api.cli.eval_commands",
        attribute="eval_app",
        help="How good the answers from a collection are, on questions from its own documents.",
    ),
    "rag": Entry(
        module="api.cli.rag_commands",
        attribute="rag_app",
        help="Which techniques a collection is searched with: tried on its questions, kept, shown.",
    ),
    "train": Entry(
        module="api.cli.train_models", attribute="train_app", help="Train what steers the answers."
    ),
    "tools": Entry(
        module="api.cli.tools", attribute="tools_app", help="The tools that answers may use."
    ),
    "watermark": Entry(
        module="api.cli.watermark",
        attribute="watermark_app",
        help="Keys of the watermark, and looking for it in texts.",
    ),
}


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"causerie {VERSION}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Answers from your documents, on a language model of its own."""
    del version


def command_line(words: Sequence[str] | None = None) -> typer.Typer:
    """Return the command line as far as these words need it; None: all of it.

    What was not imported is in the list of commands and cannot be run.
    """
    app = typer.Typer(
        name="causerie",
        help="Answers from your documents, on a language model of its own.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    wanted = next((word for word in words or () if not word.startswith("-")), "")
    for name, entry in ENTRIES.items():
        if words is not None and name != wanted:
            app.command(name, help=entry.help)(_not_loaded)
            continue
        loaded = entry.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=name)
        else:
            assert callable(loaded)
            app.command(name, epilog=entry.epilog or None)(loaded)
    return app


def _not_loaded() -> None:
    raise AssertionError("a command that was asked for is loaded")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; ends the process with its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        command_line(words)(args=words)
    except SENTENCES as error:
        Console(stderr=True).print(error_line(error), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
