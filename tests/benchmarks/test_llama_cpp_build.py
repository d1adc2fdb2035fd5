import sys
from pathlib import Path

import pytest

from benchmarks.llama_cpp_build import PeerError, _run, build_folder, find, find_or_build


def test_without_a_compiler_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    said: list[str] = []
    with pytest.raises(PeerError, match=r"no C\+\+ compiler here; install one of c\+\+"):
        find_or_build(tmp_path / "peers", said.append)
    assert said == []


def test_only_a_finished_build_is_found(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    folder = build_folder(tmp_path)
    folder.mkdir()
    assert find(tmp_path) is None
    (folder / "built").touch()
    found = find_or_build(tmp_path, print)
    assert found == find(tmp_path)
    assert found.is_relative_to(folder)


def test_a_failed_command_tells_its_last_line_and_gives_all_lines_away() -> None:
    lines: list[str] = []
    script = "import sys; print('compiling'); print('no such header'); print(); sys.exit(3)"
    with pytest.raises(PeerError, match=r"ended with 3.*: no such header; the log"):
        _run([sys.executable, "-I", "-c", script], {}, lines.append)
    assert lines == ["compiling\n", "no such header\n", "\n"]
