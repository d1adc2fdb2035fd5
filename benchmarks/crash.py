"""Kills a writer again and again, and looks whether every acknowledged write is there, and whole.

A process works on a collection (ingest, delete, seal, compact, re-embed, purge) and notes in a
journal what it begins and what was acknowledged. SIGKILL comes at a random moment of an operation
of each kind in turn. Then the collection is opened and compared with the journal: all that was
acknowledged is there, the operation that was under way is there whole or not at all, nothing that
was deleted is found by vector or word, every score is that of its text, and `verify` finds nothing.

    python -m benchmarks.crash [--kills 240] [--flips 400] [--quick] [--json FILE]

Further: a disk that is full (a tmpfs of 2 MB, where this user may mount one), and one flipped byte
at a time in every file of a closed collection, which `verify` finds or which changes no answer.
Kills do not cut the power: that files are synced in the right order is not shown by this.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.crash_worker import (
    DIM,
    KINDS,
    NAME,
    NUM_URIS,
    Writer,
    create,
    document,
    vector_of,
    words_of,
)
from benchmarks.report import Figure, write
from index import tables
from index.database import checkpoint, open_database, writing
from index.errors import StorageFullError
from index.store import CollectionStore

State = dict[str, tuple[int, int]]  # uri → version, number of chunks
SEED = 20_250
QUERY = np.array([3, -1, 2, 1, -2, 1, 1, -3], np.float32)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of it. `wrong` are sentences."""

    kills: Counter[str] = field(default_factory=Counter)
    num_applied: int = 0
    num_acknowledged: int = 0
    reopen_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def fresh(folder: Path) -> str:
    url = f"sqlite:///{folder / 'causerie.sqlite'}"
    database = open_database(url)
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    database.dispose()
    create(url)
    return url


def found(url: str) -> tuple[set[tuple[str, str, float]], str]:
    """Return everything that the collection finds, and what is wrong with it by itself."""
    database = open_database(url)
    try:
        store = CollectionStore(database, threads=1)
        collection = store.open(NAME)
        hits = collection.search(QUERY, 100_000)
        seen = {(hit.uri, hit.text, hit.score) for hit in hits}
        problems = [p.what for p in store.maintenance(NAME).verify().problems]
        fingerprint = store.info(NAME).fingerprint
        for uri, text, score in seen:
            if score != float(QUERY @ vector_of(text, fingerprint)):
                problems.append(f"document {uri}: {text!r} has the score {score}")
        by_word = {
            hit.text for i in range(NUM_URIS) for hit in collection.search_terms(f"doc{i}", 99)
        }
        if by_word != {text for _, text, _ in seen}:
            problems.append("words and vectors find different chunks")
        if len(hits) != len(seen):
            problems.append("a chunk is found twice")
        store.close()
        return seen, "; ".join(problems)
    finally:
        database.dispose()


def texts_of(state: State) -> set[tuple[str, str]]:
    return {
        (uri, text) for uri, (version, n) in state.items() for text in words_of(uri, version, n)
    }


def after(state: State, kind: str, about: object) -> State:
    if kind == "ingest":
        assert isinstance(about, dict)
        return state | {uri: (version, n) for uri, (version, n) in about.items()}
    if kind in {"delete", "purge"}:
        return {uri: value for uri, value in state.items() if uri != about}
    return state


def read_journal(journal: Path, state: State, tally: Tally) -> tuple[State, State, str]:
    """Return the acknowledged state, that with the operation under way, and its kind."""
    pending: tuple[str, object] | None = None
    for line in journal.read_text().splitlines():
        what, kind, about = json.loads(line)
        if what == "begin":
            pending = (kind, about)
        elif pending is not None:
            state = after(state, *pending)
            pending = None
            tally.num_acknowledged += 1
    if pending is None:
        return state, state, "between"
    return state, after(state, *pending), pending[0]


