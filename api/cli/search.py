"""`python -m api search`: the passages for a query, and why these."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.index_options import (
    AsJson,
    Collection,
    Tenant,
    path_of,
    print_json,
    running_server,
    settings_for,
)
from api.explanation_model import ExplanationModel
from api.schemas import MAX_K, HitList, HitModel, SearchRequest
from api.trace_model import TraceModel
from rag.explained_search import LANES, LaneName


def search(  # noqa: PLR0913  # options of a command
    collection: Collection,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    k: Annotated[int, typer.Option("--k", min=1, max=MAX_K, help="Passages to show.")] = 5,
    lanes: Annotated[
        str,
        typer.Option(
            metavar="NAME,…", help="dense, terms or both, the default.", show_default=False
        ),
    ] = "",
    where: Annotated[
        str | None,
        typer.Option(
            "--filter", metavar="JSON", help='Such as {"eq": {"year": 2020}}.', show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show scores, ranks and times per lane.")
    ] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Show the passages for a query, and why these."""
    if not query.strip():
        raise typer.BadParameter("the query is empty; say what to look for", param_hint="QUERY")
    body = SearchRequest(
        query=query, k=k, filter=_filter(where), lanes=_lanes(lanes), explain=explain
    )
    settings = settings_for(tenant)
    with running_server(settings, tenant) as server:
        if server is not None:
            wish = body.model_dump(exclude_none=True)
            found = HitList.model_validate(
                server.call("POST", path_of(collection, "/search"), json=wish)
            )
        else:
            # Here and not above: torch costs seconds that a running server saves us.
            from api.plan_bootstrap import passage_search  # noqa: PLC0415

            with passage_search(settings, tenant, collection) as search:
                found = search.run(collection, body)
    if as_json:
        print_json(found.model_dump(mode="json", exclude_none=True))
    else:
        _print(found)


def _lanes(text: str) -> tuple[LaneName, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    wanted = tuple(lane for lane in LANES if lane in names)
    if len(wanted) < len(set(names)):
        raise typer.BadParameter(f"lanes are {', '.join(LANES)}, got {text!r}")
    return wanted or LANES


def _filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"the filter is no JSON: {error.msg}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(f"the filter is a JSON object, got {text}")
    return value


def _print(found: HitList) -> None:
    console = Console()
    for hit in found.data:
        heading = " > ".join([hit.title, *hit.heading_path])
        console.print(Text(f"{hit.rank:>3}  {hit.score:.3f}  {heading}", style="bold"))
        console.print(Text(f"     {hit.uri} {hit.start}..{hit.end}{_places(hit)}", style="dim"))
        console.print(_marked(hit), soft_wrap=True)
    if not found.data:
        console.print("nothing was found")
    if found.explain is not None:
        _print_explanation(console, found.explain)
    if found.reason or not found.complete:
        console.print(Text(f"incomplete: {found.reason or 'some may be missing'}", style="yellow"))


def _places(hit: HitModel) -> str:
    if hit.lanes is None:
        return ""
    said = [f"{name} {one.score:.3f} (rank {one.rank})" for name, one in hit.lanes.items()]
    if hit.prior:
        said.append(f"prior {hit.prior:+.2f}")
    return "   " + ", ".join(said)


def _marked(hit: HitModel) -> Text:
    """Return the passage with the words of the query marked; offsets are characters."""
    text = Text(hit.text)
    for start, end in hit.highlights:
        text.stylize("bold green", start, end)
    return Text("     ").append_text(text)


def _print_explanation(console: Console, explained: ExplanationModel) -> None:
    table = Table("lane", "ms", "candidates", box=None, pad_edge=False)
    for lane in explained.lanes:
        table.add_row(lane.name, f"{lane.ms:.1f}", str(lane.num_found))
    console.print(table)
    took = f"encoding {explained.encode_ms:.1f} ms, search {explained.search_ms:.1f} ms"
    console.print(f"{took}; state {explained.seq}", highlight=False)
    if explained.fusion is not None:
        console.print(f"score = {explained.fusion}", highlight=False)
    if explained.trace is not None:
        _print_trace(console, explained.trace)
    if explained.gate is not None:
        features = ", ".join(f"{name} {value:g}" for name, value in explained.gate.features.items())
        console.print(
            Text(
                f"gate: {explained.gate.decision}, answerable {explained.gate.p_answerable:.2f}"
                f" ({features})"
            ),
            soft_wrap=True,
        )


def _print_trace(console: Console, trace: TraceModel) -> None:
    """Print what the collection's plan did beyond the fused search."""
    for lane in trace.lanes:
        if lane.name not in LANES or lane.problem:
            found = lane.problem or f"{lane.num_found} found"
            console.print(Text(f"{lane.name}: {found}, {lane.ms:.0f} ms"), soft_wrap=True)
            for query in lane.queries:
                console.print(Text(f"     {query}", style="dim"), soft_wrap=True)
    if trace.rerank is not None:
        done = trace.rerank.problem or f"{trace.rerank.depth} passages"
        console.print(Text(f"{trace.rerank.name}: {done}, {trace.rerank.ms:.0f} ms"))
