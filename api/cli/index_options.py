"""What the commands of `index` have in common: their arguments, and where they do their work."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import quote

import typer

from api.cli.tenant_option import Tenant, settings_for
from api.client import RemoteDesk
from api.settings import Settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from index.store import CollectionStore

__all__ = [
    "AsJson",
    "Collection",
    "Tenant",
    "opened_store",
    "path_of",
    "print_json",
    "running_server",
    "settings_for",
]

Collection = Annotated[
    str, typer.Argument(metavar="COLLECTION", help="The collection.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


@contextmanager
def opened_store(settings: Settings, tenant: str) -> Iterator[CollectionStore]:
    """Give the store of a tenant in this process."""
    place = place_of(settings, tenant)
    with state_database(settings, tenant) as database:
        store = CollectionStore(database, threads=settings.threads or 1, folder=index_folder(place))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def running_server(settings: Settings, tenant: str) -> Iterator[RemoteDesk | None]:
    """Give the server that holds the state folder, through which one writes then; else None."""
    # Here and not above: the desks know how to build everything, and help needs none of it.
    from api.cli.desks import remote_desk  # noqa: PLC0415

    desk = remote_desk(settings, tenant)
    try:
        yield desk
    finally:
        if desk is not None:
            desk.close()


def path_of(collection: str, action: str = "") -> str:
    """Return the HTTP path of a collection, or of something under it."""
    return f"/v1/collections/{quote(collection, safe='')}{action}"


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
