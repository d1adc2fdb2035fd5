"""Writers, readers and upkeep at once, in threads and processes, with a history that is checked.

Every writer has documents of its own, whose versions count up; it notes when each write began and
when it was acknowledged. Readers in several processes, each with several threads, note when a
search began and ended and which versions it found. Afterwards every search must fit the history:

- a document is found whole, in one version, or not at all;
- that version was begun before the search ended, and none later was acknowledged before it began;
- no reader goes back from a version to an earlier one.

    python -m benchmarks.stress [--seconds 60] [--json FILE]
"""

import argparse
import json
import os
import random
import tempfile
import threading
import time
import traceback
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.crash import QUERY, fresh
from benchmarks.crash_worker import NAME, document
from benchmarks.report import Figure, write
from index.database import open_database
from index.sealing import Sealing
from index.store import CollectionStore

WRITERS, READERS, THREADS = 2, 2, 2
URIS = 4  # of each writer
CHUNKS = 3
SEED = 7
Event = list[Any]


def writer(
    store: CollectionStore, number: int, until: float, note: Callable[[Event], None]
) -> None:
    """Store and delete; an odd version is a document, an even one that it is gone."""
    rng, collection = random.Random(number), store.open(NAME)
    versions = dict.fromkeys((f"{number}-{i}" for i in range(URIS)), 0)
    while time.monotonic() < until:
        uri = rng.choice(list(versions))
        is_there = versions[uri] % 2 == 1
        version = versions[uri] + (1 if is_there and rng.random() < 0.3 else 2 - (not is_there))
        began = time.monotonic()
        if version % 2:
            collection.upsert_many([document(uri, version, CHUNKS, "e0")], fingerprint="e0")
        else:
            record = collection.find(uri)
            assert record is not None
            collection.delete(record.id)
        note(["write", uri, version, began, time.monotonic()])
        versions[uri] = version


def reader(store: CollectionStore, name: str, until: float, note: Callable[[Event], None]) -> None:
    """Search for everything."""
    collection = store.open(NAME)
    while time.monotonic() < until:
        began = time.monotonic()
        hits = collection.search(QUERY, 10_000)
        found: dict[str, list[str]] = {}
        for hit in hits:
            found.setdefault(hit.uri, []).append(hit.text.split()[1].removeprefix("version"))
        note(["read", name, began, time.monotonic(), found])


def upkeep(store: CollectionStore, until: float, note: Callable[[Event], None]) -> None:
    """Seal and compact without a pause."""
    live = store.open(NAME)._live  # noqa: SLF001  # its files, as the upkeep has them
    sealing = Sealing(store._database, live.key, live.folder, threads=1)  # noqa: SLF001
    while time.monotonic() < until:
        done = sealing.run(fewest=4, wait=True)
        note(["upkeep", done.num_sealed, done.num_merged])
        time.sleep(0.01)


def process(url: str, path: Path, jobs: list[Callable[..., None]]) -> int:
    """Run jobs in threads of a process of their own; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        database = open_database(url)
        store = CollectionStore(database, threads=1)
        events: list[Event] = []
        failures: list[str] = []

        def guarded(job: Callable[..., None]) -> None:
            try:
                job(store, events.append)
            except BaseException as error:  # noqa: BLE001  # told to the parent
                failures.append("".join(traceback.format_exception(error)))

        threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        path.write_text(json.dumps({"events": events, "failures": failures}))
        status = 0
    finally:
        os._exit(status)


def record(folder: Path, seconds: float) -> tuple[list[Event], list[str]]:
    """Return everything that happened, and what failed."""
    url = fresh(folder)
    until = time.monotonic() + seconds
    groups: list[list[Callable[..., None]]] = [
        [lambda store, note, i=i: writer(store, i, until, note)] for i in range(WRITERS)
    ]
    groups += [
        [lambda store, note, n=f"{i}.{j}": reader(store, n, until, note) for j in range(THREADS)]
        for i in range(READERS)
    ]
    groups.append([lambda store, note: upkeep(store, until, note)])
    paths = [folder / f"events{i}.json" for i in range(len(groups))]
    children = [process(url, path, jobs) for path, jobs in zip(paths, groups, strict=True)]
    for child in children:
        os.waitpid(child, 0)
    events, failures = list[Event](), list[str]()
    for path in paths:
        if not path.is_file():
            failures.append(f"the process of {path.name} ended early")
            continue
        said = json.loads(path.read_text())
        events += said["events"]
        failures += said["failures"]
    return events, failures


def wrong_reads(events: list[Event]) -> list[str]:
    """Return the searches that do not fit the writes, as sentences."""
    writes: dict[str, list[tuple[int, float, float]]] = {}
    for _, uri, version, began, ended in (e for e in events if e[0] == "write"):
        writes.setdefault(uri, []).append((version, began, ended))
    wrong, last = list[str](), dict[tuple[str, str], int]()
    for _, name, began, ended, found in sorted(
        (e for e in events if e[0] == "read"), key=lambda e: float(e[2])
    ):
        for uri in set(writes) | set(found):
            history = writes.get(uri, [])
            seen = set(found.get(uri, []))
            acknowledged = bisect_left([end for _, _, end in history], began)
            low = history[acknowledged - 1][0] if acknowledged else 0
            begun = [version for version, begin, _ in history if begin <= ended]
            possible = {low, *(version for version in begun if version >= low)}
            if len(seen) > 1 or (seen and len(found[uri]) != CHUNKS):
                wrong.append(f"{name} found a part of {uri}: {found[uri]}")
                continue
            version = int(seen.pop()) if seen else _gone(possible, last.get((name, uri), 0))
            if version not in possible:
                wrong.append(f"{name} found version {version} of {uri}, possible were {possible}")
            elif version < last.get((name, uri), 0):
                wrong.append(f"{name} went back to version {version} of {uri}")
            else:
                last[name, uri] = version
    return wrong


def _gone(possible: set[int], last: int) -> int:
    """Return the earliest version in which the document was not there, -1 where there was none."""
    return min((v for v in possible if v % 2 == 0 and v >= last), default=-1)


def run(folder: Path, seconds: float) -> tuple[list[Figure], list[str]]:
    """Return figures, and everything that is wrong."""
    events, failures = record(folder, seconds)
    wrong = failures + wrong_reads(events)
    counts = {kind: sum(e[0] == kind for e in events) for kind in ("write", "read", "upkeep")}
    sealed = sum(e[1] > 0 for e in events if e[0] == "upkeep")
    return [
        Figure(name=f"searches of {READERS * THREADS} readers", value=counts["read"], unit=""),
        Figure(name=f"writes of {WRITERS} writers", value=counts["write"], unit=""),
        Figure(name="generations of files", value=sealed, unit=""),
        Figure(
            name="searches that do not fit the history, and failures",
            value=len(wrong), unit="", target=0, higher_is_better=False,
        ),
    ], wrong  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Write and read at once; see the module's top.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, wrong = run(Path(folder), arguments.seconds)
    print("\n".join(wrong[:20]))
    for row in rows:
        print(f"{row.name}: {row.value:g}")
    if arguments.json:
        write(arguments.json, rows, threads=1, seed=SEED)


if __name__ == "__main__":
    main()
