"""Files to documents: sniff the kind, then run its loader, the risky ones in a limited process.

Text, Markdown, CSV and source code are read here. All other kinds go through libraries that a
hostile file may drive into endless loops or all of the memory: `rag.parsing_worker` reads them.
"""

import atexit
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rag.document import Document, sha256_hex
from rag.errors import FailureCode, ParseError
from rag.loaders.base import Extraction, Loader, one_line, tidy
from rag.loaders.markdown import load_markdown
from rag.loaders.plain_text import load_plain_text
from rag.loaders.source_code import load_python, load_source_code
from rag.loaders.table import load_table
from rag.sniffing import FileKind, sniff

_LOADERS_HERE: dict[FileKind, Loader] = {
    FileKind.PLAIN_TEXT: load_plain_text,
    FileKind.MARKDOWN: load_markdown,
    FileKind.TABLE: load_table,
    FileKind.PYTHON: load_python,
    FileKind.SOURCE_CODE: load_source_code,
}
_GRACE_S = 5.0  # for starting the child and passing data, beside what reading may take
_MAX_PROCESSES = 2
_ESCAPES = 6  # JSON writes a character of one byte as at most `\u0000`
_ROOT = Path(__file__).resolve().parent.parent
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """How big a file may be and what reading it may cost."""

    file_bytes: int = 100_000_000
    text_bytes: int = 50_000_000
    cpu_s: int = 60
    wall_s: int = 90
    memory_bytes: int = 2**30

    def __post_init__(self) -> None:
        for name in ("file_bytes", "text_bytes", "cpu_s", "wall_s", "memory_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")


DEFAULT_LIMITS = ParseLimits()


def parse(source: Path | bytes, name: str, *, limits: ParseLimits = DEFAULT_LIMITS) -> Document:
    """Return the document in `source`, a file or its content; `name` becomes its uri.

    Raises:
        ParseError: it cannot be read; `reason` is one sentence.
    """
    data = read_file(source, limits=limits) if isinstance(source, Path) else source
    if len(data) > limits.file_bytes:
        raise _too_big(len(data), limits)
    kind = sniff(data, name)
    loader = _LOADERS_HERE.get(kind)
    found = loader(data) if loader is not None else _processes.load(kind, data, limits)
    if not found.text.strip():
        raise ParseError("the file holds no text", FailureCode.EMPTY)
    if (size := len(found.text.encode())) > limits.text_bytes:
        raise ParseError(
            f"its text has {size} bytes; at most {limits.text_bytes} are read: split it",
            FailureCode.TOO_LARGE,
        )
    return Document(
        uri=name,
        title=found.title or PurePosixPath(name).stem or name,
        text=found.text,
        media_type=kind.value,
        source_sha256=sha256_hex(data),
        metadata=found.metadata,
    )


def read_file(path: Path, *, limits: ParseLimits = DEFAULT_LIMITS) -> bytes:
    """Return the content of a regular file.

    Raises:
        ParseError: it cannot be opened, is a device or a pipe, or is too big.
    """
    try:
        # Opening a pipe would wait for a writer: hence not blocking, and the check comes after.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ParseError("it is not a regular file", FailureCode.UNREADABLE)
            if status.st_size > limits.file_bytes:
                raise _too_big(status.st_size, limits)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limits.file_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = f"it cannot be opened: {error.strerror or error}"
        raise ParseError(reason, FailureCode.UNREADABLE) from error
    if len(data) > limits.file_bytes:
        raise _too_big(len(data), limits)
    return data


def _too_big(size: int, limits: ParseLimits) -> ParseError:
    reason = f"the file has {size} bytes; at most {limits.file_bytes} are read"
    return ParseError(reason, FailureCode.TOO_LARGE)


class _Process:
    """One child of `rag.parsing_worker`; unusable once `load` has killed it."""

    def __init__(self) -> None:
        environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        known = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *([known] if known else [])])
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "rag.parsing_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,  # no keys and no secrets of ours
            start_new_session=True,  # so that it and its forks can be killed as one group
        )
        self.is_alive = True

    def load(self, kind: FileKind, data: bytes, limits: ParseLimits) -> Extraction:
        """Return what the child found in `data`."""
        timer = threading.Timer(limits.wall_s + _GRACE_S, self.kill)
        timer.start()
        try:
            line = self._ask(kind, data, limits)
        except OSError:  # the pipe broke: the child was killed or died
            line = b""
        except BaseException:  # interrupted: its answer must not be taken for the next file's
            self.kill()
            raise
        finally:
            timer.cancel()
            timer.join()
        if not line.endswith(b"\n"):
            was_alive = self.is_alive
            self.kill()
            if was_alive:
                raise ParseError("the reader died on it")
            raise ParseError(f"reading it took over {limits.wall_s} s", FailureCode.TIMEOUT)
        return _extraction(line)

    def _ask(self, kind: FileKind, data: bytes, limits: ParseLimits) -> bytes:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        request = {
            "kind": kind.value,
            "num_bytes": len(data),
            "cpu_s": limits.cpu_s,
            "wall_s": limits.wall_s,
            "memory_bytes": limits.memory_bytes,
            "text_bytes": limits.text_bytes,
        }
        self._child.stdin.write(json.dumps(request).encode() + b"\n")
        self._child.stdin.write(data)
        self._child.stdin.flush()
        return self._child.stdout.readline(_ESCAPES * limits.text_bytes + 2**20)

    def is_running(self) -> bool:
        """Return whether the child waits for a file."""
        return self.is_alive and self._child.poll() is None

    def kill(self) -> None:
        """Kill the child and its forks; harmless when they are gone."""
        if not self.is_alive:
            return
        self.is_alive = False
        if self._child.returncode is None:  # not yet waited for: the id is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def close(self) -> None:
        """Kill the child and give its pipes back."""
        self.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # unsent bytes of a child that is gone
                pipe.close()


class _Processes:
    """At most two children, started when needed and kept for the next file."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_MAX_PROCESSES)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def load(self, kind: FileKind, data: bytes, limits: ParseLimits) -> Extraction:
        with self._free:
            process = self._take()
            try:
                return process.load(kind, data, limits)
            finally:
                if process.is_alive:
                    with self._lock:
                        self._idle.append(process)
                else:
                    process.close()

    def _take(self) -> _Process:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_running():
                    return process
                process.close()  # somebody killed it while it waited
        return _Process()

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()


def _extraction(line: bytes) -> Extraction:
    """Check an answer: it comes from a process that has read a hostile file."""
    try:
        answer: Any = json.loads(line)
    except ValueError:
        answer = None
    match answer:
        case {"error": str(reason), **rest}:
            said = str(rest.get("code"))
            code = FailureCode(said) if said in set(FailureCode) else FailureCode.CORRUPT
            raise ParseError(one_line(reason, max_chars=400), code)
        case {"text": str(text), "title": str(title), "metadata": dict(metadata)}:
            facts = {str(k): v for k, v in metadata.items() if isinstance(v, str | int)}
            return Extraction(text=tidy(text), title=one_line(title), metadata=facts)
    raise ParseError("the reader gave no answer that makes sense")


_processes = _Processes()
atexit.register(_processes.close)
