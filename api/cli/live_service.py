"""A server that runs: it answers health checks at once and everything else when it has loaded."""

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from rich.console import Console
from rich.text import Text

from api.app import create_app
from api.application import Application
from api.cli.progress import OnProgress, progress_bars
from api.loading import LoadingGate
from api.settings import Settings

QUESTION: Final = "How do I write a context manager?"

_GRACE_S: Final = 5


class _LoadingStoppedError(Exception):
    """The user does not want to wait for the rest."""


class LiveService:
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
            bootstrap.watch_indexes(application)
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
