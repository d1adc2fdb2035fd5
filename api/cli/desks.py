"""Where a command's work is done: at a running server, or in this process."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from api.access import own_key
from api.application import Application
from api.cli.progress import OnProgress, progress_bars
from api.client import RemoteDesk
from api.desk import Desk, LocalDesk
from api.settings import Settings
from api.state_lock import running_server

KEY_VARIABLE: Final = "CAUSERIE_CLIENT_KEY"


def remote_desk(settings: Settings, tenant: str = "") -> RemoteDesk | None:
    """Return the desk of the server that holds the state folder; None where there is none.

    It sends the key in `CAUSERIE_CLIENT_KEY`, else one of the tenant's.
    """
    address = running_server(settings.state)
    if address is None:
        return None
    return RemoteDesk(address, api_key=os.environ.get(KEY_VARIABLE) or own_key(settings, tenant))


@contextmanager
def open_desk(
    settings: Settings,
    tenant: str = "",
    *,
    prepare: Callable[[Application, OnProgress], None] | None = None,
) -> Iterator[Desk]:
    """Give a tenant's desk at the server that holds the state folder, else one of our own.

    `prepare` is called on an application that was built here, while the progress bars still show.
    """
    if (remote := remote_desk(settings, tenant)) is not None:
        try:
            yield remote
        finally:
            remote.close()
        return
    # Here and not above: torch costs seconds that a running server saves us.
    from api import bootstrap  # noqa: PLC0415

    # A log line in the middle of an answer helps nobody; what fails is told by the command.
    logging.getLogger().setLevel(logging.ERROR)
    with progress_bars(Console(stderr=True)) as on_progress:
        bootstrap.prepare_models(settings, on_progress)
        application = bootstrap.build(settings, on_progress=on_progress)
        try:
            if prepare is not None:
                prepare(application, on_progress)
            desk = LocalDesk(application, tenant)
        except BaseException:
            application.close()
            raise
    try:
        yield desk
    finally:
        application.close()
