import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h11
import httpx
import pytest

from api.client import RemoteDesk, upload_name
from rag.ingest_report import FileReport, Outcome, Progress
from rag.source_files import source_files
from tests.api.conftest import LiveServer

Handler = Callable[[httpx.Request], httpx.Response]

DONE = (
    'data: {"object": "list", "data": [{"name": "n", "outcome": "added", "reason": "",'
    ' "document_id": "d", "num_chunks": 1}]}\n\ndata: [DONE]\n\n'
)
BUSY = {"error": {"message": "busy", "code": "database_busy"}}


def ingest(desk: RemoteDesk, *paths: Path) -> list[FileReport]:
    def ignore(_: Progress) -> None:
        pass

    files = source_files(paths)
    return list(desk.ingest(files, "pets", on_progress=ignore, cancel=threading.Event()))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"{i}.txt" for i in range(6)]
    for path in made:
        path.write_text(f"The cat number {path.stem} sleeps.")
    return made


def desk_of(upload: Handler) -> RemoteDesk:
    def answer(request: httpx.Request) -> httpx.Response:
        return upload(request) if request.method == "POST" else httpx.Response(200, json={})

    return RemoteDesk("http://127.0.0.1:9", api_key=None, transport=httpx.MockTransport(answer))


def outcomes(reports: Sequence[FileReport]) -> list[Outcome]:
    return [report.outcome for report in reports]


@pytest.fixture
def desk(live: LiveServer) -> Iterator[RemoteDesk]:
    opened = RemoteDesk(live.address, api_key=None)
    yield opened
    opened.close()


def test_a_pipe_is_refused_and_not_waited_for(desk: RemoteDesk, tmp_path: Path) -> None:
    pipe, good = tmp_path / "pipe.txt", tmp_path / "a.txt"
    os.mkfifo(pipe)
    good.write_text("The cat sleeps.")
    reports = ingest(desk, pipe, good)
    assert outcomes(reports) == [Outcome.FAILED, Outcome.ADDED]
    assert reports[0].reason == "it is not a regular file"


@pytest.mark.parametrize(
    "error",
    [
        h11.LocalProtocolError("Too little data for declared Content-Length"),
        httpx.LocalProtocolError("illegal header value"),
        httpx.ReadTimeout("timed out"),
        httpx.DecodingError("damaged"),
    ],
)
def test_a_transport_error_fails_one_file_and_keeps_the_other_reports(
    files: list[Path], error: Exception
) -> None:
    def upload(request: httpx.Request) -> httpx.Response:
        if b"1.txt" in request.read():
            raise error
        return httpx.Response(200, text=DONE)

    reports = ingest(desk_of(upload), *files[:3])
    assert outcomes(reports) == [Outcome.ADDED, Outcome.FAILED, Outcome.ADDED]
    assert str(error) in reports[1].reason


def test_a_server_error_fails_one_file(files: list[Path]) -> None:
    def upload(request: httpx.Request) -> httpx.Response:
        if b"0.txt" in request.read():
            return httpx.Response(500, json={"error": {"message": "the server failed"}})
        return httpx.Response(200, text=DONE)

    reports = ingest(desk_of(upload), *files[:2])
    assert outcomes(reports) == [Outcome.FAILED, Outcome.ADDED]
    assert reports[0].reason == "the server failed"


@pytest.mark.parametrize(
    "busy",
    [
        (503, json.dumps(BUSY), {"retry-after": "0"}),
        (200, f"data: {json.dumps(BUSY)}\n\n", {}),  # noticed once the stream had begun
    ],
)
def test_a_busy_server_is_asked_again_a_few_times(
    files: list[Path], busy: tuple[int, str, dict[str, str]]
) -> None:
    num_asked = 0
    status, text, headers = busy

    def upload(request: httpx.Request) -> httpx.Response:
        nonlocal num_asked
        num_asked += 1
        if num_asked <= 2:
            return httpx.Response(status, text=text, headers=headers)
        return httpx.Response(200, text=DONE)

    assert outcomes(ingest(desk_of(upload), files[0])) == [Outcome.ADDED]
    assert num_asked == 3


def test_a_server_that_stays_busy_is_given_up(files: list[Path]) -> None:
    num_asked = 0

    def upload(request: httpx.Request) -> httpx.Response:
        nonlocal num_asked
        num_asked += 1
        return httpx.Response(503, json=BUSY, headers={"retry-after": "0"})

    reports = ingest(desk_of(upload), files[0])
    assert outcomes(reports) == [Outcome.FAILED]
    assert reports[0].reason == "busy"
    assert num_asked == 5


def test_a_server_that_is_gone_is_not_asked_for_every_file(files: list[Path]) -> None:
    num_asked = 0

    def upload(request: httpx.Request) -> httpx.Response:
        nonlocal num_asked
        num_asked += 1
        raise httpx.ConnectError("refused")

    reports = ingest(desk_of(upload), *files)
    assert outcomes(reports) == [Outcome.FAILED] * 6
    assert "was not sent" in reports[-1].reason
    assert num_asked == 3


def test_two_files_of_one_name_are_told_apart_as_a_local_run_does(
    desk: RemoteDesk, tmp_path: Path
) -> None:
    for folder, text in (("one", "The cat sleeps."), ("two", "A dog barks.")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(text)
    reports = ingest(desk, tmp_path / "one" / "a.txt", tmp_path / "two" / "a.txt")
    assert outcomes(reports) == [Outcome.ADDED, Outcome.FAILED]
    assert "give the folder" in reports[1].reason


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        (b"caf\xe9.txt", "caf%E9.txt"),
        (b"a\\b.txt", "a%5Cb.txt"),
        (b"a\nb.txt", "a%0Ab.txt"),
        (b'a"b.txt', "a%22b.txt"),
        (b"C:a.txt", "C%3Aa.txt"),
        (b" a.txt", "%20a.txt"),
        ("\u00fc 100%.txt".encode(), "\u00fc 100%.txt"),
    ],
)
def test_a_name_that_http_cannot_carry_is_spelled_out(
    desk: RemoteDesk, live: LiveServer, tmp_path: Path, name: bytes, spelled: str
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    path = folder / os.fsdecode(name)
    path.write_text("The cat sleeps.")
    assert [upload_name(file) for file in source_files([folder])] == [f"notes/{spelled}"]
    reports = ingest(desk, path, folder)
    assert [(r.uri, r.outcome) for r in reports] == [
        (spelled, Outcome.ADDED),
        (f"notes/{spelled}", Outcome.ADDED),
    ]


def test_a_file_without_a_suffix_that_is_no_text_is_passed_over(
    desk: RemoteDesk, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "core").write_bytes(b"\x00\x01\x02" * 50)
    (folder / ".hidden").write_text("x")
    assert outcomes(ingest(desk, folder)) == [Outcome.SKIPPED, Outcome.SKIPPED]
