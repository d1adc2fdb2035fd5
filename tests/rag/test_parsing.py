import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import parsing
from rag.document import sha256_hex
from rag.errors import ParseError
from rag.parsing import ParseLimits, parse, read_file
from rag.sniffing import FileKind
from tests.rag.office_files import ebook, presentation, spreadsheet
from tests.rag.sample_files import (
    WEB_PAGE,
    encrypted_pdf,
    looping_pdf,
    pdf,
    slow_pdf,
    word_document,
    zip_bomb,
)

HAS_PROC = Path("/proc/self/environ").exists()


@pytest.fixture
def fresh() -> Iterator[None]:
    """Children of this test's own."""
    parsing._processes.close()
    yield
    parsing._processes.close()


@pytest.mark.parametrize(
    ("data", "name", "title", "needle", "media_type"),
    [
        (b"plain words", "docs/notes.txt", "notes", "plain words", "text/plain"),
        (b"# A title\n\nwords", "notes.md", "A title", "# A title", "text/markdown"),
        (b"a,b\n1,x", "t.csv", "t", "a: 1", "text/csv"),
        (WEB_PAGE.encode(), "bees.html", "Keeping bees & wasps", "dense cluster", "text/html"),
        (pdf(["Hello there."]), "hello.pdf", "hello", "Hello there.", "application/pdf"),
        (word_document(), "v.docx", "Vacation policy", "thirty days", "application/vnd.openxml"),
        (spreadsheet(), "s.xlsx", "s", "Crop: Apples", "application/vnd.openxml"),
        (presentation(), "p.pptx", "Bees in winter", "dense cluster", "application/vnd.openxml"),
        (ebook(), "b.epub", "The year of the hive", "water near", "application/epub+zip"),
        (b'{"name": "Ann", "age": 3}', "a.json", "Ann", "age: 3", "application/json"),
        (b'{"age": 3}', "a.jsonl", "a", "age: 3", "application/jsonl"),
        (b"def f():\n    pass\n", "f.py", "f", "def f():", "text/x-python"),
        (b"fn main() {}", "main.rs", "main", "fn main", "text/x-source-code"),
    ],
)
def test_every_kind_becomes_a_document(
    data: bytes, name: str, title: str, needle: str, media_type: str
) -> None:
    document = parse(data, name)
    assert document.uri == name
    assert document.title == title
    assert needle in document.text
    assert document.media_type.startswith(media_type)
    assert document.source_sha256 == sha256_hex(data)


def test_a_path_is_read_like_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"the same")
    assert parse(path, "a.txt") == parse(b"the same", "a.txt")


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.txt", "the file is empty"),
        (b" \n\t", "a.txt", "the file holds no text"),
        (b"<html><body></body></html>", "a.html", "the file holds no text"),
        (random.Random(5).randbytes(5000), "a.txt", "the file is binary"),
        (encrypted_pdf(), "a.pdf", "the PDF is encrypted"),
        (pdf(["", ""]), "a.pdf", "the PDF has no text layer"),
        (pdf(["text"])[:300], "a.pdf", "the PDF is broken"),
        (looping_pdf(), "a.pdf", "the PDF"),
        (zip_bomb(), "a.docx", "zip bomb"),
        (word_document()[:5000], "a.docx", "the DOCX is broken"),
    ],
)
def test_a_broken_or_hostile_file_is_refused_with_one_sentence(
    data: bytes, name: str, reason: str
) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        parse(data, name)
    assert "\n" not in caught.value.reason
    assert len(caught.value.reason) < 400


def test_five_megabytes_on_one_line_are_read() -> None:
    assert len(parse(b"x" * 5_000_000, "a.txt").text) == 5_000_000


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path: Path) -> None:
    limits = ParseLimits(file_bytes=10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 11)
    for source in (path, b"x" * 11):
        with pytest.raises(ParseError, match="the file has 11 bytes; at most 10 are read"):
            parse(source, "a.txt", limits=limits)


@pytest.mark.parametrize("name", ["a.txt", "a.html"])
def test_more_text_than_allowed_is_refused(name: str) -> None:
    with pytest.raises(ParseError, match=r"its text has .* bytes; at most 20 are read"):
        parse(WEB_PAGE.encode(), name, limits=ParseLimits(text_bytes=20))


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="cpu_s must be >= 1, got 0"):
        ParseLimits(cpu_s=0)


