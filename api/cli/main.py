"""The map of the command line, and how its errors end."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from api.cli.bot import bot_app
from api.cli.chat import chat
from api.cli.corpus import ingest
from api.cli.engine import engine_app
from api.cli.index_commands import index_app
from api.cli.models import models_app
from api.cli.sentences import SENTENCES, error_line
from api.cli.server import serve
from api.cli.tools import tools_app
from api.cli.train import train_app
from api.cli.train_models import ADAPTER_EXAMPLE, NGRAM_EXAMPLE, adapter, ngram
from api.cli.watermark import watermark_app
from api.version import VERSION

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
app.add_typer(bot_app, name="bot")
app.add_typer(models_app, name="models")
app.add_typer(engine_app, name="engine")
app.add_typer(index_app, name="index")
train_app.command("adapter", epilog=ADAPTER_EXAMPLE)(adapter)
train_app.command("ngram", epilog=NGRAM_EXAMPLE)(ngram)
app.add_typer(train_app, name="train")
app.add_typer(tools_app, name="tools")
app.add_typer(watermark_app, name="watermark")


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
    except SENTENCES as error:
        Console(stderr=True).print(error_line(error), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
