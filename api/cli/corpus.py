"""`python -m api ingest`: files and folders into a collection."""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.progress import progress_bars
from api.cli.tenant_option import Tenant, settings_for
from index.store import check_collection_name
from rag.ingest import FileReport, Outcome, Progress

_STYLES = {Outcome.FAILED: "red", Outcome.SKIPPED: "yellow", Outcome.UNCHANGED: "dim"}


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files and folders: text, Markdown, HTML, PDF, DOCX, CSV.",
            exists=True,
            show_default=False,
        ),
    ],
    collection: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The collection; it is made when missing.", show_default=False
        ),
    ],
    tenant: Tenant = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read files and folders into a collection; what did not change costs nothing.

    Exit code 0: everything went in; 1: some files failed; 2: the command itself is wrong.
    """
    try:
        check_collection_name(collection)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--collection") from error
    reports = _ingested(paths, collection, tenant)
    if as_json:
        print(json.dumps(_to_json(collection, reports), indent=2, ensure_ascii=False))
    else:
        _print_summary(collection, reports)
    if any(report.outcome is Outcome.FAILED for report in reports):
        raise typer.Exit(1)


def _ingested(paths: list[Path], collection: str, tenant: str) -> list[FileReport]:
    # Here and not above: the libraries of a desk cost a second, and help needs none of them.
    from api.cli.desks import open_desk  # noqa: PLC0415

    cancel = threading.Event()
    settings = settings_for(tenant)
    with open_desk(settings, tenant) as desk, progress_bars(Console(stderr=True)) as on_progress:

        def note(step: Progress) -> None:
            on_progress(f"{step.phase:<6}", step.done, step.total)

        try:
            return desk.ingest(paths, collection, on_progress=note, cancel=cancel)
        except KeyboardInterrupt:
            cancel.set()
            raise


def _to_json(collection: str, reports: list[FileReport]) -> dict[str, object]:
    counts = Counter(report.outcome for report in reports)
    return {
        "collection": collection,
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "files": [
            {
                "uri": report.uri,
                "outcome": report.outcome.value,
                "reason": report.reason,
                "code": report.code,
                "document_id": report.document_id,
                "num_chunks": report.num_chunks,
            }
            for report in reports
        ],
    }


def _outcome(report: FileReport) -> str:
    return f"{report.outcome.value}({report.code})" if report.code else report.outcome.value


def _print_summary(collection: str, reports: list[FileReport]) -> None:
    console = Console()
    table = Table("file", "outcome", "passages", "remark", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for report in reports:
        style = _STYLES.get(report.outcome, "green")
        table.add_row(
            Text(report.uri),
            Text(_outcome(report), style=style),
            Text(str(report.num_chunks) if report.num_chunks else "", justify="right"),
            Text(report.reason),
        )
    if reports:
        console.print(table)
    counts = Counter(report.outcome for report in reports)
    words = ", ".join(f"{counts[o]} {o.value}" for o in Outcome if counts[o]) or "no file found"
    console.print(Text(f"{collection}: {words}"), soft_wrap=True)
