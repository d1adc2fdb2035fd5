import logging
import threading
from collections.abc import Iterator

import pytest

from api.application import Application
from api.testing import wait_until
from rag.document import Document, sha256_hex


def documents(num: int) -> Iterator[Document]:
    for i in range(num):
        text = f"Document number {i} speaks of cats."
        yield Document(
            uri=f"doc:{i}",
            title=f"Document {i}",
            text=text,
            media_type="text/plain",
            source_sha256=sha256_hex(text.encode()),
        )


def test_documents_are_indexed_while_progress_can_be_read(application: Application) -> None:
    with application.foreground.busy():
        application.background.start("docs", lambda: documents(40), label="library", total=40)
        assert wait_until(
            lambda: (p := application.background.progress("docs")) is not None and p.total >= 40
        )
        progress = application.background.progress("docs")
        assert progress is not None
        assert progress.label == "library"
    assert wait_until(lambda: application.background.progress("docs") is None)
    assert application.store.info("docs").num_documents == 40


def test_indexing_gives_way_to_chats(application: Application) -> None:
    with application.foreground.busy():
        application.background.start("docs", lambda: documents(40), label="library")
        assert not wait_until(
            lambda: application.background.progress("docs") is None, timeout_s=0.5
        )
    assert wait_until(lambda: application.background.progress("docs") is None)


def test_a_collection_is_indexed_once_at_a_time(application: Application) -> None:
    with application.foreground.busy():
        application.background.start("docs", lambda: documents(3), label="library")
        with pytest.raises(ValueError, match="already being indexed"):
            application.background.start("docs", lambda: documents(3), label="library")


def test_stopping_ends_the_threads_soon(application: Application) -> None:
    with application.foreground.busy():
        application.background.start("docs", lambda: documents(400), label="library")
        application.background.stop(timeout_s=5)
    assert not [t for t in threading.enumerate() if t.name == "indexing-docs"]
    application.background.start("docs", lambda: documents(1), label="late")
    assert application.background.progress("docs") is None


def test_a_failure_is_logged_and_harms_nothing_else(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[Document]:
        raise RuntimeError("no library here")

    caplog.set_level(logging.ERROR)
    application.background.start("docs", broken, label="library")
    assert wait_until(lambda: application.background.progress("docs") is None)
    assert wait_until(lambda: "no library here" in caplog.text)
    assert "library" in caplog.messages[0]


def test_stopping_while_a_thread_is_being_started_waits_for_it(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    stopping = threading.Thread(target=application.background.stop, name="stopping")
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)

    def slow_start(thread: threading.Thread) -> None:
        if thread.name == "indexing-docs":
            start(stopping)
            stopping.join(timeout=0.3)  # time enough to join a thread that was not started
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", slow_start)
    application.background.start("docs", lambda: documents(1), label="library")
    stopping.join(timeout=5)
    assert not failures
    assert application.background.progress("docs") is None
