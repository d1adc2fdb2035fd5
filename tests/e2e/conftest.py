"""The real service, as a process of its own, with real weights and the language topics indexed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.bootstrap import build
from api.settings import Settings
from api.state_lock import running_server
from llm.model_store import ModelStore
from rag.document import Document, sha256_hex
from tests.api.conftest import serving

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT_S = 600
ANSWER_TIMEOUT_S = 600  # how long a busy machine computes says nothing about the answer


class LiveService:
    """One server process over one state folder; can be stopped, killed and started again."""

    def __init__(self, home: Path, state: Path, **settings: str) -> None:
        self.home = home
        self.state = state
        self.url = ""
        self._environment = {
            **os.environ,
            "CAUSERIE_HOME": str(home),
            "CAUSERIE_STATE": str(state),
            "CAUSERIE_INDEX_LIBRARY": "false",
            **{f"CAUSERIE_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log = state.parent / "serve.log"

    def fails(self) -> tuple[int, str]:
        """Start one that cannot go on; return its exit code and what it printed."""
        self._launch()
        assert self._process is not None
        try:
            code = self._process.wait(timeout=START_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process = None
        return code, self.log()

    def start(self) -> float:
        """Start and wait until it is ready; return the seconds that took."""
        started = time.monotonic()
        self._launch()
        assert self._process is not None
        while time.monotonic() - started < START_TIMEOUT_S:
            if self._process.poll() is not None:
                pytest.fail(f"the server ended: {self.log()[-2000:]}")
            if self._is_ready():
                return time.monotonic() - started
            time.sleep(0.1)
        return pytest.fail(f"not ready after {START_TIMEOUT_S} s: {self.log()[-2000:]}")

    def _launch(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve", "--port", "0"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def _is_ready(self) -> bool:
        self.url = running_server(self.state) or ""
        try:
            return bool(self.url) and httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def log(self) -> str:
        """Return what the server printed so far."""
        return self._log.read_text(errors="replace")


@pytest.fixture(scope="session")
def live_server(
    models: ModelStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveService]:
    service = LiveService(models.home, tmp_path_factory.mktemp("live") / "state")
    service.start()
    yield service
    service.end()


_TEXT = (
    "The kettle switches itself off when the water boils. It holds one litre and a half."
    " Never open the kettle while it boils. Descale it once a month with vinegar."
)
_KETTLE = Document(
    uri="kettle.txt",
    title="Kettle",
    text=_TEXT,
    media_type="text/plain",
    source_sha256=sha256_hex(_TEXT.encode()),
)


@pytest.fixture(scope="session")
def kitchen_address(models: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server over the real models, with one document to be asked about."""
    settings = Settings(home=models.home, state=tmp_path_factory.mktemp("decoding"))
    application = build(settings)
    try:
        application.ingestor.ingest_documents([_KETTLE], "kitchen")
        with serving(application) as live:
            yield live.address
    finally:
        application.close()
