"""Tenants: where the data of each lies. A tenant is a folder, on a server also a schema.

The tenant comes from the API key and from nowhere else: everything that a request reaches was
opened for it, so that no query can forget to ask. The tenant without a name is that of the keys
that belong to none.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from api.settings import Settings
from index.database import DEFAULT_SCHEMA

FOLDER: Final = "tenants"

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_MAX_ENCODED: Final = 40  # what is longer is hashed: a schema's name may have 63 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPlace:
    """Where a tenant's state folder and database are."""

    state: Path
    database_url: str
    schema: str


def encoded(tenant: str) -> str:
    """Return a name for paths and schemas that no other tenant has, whatever is in `tenant`.

    Only a-z, 0-9 and `_`: two names never differ in their case alone, and none leaves its folder.
    """
    if not tenant:
        raise ValueError("a tenant needs a name")
    spelled = "".join(
        c if c in _PLAIN else "".join(f"_{byte:02x}" for byte in c.encode("utf-8")) for c in tenant
    )
    if len(spelled) <= _MAX_ENCODED:
        return spelled
    # No hexadecimal number begins with an h: no short name is spelled like this.
    return f"_h{hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()}"


def place_of(settings: Settings, tenant: str) -> TenantPlace:
    """Return where a tenant's data lies; the empty name is the tenant without a name."""
    state = settings.state
    url = settings.database_url or f"sqlite:///{state / 'causerie.sqlite'}"
    if not tenant:
        return TenantPlace(state=state, database_url=url, schema=DEFAULT_SCHEMA)
    name = encoded(tenant)
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        file = Path(address.database)
        address = address.set(database=str(file.parent / FOLDER / name / file.name))
        url = address.render_as_string(hide_password=False)
    return TenantPlace(
        state=state / FOLDER / name, database_url=url, schema=f"{DEFAULT_SCHEMA}_{name}"
    )
