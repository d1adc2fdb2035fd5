"""`python -m api ingest`: files and folders into a collection."""

import json
import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.ingest_view import (
    notes_json,
    plan_json,
    print_notes,
    print_plan,
    print_reports,
    reports_json,
)
from api.cli.progress import progress_bars
from api.cli.tenant_option import Tenant, settings_for
from api.ingest_desk import IngestDesk, LookingDesk
from api.settings import Settings
from index.errors import UnknownCollectionError
from index.store import check_collection_name
from rag.errors import RemovalDoubtError
from rag.ingest_plan import IngestPlan
from rag.ingest_report import FileReport, Outcome, Progress
from rag.ingest_source import Scan, scan


def ingest(  # noqa: PLR0913  # all by name
    collection: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The collection; it is made when missing.", show_default=False
        ),
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Files and folders: text, Markdown, HTML, PDF, office files, tables, JSON, code.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be done.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="List how each file ended the last time.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Remove nothing, also where a file is gone.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove also most documents of a folder.")
    ] = False,
    tenant: Tenant = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
) -> None:
    """Bring a collection up to date with files and folders; what did not change costs nothing.

    Documents are removed where their file is gone from a folder that is named here. More than half
    of a folder's documents are removed only with --yes. Nothing else is ever removed.

    Exit code 0: everything went in; 1: some files failed, or a removal was refused; 2: the command
    itself is wrong.
    """
    try:
        check_collection_name(collection)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--collection") from error
    settings = settings_for(tenant)
    if status:
        _show_status(settings, tenant, collection, as_json=as_json)
        return
    found = _scanned(paths or [])
    if plan:
        _show_plan(settings, tenant, collection, found, as_json=as_json)
        return
    with _opened_desk(settings, tenant) as desk:
        planned = desk.plan(found, collection)
        if keep:
            planned = planned.without_removals()
        reports = _applied(desk, planned, collection, is_confirmed=yes)
    if as_json:
        _print_json(reports_json(collection, reports))
    else:
        print_reports(collection, reports)
    if any(report.outcome is Outcome.FAILED for report in reports):
        raise typer.Exit(1)


def _scanned(words: Sequence[str]) -> Scan:
    """Return the sources that the words of the command stand for."""
    if not words:
        raise typer.BadParameter("name at least one file or folder", param_hint="PATH...")
    for word in words:
        if not Path(word).exists():
            raise typer.BadParameter(
                f"{word!r} does not exist; nothing was changed", param_hint="PATH..."
            )
    return scan([Path(word) for word in words])


def _show_status(settings: Settings, tenant: str, collection: str, *, as_json: bool) -> None:
    from api.cli.index_options import opened_store  # noqa: PLC0415  # not for help

    with opened_store(settings, tenant) as store:
        notes = store.open(collection).notes()
    if as_json:
        _print_json(notes_json(collection, notes))
    else:
        print_notes(collection, notes)


def _show_plan(
    settings: Settings, tenant: str, collection: str, found: Scan, *, as_json: bool
) -> None:
    from api.cli.index_options import opened_store  # noqa: PLC0415  # not for help

    with opened_store(settings, tenant) as store:
        planned = LookingDesk(store).plan(found, collection)
        try:
            store.info(collection)
            is_new = False
        except UnknownCollectionError:
            is_new = True
    if as_json:
        _print_json(plan_json(collection, planned))
    else:
        print_plan(collection, planned, is_new=is_new)


@contextmanager
def _opened_desk(settings: Settings, tenant: str) -> Iterator[IngestDesk]:
    """Give a running server's desk, else one of our own."""
    # Here and not above: the libraries of a desk cost a second, and help needs none of them.
    from api.cli.desks import remote_desk  # noqa: PLC0415
    from api.cli.index_options import opened_store  # noqa: PLC0415

    with ExitStack() as stack:
        if (remote := remote_desk(settings, tenant)) is not None:
            from api.served_ingest import ServedIngest  # noqa: PLC0415

            stack.callback(remote.close)
            store = stack.enter_context(opened_store(settings, tenant))
            yield ServedIngest(remote, store)
            return
        from api.ingest_bootstrap import open_ingestor  # noqa: PLC0415

        # A log line in the middle of a table helps nobody; what fails is told by the command.
        logging.getLogger().setLevel(logging.ERROR)
        with progress_bars(Console(stderr=True)) as on_progress:
            ingestor = stack.enter_context(open_ingestor(settings, tenant, on_progress))
        yield ingestor


def _applied(
    desk: IngestDesk, planned: IngestPlan, collection: str, *, is_confirmed: bool
) -> list[FileReport]:
    cancel = threading.Event()
    with progress_bars(Console(stderr=True)) as on_progress:

        def note(step: Progress) -> None:
            on_progress(f"{step.phase:<6}", step.done, step.total)

        try:
            return desk.apply(
                planned,
                collection,
                is_confirmed=is_confirmed,
                on_progress=note,
                cancel=cancel,
            )
        except RemovalDoubtError as error:
            raise RemovalDoubtError(
                [
                    *error.doubts,
                    "nothing was changed: give --yes to remove them, or --keep to remove nothing",
                ]
            ) from error
        except KeyboardInterrupt:
            cancel.set()
            raise


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