def killed(url: str, journal: Path, kind: str, rng: random.Random, seed: int, wait: float) -> None:
    """Run a writer, and kill it while it is at an operation of this kind."""
    journal.write_bytes(b"")
    child = os.fork()
    if not child:
        try:
            Writer(url, journal, seed).work(kind)
        finally:
            os._exit(1)
    wanted = rng.randint(1, 3)
    until = time.monotonic() + 60
    mark = f'["begin", "{kind}"'.encode()
    while journal.read_bytes().count(mark) < wanted and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(rng.random() * wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def run(folder: Path, num_kills: int, seed: int, say: Callable[[str], None] = print) -> Tally:
    """Kill `num_kills` writers of one collection, kind after kind."""
    rng, tally, state = random.Random(seed), Tally(), State()
    url, journal = fresh(folder), folder / "journal"
    for i in range(num_kills):
        kind = KINDS[i % len(KINDS)]
        # Operations take some milliseconds to some ten of them here; both ends are wanted.
        killed(url, journal, kind, rng, seed + i, rng.choice([0.004, 0.02, 0.06]))
        before, applied, at = read_journal(journal, state, tally)
        tally.kills[at] += 1
        began = time.perf_counter()
        seen, problems = found(url)
        tally.reopen_s.append(time.perf_counter() - began)
        texts = {(uri, text) for uri, text, _ in seen}
        if texts == texts_of(applied):
            tally.num_applied += texts != texts_of(before)
            state = applied
        elif texts == texts_of(before):
            state = before
        else:
            tally.wrong.append(f"kill {i} in {at}: neither the state before nor the one after")
            break
        if problems:
            tally.wrong.append(f"kill {i} in {at}: {problems}")
        if i % 20 == 19:
            say(f"{i + 1} kills, {len(tally.wrong)} wrong")
    return tally


@contextmanager
def small_disk(num_bytes: int) -> Iterator[Path | None]:
    """Give a folder on a disk of its own, None where this user may not mount one."""
    folder = Path(tempfile.mkdtemp())
    options = ["-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)]
    mount, umount = shutil.which("mount"), shutil.which("umount")
    done = mount and subprocess.run([mount, *options], capture_output=True, check=False)  # noqa: S603
    if not done or done.returncode or not umount:
        folder.rmdir()
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)  # noqa: S603
        folder.rmdir()


def full_disk(num_bytes: int = 2_500_000) -> list[str] | None:
    """Write until the disk is full; return what is wrong then, None where it cannot be tried."""
    with small_disk(num_bytes) as folder:
        if folder is None:
            return None
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(400_000))
        url, wrong = fresh(folder), list[str]()
        # What was refused after its commit may be there; nothing that was acknowledged is lost.
        possible: dict[str, list[int]] = {}
        database = open_database(url)
        store = CollectionStore(database, threads=1)
        collection = store.open(NAME)
        num_refused = 0
        for i in range(10_000):
            uri = str(i % NUM_URIS)
            try:
                collection.upsert_many([document(uri, i, 12, "e0")], fingerprint="e0")
                possible[uri] = [i]
                if i % 10 == 9:
                    store.maintenance(NAME).compact()
            except StorageFullError:
                possible.setdefault(uri, [-1]).append(i)
                num_refused += 1
            if num_refused > 5:
                break
        else:
            wrong.append("the disk was never full")
        hits = {(hit.uri, hit.text) for hit in collection.search(QUERY, 100_000)}
        for uri, versions in possible.items():
            texts = {text for other, text in hits if other == uri}
            if texts not in [set(words_of(uri, v, 12 if v >= 0 else 0)) for v in versions]:
                wrong.append(f"document {uri} is not as it was acknowledged on a full disk")
        ballast.unlink()
        collection.upsert_many([document("0", 99_999, 12, "e0")], fingerprint="e0")
        hits = {(hit.uri, hit.text) for hit in collection.search(QUERY, 100_000)}
        if {text for uri, text in hits if uri == "0"} != set(words_of("0", 99_999, 12)):
            wrong.append("nothing can be written though there is room again")
        database.dispose()
        with tempfile.TemporaryDirectory() as roomy:
            shutil.copytree(folder, Path(roomy) / "state")
            seen, problems = found(f"sqlite:///{roomy}/state/causerie.sqlite")
            if {(uri, text) for uri, text, _ in seen} != hits or problems:
                wrong.append(f"after the disk was full: {problems or 'another state'}")
        return wrong


