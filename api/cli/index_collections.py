"""`python -m api index create|describe|delete`: collections as a whole."""

import dataclasses
import sys
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
from index.filters import Kind
from index.protocol import Metric
from index.stop_words import Language

CREATE_EXAMPLE = (
    "Example: python -m api index create recipes --language french --field minutes=number"
)
DESCRIBE_EXAMPLE = "Example: python -m api index describe recipes --json"
DELETE_EXAMPLE = "Example: python -m api index delete recipes --yes"


def create(
    collection: Collection,
    language: Annotated[
        Language, typer.Option(help="Of the texts: stems and stop words.")
    ] = Language.ENGLISH,
    metric: Annotated[Metric, typer.Option(help="How vectors are compared.")] = Metric.COSINE,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=KIND",
            help="A field of the metadata and its kind: text, number or boolean.",
            show_default=False,
        ),
    ] = None,
    token_vectors: Annotated[
        bool,
        typer.Option(
            "--token-vectors",
            help="Keep up to 32 vectors of each chunk's words, to rerank by (12 KB a chunk).",
        ),
    ] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Make an empty collection for the embedding model of the settings."""
    try:
        fields = dict(_field(one) for one in field or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--field") from error
    settings = settings_for(tenant)
    wanted = {
        "name": collection,
        "language": language.value,
        "metric": metric.value,
        "fields": {name: kind.value for name, kind in fields.items()},
        "token_vectors": token_vectors,
    }
    with running_server(settings, tenant) as server:
        if server is not None:
            made = dict(server.call("POST", "/v1/collections", json=wanted))
        else:
            # Here and not above: torch costs seconds that a running server saves us.
            from api import bootstrap  # noqa: PLC0415
            from rag.late_interaction import most_vectors  # noqa: PLC0415

            embedder = bootstrap.embedder_alone(settings)
            with opened_store(settings, tenant) as store:
                try:
                    most = most_vectors(embedder, wanted=token_vectors)
                    info = store.create(
                        collection,
                        embedder=embedder.name,
                        fingerprint=embedder.fingerprint,
                        dim=embedder.dim,
                        metric=metric,
                        language=language,
                        fields=fields,
                        token_vectors=most,
                    )
                except ValueError as error:
                    raise typer.BadParameter(str(error)) from error
            made = {"name": info.name, "embedding_model": info.embedder, "dim": info.dim}
    if as_json:
        print_json({**made, **wanted})
    else:
        print(f"{collection}: made for {made['embedding_model']}, {made['dim']} components")


def describe(collection: Collection, tenant: Tenant = "", as_json: AsJson = False) -> None:
    """Tell what a collection was made with, how much it holds, and what the tuner chose."""
    settings = settings_for(tenant)
    with opened_store(settings, tenant) as store:
        info = store.info(collection)
        with store.exported(collection) as (header, _):
            fields = {name: kind.value for name, kind in header.fields.items()}
        tuning = store.tunings.latest(collection)
        token_bytes = store.token_bytes(collection)
    found: dict[str, Any] = {
        **dataclasses.asdict(info),
        "metric": info.metric.value,
        "language": header.language.value,
        "fields": fields,
        "token_bytes": token_bytes,
        "tuning": None if tuning is None else str(tuning.choice),
    }
    if as_json:
        print_json(found)
    else:
        print_facts(
            {
                "collection": info.name,
                "embedder": f"{info.embedder}, {info.dim} components, {info.metric}",
                "language": header.language.value,
                "fields": ", ".join(f"{n}={kind}" for n, kind in fields.items()) or "none declared",
                "holds": f"{info.num_documents} documents, {info.num_chunks} chunks",
                "token vectors": f"up to {info.token_vectors} a chunk, {token_bytes:,} bytes"
                if info.token_vectors
                else "none kept",
                "made": f"{info.created_at:%Y-%m-%d %H:%M} UTC",
                "index": "not tuned" if tuning is None else str(tuning.choice),
            }
        )


def delete(
    collection: Collection,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Remove a collection and all it holds."""
    settings = settings_for(tenant)
    confirm(f"Delete the collection {collection!r} with all its documents?", yes=yes)
    with running_server(settings, tenant) as server:
        if server is not None:
            server.call("DELETE", path_of(collection))
        else:
            with opened_store(settings, tenant) as store:
                store.delete(collection)
    if as_json:
        print_json({"name": collection, "deleted": True})
    else:
        print(f"{collection}: deleted")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a deed that cannot be undone; where nobody can be asked, `--yes` must be given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Nobody can be asked here: say --yes")
    typer.confirm(question, abort=True)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print labelled lines."""
    console = Console()
    for label, words in facts.items():
        console.print(Text(f"{label:<12}{words}"), soft_wrap=True)


def _field(text: str) -> tuple[str, Kind]:
    name, sign, kind = text.partition("=")
    try:
        if sign and name:
            return name, Kind(kind)
    except ValueError:
        pass
    raise ValueError(f"a field is written NAME=KIND with one of {', '.join(Kind)}, got {text!r}")
