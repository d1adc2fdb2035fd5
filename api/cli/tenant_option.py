"""The option `--tenant`, and the settings of whoever gave it."""

from typing import Annotated

import typer

from api.errors import ConfigurationError
from api.settings import ENV_PREFIX, Settings, load_settings

Tenant = Annotated[
    str,
    typer.Option(
        "--tenant", metavar="NAME", help="A tenant of CAUSERIE_TENANT_KEYS.", show_default=False
    ),
]


def settings_for(tenant: str) -> Settings:
    """Read the settings; a tenant that they do not know is refused, since it may be misspelt."""
    settings = load_settings()
    if tenant and tenant not in settings.tenants:
        raise ConfigurationError(
            f"no tenant is called {tenant!r}; {ENV_PREFIX}TENANT_KEYS has"
            f" {', '.join(map(repr, settings.tenants)) or 'none'}"
        )
    return settings
