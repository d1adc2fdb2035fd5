"""`python -m api index tune`: measure index methods on a collection's own vectors."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.index_options import Tenant, path_of, running_server, settings_for
from api.cli.progress import progress_bars
from api.state_database import state_database
from api.tuning_plot import save_plot
from index.errors import TuningError
from index.tuner import tune as measure
from index.tuning import Preference, Target, Tuning
from index.tuning_store import TuningStore

TUNE_EXAMPLE = "Example: python -m api index tune recipes --recall .95 --memory 500MB --p95 10ms"

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def tune(  # noqa: PLR0913  # options of a command
    collection: Annotated[
        str, typer.Argument(metavar="COLLECTION", help="The collection.", show_default=False)
    ],
    recall: Annotated[
        float, typer.Option(help="The recall that the lower bound must reach.")
    ] = 0.95,
    k: Annotated[int, typer.Option("--k", help="Neighbours of a search.")] = 10,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="At most so much, such as 500MB.", show_default=False),
    ] = None,
    p95: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="95 % of searches within this, such as 10ms.", show_default=False
        ),
    ] = None,
    prefer: Annotated[
        str, typer.Option(help="What counts among those that hold it: speed or memory.")
    ] = "speed",
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the PNG goes; COLLECTION-tuning.png.", show_default=False
        ),
    ] = None,
    tenant: Tenant = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Choose the index of a collection by measuring on its own vectors.

    The cheapest method whose recall surely reaches the target is stored with all that was measured.
    Exit code 1: nothing holds the target within the limits.
    """
    try:
        target = Target(
            recall=recall,
            k=k,
            memory=None if memory is None else parse_size(memory),
            p95_ms=None if p95 is None else parse_milliseconds(p95),
            prefer=_preference(prefer),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    settings = settings_for(tenant)
    errors = Console(stderr=True)
    with state_database(settings, tenant) as database:
        store = TuningStore(database)
        found = store.rows(collection)
        with progress_bars(errors) as on_progress:
            try:
                tuning = measure(found.rows, found.metric, target=target, on_progress=on_progress)
            except ValueError as error:  # there are too few
                raise TuningError(f"collection {collection!r}: {error}") from error
        with running_server(settings, tenant) as server:
            if server is None:
                store.save(collection, tuning)
            else:
                record = json.loads(tuning.to_json())
                server.call("POST", path_of(collection, "/tuning"), json=record)
    picture = plot or Path(f"{collection}-tuning.png")
    save_plot(tuning, picture, title=collection)
    if as_json:
        print(json.dumps(dataclasses.asdict(tuning), indent=2))
    else:
        _print(tuning, collection, picture)


def parse_size(text: str) -> int:
    """Return the bytes of `500MB`; raises `ValueError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(B|KB|MB|GB)", text.strip().upper())
    if match is None:
        raise ValueError(f"memory must be a number and B, KB, MB or GB, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def parse_milliseconds(text: str) -> float:
    """Return the milliseconds of `10ms` or `0.5s`; raises `ValueError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)", text.strip().lower())
    if match is None:
        raise ValueError(f"p95 must be a number and ms or s, got {text!r}")
    return float(match[1]) * (1000 if match[2] == "s" else 1)


def _preference(text: str) -> Preference:
    if text == "speed":
        return "speed"
    if text == "memory":
        return "memory"
    raise ValueError(f"prefer must be speed or memory, got {text!r}")


def _print(tuning: Tuning, collection: str, picture: Path) -> None:
    console = Console()
    columns = ("", "method", "rows", "recall", "at least", "p50 ms", "p95 ms", "build s", "MB")
    table = Table(*columns, "remark", box=None, pad_edge=False)
    for trial in tuning.trials:
        mark = "→" if trial == tuning.chosen else "*" if trial.is_pareto else ""
        table.add_row(
            mark,
            Text(str(trial.choice)),
            f"{trial.num_rows}",
            f"{trial.recall:.3f}",
            f"{trial.recall_low:.3f}",
            f"{trial.p50_ms:.2f}",
            f"{trial.p95_ms:.2f}",
            f"{trial.build_s:.1f}",
            f"{trial.memory / 1e6:.1f}",
            Text(trial.remark),
        )
    console.print(table)
    chosen = tuning.chosen
    console.print(
        Text(
            f"{collection}: {tuning.choice}, recall {chosen.recall:.3f} (at least"
            f" {chosen.recall_low:.3f}) on {tuning.num_queries} {tuning.queries} queries;"
            f" * is the front of recall and time, drawn in {picture}"
        ),
        soft_wrap=True,
    )
