"""`python -m api serve`: the web page and the HTTP service."""

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Final

import typer
import uvicorn
from rich.console import Console
from rich.text import Text

from api.app import create_app
from api.application import Application
from api.cli.progress import OnProgress, progress_bars
from api.errors import ConfigurationError, PortInUseError
from api.loading import LoadingGate
from api.settings import Settings, load_settings
from api.state_lock import address_of, held
from api.telemetry import configure_logging

logger = logging.getLogger(__name__)

QUESTION: Final = "How do I write a context manager?"

_BACKLOG: Final = 2048
_GRACE_S: Final = 5


class _LoadingStoppedError(Exception):
    """The user does not want to wait for the rest."""


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
    settings = load_settings(host=host, port=port)
    settings.require_safe_host()
    configure_logging(settings.log_level)
    listener = listen(settings.host, settings.port)
    with listener:
        address = address_of(settings.host, listener.getsockname()[1])
        with held(settings.state, address):
            Service(settings, address).run(listener)


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


class Service:
    """One server: answers health checks at once, loads in a thread, then answers everything."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._console = Console(stderr=True)
        self._application: Application | None = None
        self._error: BaseException | None = None
        self._is_stopping = threading.Event()
        self._gate = LoadingGate(on_shutdown=self._close)
        self._server = _Server(
            uvicorn.Config(
                self._gate,
                log_config=None,
                access_log=False,
                server_header=False,
                # Whose address a request comes from decides about access: believe no header.
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_S,
            ),
            on_stop=self._stop,
        )

    def run(self, listener: socket.socket) -> None:
        """Serve until a signal; raises what loading raised."""
        loader = threading.Thread(target=self._load, name="loading", daemon=True)
        loader.start()
        self._server.run(sockets=[listener])
        self._is_stopping.set()
        loader.join(timeout=_GRACE_S)
        self._close()
        if self._error is not None:
            raise self._error

    def _load(self) -> None:
        # Here and not above: torch costs seconds, and a busy port can be told without it.
        from api import bootstrap  # noqa: PLC0415

        try:
            with progress_bars(self._console) as show:
                application = self._build(self._reporting(show))
            self._gate.open(create_app(application), application)
            self._announce(application)
            bootstrap.start_library_indexing(application)
        except _LoadingStoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            self._error = error
            self._server.should_exit = True

    def _build(self, on_progress: OnProgress) -> Application:
        from api import bootstrap  # noqa: PLC0415

        bootstrap.prepare_models(self._settings, on_progress)
        application = bootstrap.build(self._settings, on_progress=on_progress)
        self._application = application
        bootstrap.index_language_topics(application, on_progress)
        return application

    def _reporting(self, show: OnProgress) -> OnProgress:
        def report(label: str, done: int, total: int) -> None:
            if self._is_stopping.is_set():
                raise _LoadingStoppedError
            of = f" ({done} of {total})" if total else ""
            self._gate.readiness.mark_not_ready(f"the service is loading: {label}{of}")
            show(label, done, total)

        return report

    def _announce(self, application: Application) -> None:
        # Also in the log, but that may be set to be silent, and these lines are for a person.
        runs_as = application.decoder_runs_as
        for line in (
            "",
            *([f"The decoder runs as {runs_as}."] if runs_as else []),
            f"causerie answers at {self._address}",
            f'Try: "{QUESTION}"',
            "Ctrl-C stops it.",
        ):
            self._console.print(Text(line), soft_wrap=True)

    def _stop(self) -> None:
        """Let no answer hold up the end; called from the signal handler, so only flags are set."""
        self._is_stopping.set()
        if self._application is not None:
            threading.Thread(target=self._application.foreground.stop, daemon=True).start()

    def _close(self) -> None:
        application, self._application = self._application, None
        if application is not None:
            application.close()


class _Server(uvicorn.Server):
    """Tells the service of a signal at once: open streams must end before uvicorn can."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first one ends gracefully, a second Ctrl-C at once."""
        del frame
        self._on_stop()
        # Not the base class's way, which raises the signal once more after a clean end.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