def answers(url: str) -> tuple[object, bool]:
    """Return all that the collection answers, and whether it calls itself clean."""
    database = open_database(url)
    try:
        store = CollectionStore(database, threads=1)
        is_clean = store.maintenance(NAME).verify().is_clean
        collection = store.open(NAME)
        said = (
            collection.search(QUERY, 100_000).hits,
            [collection.search_terms(f"doc{i}", 99).hits for i in range(NUM_URIS)],
            [collection.get(record.id) for record in collection.documents(10_000)],
        )
        return said, is_clean
    finally:
        database.dispose()


def flipped(folder: Path, num_flips: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Flip a byte at a time in files of a closed collection; return outcomes and what is wrong."""
    rng = random.Random(seed)
    source = folder / "whole"
    url = fresh(source)
    database = open_database(url)
    store = CollectionStore(database, threads=1)
    collection = store.open(NAME)
    for i in range(40):
        collection.upsert_many([document(str(i % 16), i, 5, "e0")], fingerprint="e0")
        if i == 25:
            store.maintenance(NAME).compact()
    checkpoint(database)
    database.dispose()
    expected, is_clean = answers(url)
    assert is_clean
    files = [p for p in sorted(source.rglob("*")) if p.is_file() and p.stat().st_size]
    main = source / "causerie.sqlite"
    plan = [main] * num_flips + [
        p for p in files if p != main for _ in range(max(1, num_flips // 20))
    ]
    outcomes, wrong = Counter[str](), list[str]()
    for path in plan:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        target = copy / path.relative_to(source)
        data = bytearray(target.read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        target.write_bytes(data)
        where = f"byte {at} of {path.name}"
        outcomes[outcome_of(f"sqlite:///{copy / main.name}", expected, where, wrong)] += 1
    return outcomes, wrong


def outcome_of(url: str, expected: object, where: str, wrong: list[str]) -> str:
    try:
        said, is_clean = answers(url)
    except Exception:  # noqa: BLE001  # it does not open or answer any more, and says so
        return "refused"
    if not is_clean:
        return "found by verify"
    if said == expected:
        return "harmless"
    wrong.append(f"{where} changes an answer, and nothing finds it")
    return "missed"


def none_of(name: str, value: float) -> Figure:
    return Figure(name=name, value=value, unit="", target=0, higher_is_better=False)


def figures_of(tally: Tally, full: list[str] | None, flips: Counter[str]) -> list[Figure]:
    rows = [
        Figure(name="kills", value=sum(tally.kills.values()), unit="", target=200),
        *(Figure(name=f"kills in {k}", value=n, unit="") for k, n in sorted(tally.kills.items())),
        none_of("states that are wrong after a kill", len(tally.wrong)),
        Figure(name="acknowledged operations", value=tally.num_acknowledged, unit=""),
        Figure(name="operations that were complete when killed", value=tally.num_applied, unit=""),
        Figure(
            name="opening, comparing and verifying afterwards",
            value=statistics.median(tally.reopen_s), unit="s",
            spread=(min(tally.reopen_s), max(tally.reopen_s)),
        ),
    ]  # fmt: skip
    if full is not None:
        rows.append(none_of("states that are wrong on a full disk", len(full)))
    outcomes = ("found by verify", "refused", "harmless")
    rows += [Figure(name=f"flipped bytes {o}", value=flips[o], unit="") for o in outcomes]
    return [*rows, none_of("flipped bytes missed", flips["missed"])]


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill writers; see the module's docstring.")
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="12 kills and 20 flips")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    kills, flips = (12, 20) if arguments.quick else (arguments.kills, arguments.flips)
    with tempfile.TemporaryDirectory() as folder:
        tally = run(Path(folder), kills, SEED)
    full = full_disk()
    with tempfile.TemporaryDirectory() as folder:
        outcomes, missed = flipped(Path(folder), flips, SEED)
    for sentence in [*tally.wrong, *(full or []), *missed]:
        print(sentence)
    rows = figures_of(tally, full, outcomes)
    print("| what | value | wanted |\n|---|---|---|")
    for row in rows:
        wanted = "" if row.target is None else f"{row.target:g}"
        print(f"| {row.name} | {row.value:g} {row.unit} | {wanted} |")
    if arguments.json:
        write(arguments.json, rows, threads=1, seed=SEED)


if __name__ == "__main__":
    assert len(QUERY) == DIM
    main()
