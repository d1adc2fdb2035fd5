"""`python -m api ingest`: files, folders and pages of the web into a collection."""

import json
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.ingest_urls import is_url, web_sources
from api.cli.ingest_view import (
    notes_json,
    plan_json,
    print_notes,
    print_plan,
    print_reports,
    reports_json,
)
from api.cli.ingest_watch import Following, sayings
from api.cli.ingest_work import applied, opened_desk
from api.cli.stop_signals import stop_on_signals
from api.cli.tenant_option import Tenant, settings_for
from api.ingest_desk import IngestDesk, LookingDesk
from api.settings import Settings
from index.errors import UnknownCollectionError
from index.store import check_collection_name
from rag.ingest_report import FileReport, Outcome, summary
from rag.ingest_source import DigestCache, Scan, scan
from rag.web_source import WebSource

_INTERRUPTED = 130


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
            help="Files, folders, URLs; text, Markdown, HTML, PDF, Office, tables, JSON, code.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be done.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then follow the folders until Ctrl-C.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="List how each file ended the last time.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Remove nothing, also where a file is gone.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove also most documents of a folder.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch URLs inside of a private network too.")
    ] = False,
    tenant: Tenant = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
) -> None:
    """Bring a collection up to date with files and folders; what did not change costs nothing.

    Documents are removed where their file is gone from a folder that is named here. More than half
    of a folder's documents are removed only with --yes. Nothing else is ever removed.

    Exit code 0: everything went in; 1: some files failed, or a removal was refused; 2: the command
    itself is wrong; 130: stopped by Ctrl-C, and the next run goes on from there.
    """
    try:
        check_collection_name(collection)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--collection") from error
    if plan + watch + status > 1:
        raise typer.BadParameter("give one of --plan, --watch and --status")
    settings = settings_for(tenant)
    if status:
        _show_status(settings, tenant, collection, as_json=as_json)
        return
    digests = DigestCache()
    folders = _folders(paths or []) if watch else []
    words = paths or []
    urls = [word for word in words if is_url(word)]
    pages = web_sources(urls, settings, tenant, collection, allow_private=allow_private)
    files = [word for word in words if not is_url(word)]
    found = _scanned(files, digests, pages, is_missing_allowed=yes)
    if plan:
        _show_plan(settings, tenant, collection, found, as_json=as_json)
        return
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals(_tell_stopping))
        desk = stack.enter_context(opened_desk(settings, tenant))
        reports = _first_pass(desk, found, collection, keep=keep, yes=yes, stop=stop)
        if watch:
            say = sayings(as_json=as_json)
            following = Following(
                desk=desk,
                folders=folders,
                collection=collection,
                digests=digests,
                sayings=say,
                is_confirmed=yes,
                keep=keep,
            )
            for report in reports:
                say.reported(report)
            say.said(f"{collection}: {summary(reports)}; watching, Ctrl-C ends it")
            following.run(stop)
            say.said("stopped")
            return
    _conclude(collection, reports, is_stopped=stop.is_set(), as_json=as_json)


def _conclude(
    collection: str, reports: Sequence[FileReport], *, is_stopped: bool, as_json: bool
) -> None:
    if as_json:
        _print_json(reports_json(collection, reports))
    else:
        print_reports(collection, reports)
    if is_stopped:
        raise typer.Exit(_INTERRUPTED)
    if any(report.outcome is Outcome.FAILED for report in reports):
        raise typer.Exit(1)


def _first_pass(  # all by name
    desk: IngestDesk,
    found: Scan,
    collection: str,
    *,
    keep: bool,
    yes: bool,
    stop: threading.Event,
) -> list[FileReport]:
    planned = desk.plan(found, collection)
    if keep:
        planned = planned.without_removals()
    return applied(desk, planned, collection, is_confirmed=yes, cancel=stop)


def _scanned(
    words: Sequence[str],
    digests: DigestCache,
    pages: Sequence[WebSource],
    *,
    is_missing_allowed: bool,
) -> Scan:
    """Return the sources that the words of the command stand for."""
    if not words and not pages:
        raise typer.BadParameter("name at least one file, folder or URL", param_hint="PATH...")
    for word in words:
        if not (is_missing_allowed or Path(word).exists()):
            raise typer.BadParameter(
                f"{word!r} does not exist; nothing was changed (--yes would remove the documents"
                " that came from it)",
                param_hint="PATH...",
            )
    return scan([Path(word) for word in words], more=pages, digests=digests)


def _folders(words: Sequence[str]) -> list[Path]:
    """Return the folders to watch."""
    for word in words:
        if not Path(word).is_dir():
            raise typer.BadParameter(
                f"--watch follows folders, and {word!r} is none; name the folder that holds it",
                param_hint="PATH...",
            )
    return [Path(word).absolute() for word in words]


def _tell_stopping() -> None:
    sys.stderr.write("stopping after the batch at hand; once more stops at once\n")


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
        desk = LookingDesk(store, chunk_overlap=settings.chunk_overlap)
        planned = desk.plan(found, collection)
        try:
            store.info(collection)
            is_new = False
        except UnknownCollectionError:
            is_new = True
    if as_json:
        _print_json(plan_json(collection, planned))
    else:
        print_plan(collection, planned, is_new=is_new)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