# --- reading files ---------------------------------------------------------------------------


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="it cannot be opened: No such file"):
        read_file(tmp_path / "absent")
    with pytest.raises(ParseError, match="it is not a regular file"):
        read_file(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ParseError, match="it is not a regular file"):
        read_file(tmp_path / "pipe")


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
def test_a_file_that_grows_beyond_what_it_announces_is_refused() -> None:
    with pytest.raises(ParseError, match="the file has 6 bytes; at most 5 are read"):
        read_file(Path("/proc/self/environ"), limits=ParseLimits(file_bytes=5))


# --- the child process -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_read() -> None:
    data = slow_pdf()
    with pytest.raises(ParseError, match="took more than 1 s of processor time"):
        parse(data, "slow.pdf", limits=ParseLimits(cpu_s=1))
    process = parsing._processes._idle[0]
    with pytest.raises(ParseError, match=r"took more than 1 s$"):
        parse(data, "slow.pdf", limits=ParseLimits(wall_s=1))
    assert "Next." in parse(pdf(["Next."]), "next.pdf").text
    assert parsing._processes._idle == [process]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no address space")
@pytest.mark.usefixtures("fresh")
def test_a_file_that_needs_too_much_memory_is_given_up() -> None:
    with pytest.raises(ParseError, match=r"needs more than 1 MB of memory|crashed|failed"):
        parse(slow_pdf(), "big.pdf", limits=ParseLimits(memory_bytes=2**20))
    assert "Next." in parse(pdf(["Next."]), "next.pdf").text


@pytest.mark.usefixtures("fresh")
def test_a_child_that_hangs_is_killed_with_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_GRACE_S", 0.1)
    parse(pdf(["First."]), "first.pdf")
    (process,) = parsing._processes._idle
    os.kill(process._child.pid, signal.SIGSTOP)
    with pytest.raises(ParseError, match="reading it took over 1 s"):
        parse(pdf(["Second."]), "second.pdf", limits=ParseLimits(wall_s=1))
    assert process._child.returncode == -signal.SIGKILL
    assert parsing._processes._idle == []
    assert "Third." in parse(pdf(["Third."]), "third.pdf").text


@pytest.mark.usefixtures("fresh")
def test_a_child_that_died_while_it_waited_is_replaced() -> None:
    parse(pdf(["First."]), "first.pdf")
    (process,) = parsing._processes._idle
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    assert "Second." in parse(pdf(["Second."]), "second.pdf").text


@pytest.mark.usefixtures("fresh")
def test_a_child_that_dies_on_a_file_fails_this_file_only() -> None:
    process = parsing._Process()
    os.kill(process._child.pid, signal.SIGKILL)
    with pytest.raises(ParseError, match="the reader died on it"):
        process.load(FileKind.PDF, pdf(["x"]), ParseLimits())
    process.close()


@pytest.mark.usefixtures("fresh")
def test_many_threads_share_two_children() -> None:
    texts: list[str] = []

    def read(i: int) -> None:
        texts.append(parse(pdf([f"Number {i}."]), "a.pdf").text.strip())

    threads = [threading.Thread(target=read, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == [f"Number {i}." for i in range(6)]
    assert 1 <= len(parsing._processes._idle) <= 2


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
@pytest.mark.usefixtures("fresh")
def test_the_child_inherits_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_API_KEYS", "secret")
    parse(pdf(["x"]), "a.pdf")
    (process,) = parsing._processes._idle
    environment = Path(f"/proc/{process._child.pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"secret" not in environment


def test_the_child_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys, rag.parsing_worker; heavy = {'torch', 'faiss', 'numpy', 'sqlalchemy'};"
        " assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=parsing._ROOT)


@pytest.mark.usefixtures("fresh")
def test_a_child_that_is_interrupted_answers_no_other_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its late answer would have been taken for that of the next file."""

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(parsing._Process, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            parse(pdf(["First."]), "first.pdf")
    assert parsing._processes._idle == []
    assert "Second." in parse(pdf(["Second."]), "second.pdf").text


@pytest.mark.parametrize(
    "line", [b"[]", b'{"text": 1}', b'{"error": null}', b'"text"', b"{", b"\xff", b"\n"]
)
def test_an_answer_that_makes_no_sense_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError, match="no answer that makes sense"):
        parsing._extraction(line)


def test_an_answer_is_tidied_like_any_text() -> None:
    found = parsing._extraction(b'{"text": "a\\ud800\\u0000", "title": "b\\nc", "metadata": {}}')
    assert (found.text, found.title) == ("a\ufffd", "b c")
