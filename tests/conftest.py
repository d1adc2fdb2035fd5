"""What holds for every test: own folders, strict numbers, no network, nothing skipped in CI.

Environment variables that change what runs:

    CAUSERIE_DATA              folder of public data sets; `../shared/data` if unset
    CAUSERIE_REQUIRE_WEIGHTS=1 tests marked `weights` fail where the default models are absent
    CAUSERIE_REQUIRE_DATA=1    tests that use `data_path` fail where the folder is absent
    CAUSERIE_REQUIRE_BROWSER=1 tests marked `browser` fail instead of being skipped
    CAUSERIE_REQUIRE_KERNELS=1 tests marked `kernels` fail where the kernels were not compiled
    CAUSERIE_REQUIRE_HNSWLIB=1 tests that use `hnswlib` fail where it does not work
    CAUSERIE_TEST_POSTGRES_URL a database of a PostgreSQL server in which tests may make schemas
    CAUSERIE_REQUIRE_POSTGRES=1 tests that use `postgres_url` fail where it is not set
    CAUSERIE_CHROMIUM          the browser to drive, if it is not on the PATH
"""

import importlib
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import numpy as np
import pytest

from api.settings import default_home
from index.hnsw_graphs import hnswlib_problem
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.model_store import PULL_COMMAND, ModelState, ModelStore
from llm.native.loader import kernel_paths

SEED = 20_240_613

# How long an example takes depends on who else is computing, and says nothing about the code.
hypothesis.settings.register_profile("causerie", deadline=None)
hypothesis.settings.load_profile("causerie")

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

_REAL_HOME = os.environ.get("CAUSERIE_HOME")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class SocketRefusedError(RuntimeError):
    """A test tried to reach another machine. Not an `OSError`: nobody may swallow it."""


# --- nothing required is skipped -------------------------------------------------------------


def _skip_or_fail(flag: str, reason: str) -> NoReturn:
    if os.environ.get(f"CAUSERIE_REQUIRE_{flag}") == "1":
        pytest.fail(f"{reason} (CAUSERIE_REQUIRE_{flag}=1)", pytrace=False)
    pytest.skip(reason)


def _real_store() -> ModelStore:
    return ModelStore(Path(_REAL_HOME) if _REAL_HOME else default_home())


def _require_models(store: ModelStore) -> None:
    for name in (DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL):
        if (state := store.info(name).state) is not ModelState.PRESENT:
            _skip_or_fail("WEIGHTS", f"model {name} is {state}; run {PULL_COMMAND}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run tests marked `weights` or `kernels` only where those are."""
    if item.get_closest_marker("weights") is not None:
        _require_models(_STORE)
    if item.get_closest_marker("kernels") is not None and not kernel_paths():
        _skip_or_fail("KERNELS", "the kernels were not compiled; install with a C++ compiler")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a browser test into a failure where a browser is required."""
    report = yield
    if (
        report.skipped
        and item.get_closest_marker("browser") is not None
        and os.environ.get("CAUSERIE_REQUIRE_BROWSER") == "1"
    ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (CAUSERIE_REQUIRE_BROWSER=1)"
    return report


# --- folders ---------------------------------------------------------------------------------

_STORE = _real_store()


@pytest.fixture(scope="session")
def models() -> ModelStore:
    """Return the store that holds the default models; its `home` serves as CAUSERIE_HOME."""
    _require_models(_STORE)
    return _STORE


@pytest.fixture(scope="session")
def data_path() -> Path:
    """Return the folder of public data sets."""
    named = os.environ.get("CAUSERIE_DATA")
    path = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        _skip_or_fail("DATA", f"no data folder {named or ''}; set CAUSERIE_DATA")
    return path.resolve()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Return the address of the PostgreSQL database for tests, each of which makes its schema."""
    url = os.environ.get("CAUSERIE_TEST_POSTGRES_URL")
    if not url:
        _skip_or_fail("POSTGRES", "no PostgreSQL server; set CAUSERIE_TEST_POSTGRES_URL")
    return url


@pytest.fixture(scope="session")
def hnswlib() -> None:
    """Skip where hnswlib could not be built."""
    problem = hnswlib_problem()
    if problem is not None:
        _skip_or_fail("HNSWLIB", problem)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the browser to drive."""
    named = os.environ.get("CAUSERIE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium on the PATH; install it or set CAUSERIE_CHROMIUM")
    return Path(found)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take the developer's settings away, also from fixtures that outlive a test."""
    kept = {"CAUSERIE_DATA", "CAUSERIE_CHROMIUM", "CAUSERIE_TEST_POSTGRES_URL"}
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if (
                name.startswith("CAUSERIE_")
                and name not in kept
                and not name.startswith("CAUSERIE_REQUIRE_")
            ):
                patch.delenv(name)
        patch.setenv("CAUSERIE_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def own_folders(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test a state folder, and one for models unless it works with the real ones."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    needs_weights = request.node.get_closest_marker("weights") is not None
    home = _STORE.home if needs_weights else tmp_path / "home"
    monkeypatch.setenv("CAUSERIE_HOME", str(home))


# --- numbers ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def strict_numerics() -> Iterator[None]:
    """Make torch deterministic, and put its defaults back after the test.

    A test that has not imported torch does not pay for it.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(dtype)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture
def generator() -> Any:
    """Return a seeded `torch.Generator`."""
    torch: Any = importlib.import_module("torch")  # only when asked for: it costs a second
    return torch.Generator().manual_seed(SEED)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded generator of numpy."""
    return np.random.default_rng(SEED)


# --- network ---------------------------------------------------------------------------------


def _is_here(host: object) -> bool:
    """Return whether an address needs neither a name server nor another machine."""
    if host is None or host in {"", "localhost", b"localhost"}:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guarded(original: Callable[..., Any], *, address_at: int) -> Callable[..., Any]:
    def guard(self: socket.socket, *args: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            address = args[address_at]
            if not _is_here(address[0]):
                raise SocketRefusedError(f"tests reach no further than loopback, got {address!r}")
        return original(self, *args)

    return guard


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse sockets to other machines and look-ups of their names."""
    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_here(host):
            raise SocketRefusedError(f"tests look up no name but localhost, got {host!r}")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        for name, address_at in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
            original = getattr(socket.socket, name)
            patch.setattr(socket.socket, name, _guarded(original, address_at=address_at))
        yield
