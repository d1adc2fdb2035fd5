"""`python -m api index health|verify|repair|compact|purge`: what keeps a collection well."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.index_collections import confirm, print_facts
from api.cli.index_options import (
    AsJson,
    Collection,
    Tenant,
    opened_store,
    path_of,
    print_json,
    running_server,
    settings_for,
)
from api.cli.progress import OnProgress, progress_bars
from api.cli.tune import parse_size
from api.upkeep_schemas import CompactionModel, CompactRequest, HealthModel, VerificationModel
from index.inspection import Verification
from index.maintenance import Maintenance
from index.new_rows import document_id_of

HEALTH_EXAMPLE = "Example: python -m api index health recipes --measure"
VERIFY_EXAMPLE = "Example: python -m api index verify recipes"
REPAIR_EXAMPLE = "Example: python -m api index repair recipes"
COMPACT_EXAMPLE = "Example: python -m api index compact recipes --disk 2GB"
PURGE_EXAMPLE = "Example: python -m api index purge recipes notes/private.txt --yes"

_TIMEOUT_S = 3600.0  # of a server that reads through all it has

Work = Callable[[Maintenance, OnProgress], Mapping[str, Any]]
Asked = tuple[str, str, dict[str, Any]]  # method, what follows the collection's path, body


def health(
    collection: Collection,
    measure: Annotated[
        bool, typer.Option("--measure", help="Ask the canaries now, not what they said last.")
    ] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Tell how a collection does: recall, files, what is withheld. Exit code 1: not well."""

    def work(upkeep: Maintenance, _: OnProgress) -> Mapping[str, Any]:
        how = upkeep.health(measure=measure)
        return HealthModel.of(collection, how, upkeep.stats()).model_dump(mode="json")

    asked: Asked = ("GET", f"/health?measure={'true' if measure else 'false'}", {})
    found = HealthModel.model_validate(_done(collection, tenant, "health", asked, work))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_health(found)
    if not found.is_well:
        raise typer.Exit(1)


def verify(
    collection: Collection,
    absent: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A document that must be nowhere.", show_default=False),
    ] = None,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Compare all that is stored with its hashes and with itself. Exit code 1: something is wrong.

    Reads everything and changes nothing.
    """
    ids = absent or []

    def work(upkeep: Maintenance, on_progress: OnProgress) -> Mapping[str, Any]:
        return _verified(collection, upkeep.verify(absent=ids, on_progress=on_progress))

    asked: Asked = ("POST", "/verify", {"absent": ids})
    _show(_done(collection, tenant, "verify", asked, work), as_json)


def repair(collection: Collection, tenant: Tenant = "", as_json: AsJson = False) -> None:
    """Make anew what is derived and damaged: words and index files.

    Exit code 1: documents are damaged, which are to be ingested again.
    """

    def work(upkeep: Maintenance, on_progress: OnProgress) -> Mapping[str, Any]:
        return _verified(collection, upkeep.repair(on_progress=on_progress))

    _show(_done(collection, tenant, "repair", ("POST", "/repair", {}), work), as_json)


def compact(
    collection: Collection,
    disk: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="At most so much for new files, such as 2GB.", show_default=False
        ),
    ] = None,
    keep_writes: Annotated[
        int | None,
        typer.Option(
            "--keep-writes",
            metavar="N",
            min=1,
            help="Let go of what was deleted before the last N writes.",
            show_default=False,
        ),
    ] = None,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Write what is new into segments, and merge those that are due. Ctrl-C loses no data."""
    try:
        budget = None if disk is None else parse_size(disk)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--disk") from error

    wanted = CompactRequest(disk_budget=budget, keep_writes=keep_writes)

    def work(upkeep: Maintenance, on_progress: OnProgress) -> Mapping[str, Any]:
        return CompactionModel.done(collection, upkeep, wanted, on_progress).model_dump(mode="json")

    asked: Asked = ("POST", "/compact", wanted.model_dump())
    found = _done(collection, tenant, "compact", asked, work)
    if as_json:
        print_json(found)
    else:
        print(f"{collection}: {found['postponed'] or 'compact'}")
        if found["retuned"]:
            print(f"{collection}: tuned anew, since {found['retuned']}")
        if trimmed := found["trimmed"]:
            print(
                f"{collection}: {trimmed['num_chunks']} old chunks let go; states are kept since"
                f" write {trimmed['since']}"
            )


def purge(
    collection: Collection,
    documents: Annotated[
        list[str],
        typer.Argument(metavar="URI...", help="The documents, by uri.", show_default=False),
    ],
    by_id: Annotated[bool, typer.Option("--id", help="They are given by id.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Remove documents and all their earlier versions for good, from every table and file.

    Exit code 1: something of them is left.
    """
    ids = documents if by_id else [document_id_of(collection, uri) for uri in documents]
    confirm(f"Remove {len(ids)} documents of {collection!r} for good?", yes=yes)

    def work(upkeep: Maintenance, _: OnProgress) -> Mapping[str, Any]:
        return _verified(collection, upkeep.purge(ids))

    asked: Asked = ("POST", "/purge", {"document_ids": ids})
    _show(_done(collection, tenant, "purge", asked, work), as_json)


def _done(collection: str, tenant: str, label: str, asked: Asked, work: Work) -> Mapping[str, Any]:
    """Return what came of it: at the running server, which knows the newest, or here."""
    settings = settings_for(tenant)
    method, action, body = asked
    with (
        progress_bars(Console(stderr=True)) as on_progress,
        running_server(settings, tenant) as server,
    ):
        on_progress(label, 0, 0)  # of a server's work nothing more is known
        if server is not None:
            options = {} if method == "GET" else {"json": body}
            path = path_of(collection, action)
            return server.call(method, path, timeout=_TIMEOUT_S, **options)
        with opened_store(settings, tenant) as store:
            return work(store.maintenance(collection), on_progress)


def _verified(collection: str, found: Verification) -> Mapping[str, Any]:
    return VerificationModel.of(collection, found).model_dump(mode="json")


def _show(answer: Mapping[str, Any], as_json: bool) -> None:
    found = VerificationModel.model_validate(answer)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for one in found.problems:
            print(f"{one.kind}: {one.what}")
        state = "nothing is wrong" if found.is_clean else f"{len(found.problems)} problems"
        print(
            f"{found.name}: {state} in {found.num_documents} documents, {found.num_chunks} chunks"
            f" and {found.num_files} files"
        )
    if not found.is_clean:
        raise typer.Exit(1)


def _print_health(found: HealthModel) -> None:
    recall = "every row is compared"
    if found.recall is not None:
        recall = (
            f"{found.recall.value:.3f} ({found.recall.low:.3f} to {found.recall.high:.3f}) at"
            f" {found.recall.k}, wanted {found.wanted_recall:g}"
        )
    print_facts(
        {
            "collection": f"{found.name}, {'well' if found.is_well else 'not well'}",
            "holds": f"{found.stats.num_documents} documents, {found.stats.num_chunks} chunks",
            "history": f"{found.stats.num_old_chunks} old chunks, states since write"
            f" {found.stats.since} of {found.seq}",
            "index": f"{found.num_segments} segments, {found.num_unsealed} rows unsealed,"
            f" {found.dead_share:.1%} dead",
            "recall": recall,
            "set aside": ", ".join(found.set_aside) or "nothing",
            "withheld": ", ".join(map(str, found.withheld)) or "nothing",
            "lost": found.loss or "nothing",
        }
    )
