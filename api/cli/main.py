"""The map of the command line, and how its errors end."""

import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from api.cli.chat import chat
from api.cli.corpus import ingest
from api.cli.models import models_app
from api.cli.server import serve
from api.errors import ApplicationError
from api.version import VERSION
from dialog.errors import DialogError
from index.errors import IndexStoreError
from llm.errors import LLMError
from rag.errors import RAGError

# What the user can act on: one sentence each. Everything else is a fault of ours, with a traceback.
_SENTENCES: Final = (ApplicationError, DialogError, IndexStoreError, LLMError, RAGError)

app = typer.Typer(
    name="causerie",
    help="Answers from your documents, on a language model of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("serve")(serve)
app.command("ingest")(ingest)
app.command("chat")(chat)
app.add_typer(models_app, name="models")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"causerie {VERSION}")
        raise typer.Exit


@app.callback()
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; ends the process with its exit code."""
    try:
        app(args=None if arguments is None else list(arguments))
    except _SENTENCES as error:
        Console(stderr=True).print(Text(f"error: {error}", style="red"), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
