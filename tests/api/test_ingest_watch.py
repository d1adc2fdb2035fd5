"""`python -m api ingest --watch` as a process, whose collection is searched from here."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.cli.index_options import opened_store
from api.settings import Settings
from index.errors import UnknownCollectionError
from rag.testing import HashingEmbedder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


class Watched:
    """A folder, a process that follows it, and a look into the collection."""

    def __init__(self, folder: Path, state: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process
        self._settings = Settings(state=state, home=state / "home")

    def found(self, words: str) -> set[str]:
        """The uris that hold the words, by both lanes; asked again if a write came in between."""
        with opened_store(self._settings, "") as store:
            try:
                collection = store.open("pets")
            except UnknownCollectionError:
                return set()
            query = HashingEmbedder().encode([words], "query")[0]
            while True:
                nearest = collection.search(query, 50)
                by_words = collection.search_terms(f'"{words}"', 50)
                if nearest.seq == by_words.seq:
                    break
        near = {hit.uri for hit in nearest if words in hit.text}
        assert near == {hit.uri for hit in by_words}
        return near

    def becomes(self, words: str, uris: set[str]) -> None:
        """Wait until a search for the words finds these and no others."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.found(words)) != uris:
            assert self.process.poll() is None, "the process has ended"
            assert time.monotonic() < deadline, f"{words!r} is found in {found}, not in {uris}"
            time.sleep(0.1)

    def end(self, number: int) -> str:
        """Send a signal; return what the process printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err
        return out


@contextmanager
def watching(folder: Path, tmp_path: Path, *words: str) -> Iterator[Watched]:
    state = tmp_path / "watched-state"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.watching_process", "ingest", str(folder), "--collection",
         "pets", "--watch", *words],
        cwd=ROOT,
        env={**os.environ, "CAUSERIE_STATE": str(state), "CAUSERIE_HOME": str(state / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        yield Watched(folder, state, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.txt").write_text(f"The cat of {name} sleeps.")
    return folder


def test_files_that_come_change_and_go_are_found_so(folder: Path, tmp_path: Path) -> None:
    with watching(folder, tmp_path) as watched:
        watched.becomes("cat of a", {"notes/a.txt"})
        (folder / "new.txt").write_text("An owl hoots at night.")
        watched.becomes("owl hoots", {"notes/new.txt"})
        (folder / "new.txt").write_text("An eagle circles by day.")
        watched.becomes("eagle circles", {"notes/new.txt"})
        assert watched.found("owl hoots") == set()
        (folder / "sub").mkdir()
        (folder / "new.txt").rename(folder / "sub" / "bird.txt")
        watched.becomes("eagle circles", {"notes/sub/bird.txt"})
        (folder / "sub" / "bird.txt").unlink()
        watched.becomes("eagle circles", set())
        (folder / ".hidden.txt").write_text("A mole digs.")
        assert watched.found("mole digs") == set()
        lines = [line.split(" ", 1)[1] for line in watched.end(signal.SIGTERM).splitlines()]
    assert lines[:5] == [
        *(f"added notes/{n}.txt (1 chunk embedded, 0 reused)" for n in "abcd"),
        "pets: 4 added; chunks: 4 embedded, 0 reused; watching, Ctrl-C ends it",
    ]
    assert "added notes/new.txt (1 chunk embedded, 0 reused)" in lines
    assert "updated notes/new.txt (1 chunk embedded, 0 reused)" in lines
    renamed = "renamed notes/new.txt -> notes/sub/bird.txt (0 chunks embedded, 1 reused)"
    assert renamed in lines
    assert "removed notes/sub/bird.txt" in lines
    assert lines[-1] == "stopped"


def test_a_folder_that_vanishes_keeps_its_documents_and_is_followed_when_it_is_back(
    folder: Path, tmp_path: Path
) -> None:
    with watching(folder, tmp_path, "--json") as watched:
        watched.becomes("cat of d", {"notes/d.txt"})
        for name in ("a", "b", "c"):  # most of them, as when something is unmounted
            (folder / f"{name}.txt").unlink()
        (folder / "e.txt").write_text("A horse neighs.")
        watched.becomes("horse neighs", {"notes/e.txt"})
        assert watched.found("cat of a") == {"notes/a.txt"}
        shutil.rmtree(folder)
        time.sleep(2.5)
        assert watched.found("cat of d") == {"notes/d.txt"}
        folder.mkdir()
        for name in ("a", "b", "c", "d"):
            (folder / f"{name}.txt").write_text(f"The cat of {name} sleeps.")
        (folder / "f.txt").write_text("A goat bleats.")
        watched.becomes("goat bleats", {"notes/f.txt"})
        out = watched.end(signal.SIGINT)
    said = [json.loads(line) for line in out.splitlines()]
    messages = [one["message"] for one in said if "message" in one]
    assert any("nothing is removed" in message for message in messages)
    assert any("is gone: its documents stay" in message for message in messages)
    assert messages[-1] == "stopped"
    assert {one["uri"] for one in said if one.get("outcome") == "removed"} <= {"notes/e.txt"}
