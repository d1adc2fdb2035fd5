"""The child process that reads risky files: `python -m rag.parsing_worker`.

It waits for requests on its standard input and forks once for each, so that every file is read in
a fresh process with limits of its own and nothing of a hostile file stays behind, while the
libraries are imported once. A request is a line of JSON (`kind`, `num_bytes`, limits) and that many
bytes; the answer is a line of JSON, either `text`, `title` and `metadata`, or `error`.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from rag.errors import FailureCode, ParseError
from rag.loaders import optional_library, web_page
from rag.loaders.base import Loader
from rag.loaders.ebook import load_ebook
from rag.loaders.json_records import load_json, load_json_lines
from rag.loaders.pdf import load_pdf
from rag.loaders.presentation import load_presentation
from rag.loaders.spreadsheet import load_spreadsheet
from rag.loaders.web_page import load_web_page
from rag.loaders.word_document import load_word_document
from rag.sniffing import FileKind

LOADERS: dict[FileKind, Loader] = {
    FileKind.PDF: load_pdf,
    FileKind.WEB_PAGE: load_web_page,
    FileKind.WORD_DOCUMENT: load_word_document,
    FileKind.SPREADSHEET: load_spreadsheet,
    FileKind.PRESENTATION: load_presentation,
    FileKind.EBOOK: load_ebook,
    FileKind.JSON: load_json,
    FileKind.JSON_LINES: load_json_lines,
}
_WARM_UPS: dict[FileKind, Callable[[], None]] = {  # done once, before the first file of the kind
    FileKind.WEB_PAGE: web_page.warm_up,
    FileKind.SPREADSHEET: partial(optional_library.warm_up, "openpyxl"),
    FileKind.PRESENTATION: partial(optional_library.warm_up, "pptx"),
}
_MAX_OPEN_FILES = 64  # libraries may still open modules and data files of their own


def main() -> None:
    """Answer requests until the standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up among the answers
    requests = sys.stdin.buffer
    cold = dict(_WARM_UPS)
    while header := requests.readline():
        request = json.loads(header)
        data = requests.read(request["num_bytes"])
        if len(data) < request["num_bytes"]:
            return  # the parent died in the middle
        if (warm_up := cold.pop(FileKind(request["kind"]), None)) is not None:
            warm_up()
        answers.write(_answer_in_fork(request, data, requests, answers))
        answers.flush()


def _answer_in_fork(
    request: dict[str, Any], data: bytes, requests: BinaryIO, answers: BinaryIO
) -> bytes:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            for inherited in (requests, answers):
                os.close(inherited.fileno())
            _limit_resources(request)
            with os.fdopen(writing, "wb") as out:
                out.write(answer(request, data))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        line = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status == 0 and line.endswith(b"\n"):
        return line
    reason, code = _why(os.waitstatus_to_exitcode(status), request)
    return _line({"error": reason, "code": code})


def _limit_resources(request: dict[str, Any]) -> None:
    cpu_s, wall_s = request["cpu_s"], request["wall_s"]
    memory = request["memory_bytes"]
    for what, bound in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),  # it has nothing to write
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(what, (bound, bound + (what == resource.RLIMIT_CPU)))
    signal.alarm(wall_s)


def answer(request: dict[str, Any], data: bytes) -> bytes:
    """Return the answer to one request as a line of JSON; never raises for what `data` holds."""
    try:
        found = LOADERS[FileKind(request["kind"])](data)
        size = len(found.text.encode())
        if size > request["text_bytes"]:
            reason = too_much_text(size, request["text_bytes"])
            return _line({"error": reason, "code": FailureCode.TOO_LARGE})
        return _line({"text": found.text, "title": found.title, "metadata": dict(found.metadata)})
    except ParseError as error:
        return _line({"error": error.reason, "code": error.code})
    except MemoryError:
        return _line({"error": _needs_memory(request), "code": FailureCode.MEMORY})
    except RecursionError:
        return _line({"error": "its parts are nested too deeply"})
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything in a library
        return _line({"error": f"the reader failed on it: {type(error).__name__}: {error}"[:300]})


def too_much_text(size: int, limit: int) -> str:
    """Return the sentence about a file that holds more text than is read."""
    return f"its text has {size} bytes; at most {limit} are read: split it"


def _why(exit_code: int, request: dict[str, Any]) -> tuple[str, FailureCode]:
    if exit_code == -signal.SIGXCPU:
        took = f"reading it took more than {request['cpu_s']} s of processor time"
        return took, FailureCode.TIMEOUT
    if exit_code == -signal.SIGALRM:
        return f"reading it took more than {request['wall_s']} s", FailureCode.TIMEOUT
    if exit_code > 0:  # the answer itself did not fit
        return _needs_memory(request), FailureCode.MEMORY
    if exit_code == -signal.SIGKILL:
        killed = "the system killed the reader, most likely for want of memory"
        return killed, FailureCode.MEMORY
    return f"the reader crashed on it ({signal.Signals(-exit_code).name})", FailureCode.CORRUPT


def _needs_memory(request: dict[str, Any]) -> str:
    return f"reading it needs more than {request['memory_bytes'] // 2**20} MB of memory"


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True).encode() + b"\n"


if __name__ == "__main__":
    main()
