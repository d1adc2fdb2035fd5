"""`python -m api serve`: the web page and the HTTP service."""

import errno
import socket
from typing import Annotated, Final

import typer

from api.errors import ConfigurationError, PortInUseError
from api.settings import load_settings
from api.state_lock import address_of, held

_BACKLOG: Final = 2048


def serve(
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="CAUSERIE_HOST or 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", min=0, max=65535, help="CAUSERIE_PORT or 8000.", show_default=False
        ),
    ] = None,
) -> None:
    """Serve the web page and the HTTP API until Ctrl-C."""
    # Here and not above: the libraries of the service cost a second, and help needs none of them.
    from api.cli.live_service import LiveService  # noqa: PLC0415
    from api.telemetry import configure_logging  # noqa: PLC0415

    settings = load_settings(host=host, port=port)
    settings.require_safe_host()
    configure_logging(settings.log_level)
    listener = listen(settings.host, settings.port)
    with listener:
        address = address_of(settings.host, listener.getsockname()[1])
        with held(settings.state, address):
            LiveService(settings, address).run(listener)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; nothing else has been done yet.

    Raises:
        PortInUseError: somebody listens there already.
        ConfigurationError: this machine has no such address, or the port needs more rights.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(
            f"host {host!r} is not an address of this machine ({error.strerror}); use 127.0.0.1"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        # Not only bound: two sockets may bind with SO_REUSEADDR, but only one may listen.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} on {host} is taken by another program; stop it, or choose another"
                f" port: --port {port + 1 if port < 65535 else 8000}"
            ) from error
        raise ConfigurationError(
            f"cannot serve {host} port {port}: {error.strerror}; choose another with --host and"
            " --port"
        ) from error
    return listener
