"""`python -m api index search|snapshots`: passages, also of an earlier state, and named states."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

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
from api.collection_schemas import SnapshotList, SnapshotModel
from api.passage_search import PassageSearch
from api.schemas import HitList, SearchRequest
from index.store import CollectionStore

SEARCH_EXAMPLE = 'Example: python -m api index search recipes "how long to boil an egg" --as-of may'
SNAPSHOTS_EXAMPLE = "Example: python -m api index snapshots recipes --take may"


def search(
    collection: Collection,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    k: Annotated[int, typer.Option("--k", min=1, help="Passages to show.")] = 5,
    as_of: Annotated[
        str,
        typer.Option(
            metavar="WRITE",
            help="As the collection stood after this write, or at a snapshot of this name.",
            show_default=False,
        ),
    ] = "",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Show the passages nearest to a query, today's or those of an earlier state.

    An earlier state is read from the database alone: slow, and exact.
    """
    settings = settings_for(tenant)
    at: int | str | None = int(as_of) if as_of.isdigit() else as_of or None
    body = SearchRequest(query=query, k=k, as_of=at)
    with running_server(settings, tenant) as server:
        if server is not None:
            path = path_of(collection, "/search")
            found = HitList.model_validate(
                server.call("POST", path, json=body.model_dump(exclude_none=True))
            )
        else:
            # Here and not above: torch costs seconds that a running server saves us.
            from api import bootstrap  # noqa: PLC0415

            embedder = bootstrap.embedder_alone(settings)
            with opened_store(settings, tenant) as store:
                try:
                    found = PassageSearch(store, embedder).run(collection, body)
                except ValueError as error:
                    raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_hits(found)


def snapshots(
    collection: Collection,
    take: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Give the present state this name first.", show_default=False
        ),
    ] = "",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """List the named states of a collection, which `index search --as-of` answers for."""
    settings = settings_for(tenant)
    with running_server(settings, tenant) as server:
        if server is not None:
            path = path_of(collection, "/snapshots")
            if take:
                server.call("POST", path, json={"name": take})
            answer: Mapping[str, Any] = server.call("GET", path)
        else:
            with opened_store(settings, tenant) as store:
                answer = _listed(store, collection, take)
    found = SnapshotList.model_validate(answer)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for one in found.data:
        print(f"{one.name}: after write {one.seq}, {one.created_at:%Y-%m-%d %H:%M} UTC")
    print(f"{collection}: {len(found.data)} snapshots, {found.seq} writes so far")


def _listed(store: CollectionStore, collection: str, take: str) -> Mapping[str, Any]:
    versions = store.versions(collection)
    if take:
        versions.snapshot(take)
    return SnapshotList(
        data=[SnapshotModel.of(one) for one in versions.snapshots()], seq=versions.latest()
    ).model_dump(mode="json")


def _print_hits(found: HitList) -> None:
    console = Console()
    for hit in found.data:
        where = f"{hit.uri} {hit.start}..{hit.end}"
        console.print(Text(f"{hit.rank:>3}  {hit.score:.3f}  {where}", style="bold"))
        console.print(Text(f"     {hit.text.strip()}"), soft_wrap=True)
    if found.reason or not found.complete:
        console.print(Text(f"incomplete: {found.reason or 'some may be missing'}", style="yellow"))
