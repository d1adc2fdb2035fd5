"""What a child answers, asked in this process where that is safe."""

import json
import signal
from typing import Any

import pytest

from rag import parsing_worker
from rag.loaders.base import Extraction
from rag.parsing_worker import answer
from rag.sniffing import FileKind
from tests.rag.sample_files import WEB_PAGE

LIMITS = {"cpu_s": 3, "wall_s": 5, "memory_bytes": 2**30, "text_bytes": 1000}
REQUEST = {"kind": "text/html", "num_bytes": 0, **LIMITS}


def test_an_answer_is_one_line_of_json() -> None:
    line = answer(REQUEST, WEB_PAGE.encode())
    assert line.count(b"\n") == 1
    assert "dense cluster" in json.loads(line)["text"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "needs more than 1024 MB of memory"),
        (RecursionError(), "nested too deeply"),
        (ZeroDivisionError("what?"), "the reader failed on it: ZeroDivisionError: what?"),
    ],
)
def test_whatever_a_library_raises_becomes_a_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def load(data: bytes) -> Extraction:
        raise error

    monkeypatch.setitem(parsing_worker.LOADERS, FileKind.WEB_PAGE, load)
    assert said in json.loads(answer(REQUEST, b""))["error"]


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (-signal.SIGXCPU, "more than 3 s of processor time"),
        (-signal.SIGALRM, "more than 5 s"),
        (-signal.SIGKILL, "the system killed the reader"),
        (-signal.SIGSEGV, "the reader crashed on it (SIGSEGV)"),
        (1, "more than 1024 MB of memory"),
    ],
)
def test_the_end_of_a_fork_says_which_limit_it_met(exit_code: int, said: str) -> None:
    request: dict[str, Any] = REQUEST
    assert said in parsing_worker._why(exit_code, request)[0]
