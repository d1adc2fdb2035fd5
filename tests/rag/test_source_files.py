import os
from pathlib import Path

import pytest

from rag.source_files import source_files, upload_uri


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "..", "../../etc/passwd", "a/b.txt", "/etc/passwd", "C:\\x", "c:x", "a\\b",
        "a\0.txt", "a\n.txt", "\x7f", "\ud800.txt", "x" * 256, "é" * 128,
    ],
)  # fmt: skip
def test_a_name_that_is_no_plain_base_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match="uploaded file") as caught:
        upload_uri(name)
    assert ascii(name)[:20] in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("notes.txt", "notes.txt"),
        (" two words.pdf ", "two words.pdf"),
        ("Cafe\u0301.md", "Café.md"),
        ("קובץ.txt", "קובץ.txt"),
        (".hidden", ".hidden"),
        ("a..b.txt", "a..b.txt"),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_base_name_becomes_a_uri_in_composed_form(name: str, uri: str) -> None:
    assert upload_uri(name) == uri


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("x")
    for name in ("b.txt", "a.md", "sub/c.html", "picture.png", "Makefile", ".hidden.txt"):
        (root / name).write_text("x")
    return root


def test_the_files_of_a_folder_come_sorted_with_the_folder_in_their_uris(folder: Path) -> None:
    found = list(source_files([folder]))
    assert [(f.uri, f.skipped) for f in found] == [
        ("docs/.git", "hidden"),
        ("docs/.hidden.txt", "hidden"),
        ("docs/Makefile", ""),
        ("docs/a.md", ""),
        ("docs/b.txt", ""),
        ("docs/picture.png", ".png files are not read"),
        ("docs/sub/c.html", ""),
    ]
    assert not any(f.is_named for f in found)


def test_uris_do_not_depend_on_where_one_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = [f.uri for f in source_files([folder])]
    monkeypatch.chdir(folder)
    assert [f.uri for f in source_files([Path()])] == absolute
    assert [f.uri for f in source_files([Path("sub/..")])] == absolute
    assert [f.uri for f in source_files([Path("sub"), Path("a.md")])] == ["sub/c.html", "a.md"]


def test_a_file_that_is_named_is_yielded_whatever_it_is(folder: Path) -> None:
    paths = [folder / "picture.png", folder / ".hidden.txt", folder / "absent.txt"]
    found = list(source_files(paths))
    assert [(f.uri, f.is_named, f.skipped) for f in found] == [
        ("picture.png", True, ""),
        (".hidden.txt", True, ""),
        ("absent.txt", True, ""),
    ]


def test_links_are_followed_only_to_files_inside_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "in.txt").symlink_to(folder / "b.txt")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "broken.txt").symlink_to(folder / "absent")
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    skipped = {f.uri: f.skipped for f in source_files([folder])}
    assert skipped["docs/in.txt"] == ""
    assert skipped["docs/out.txt"] == "a link that leads out of the folder"
    assert skipped["docs/loop"] == "a link to a folder is not followed"
    assert skipped["docs/broken.txt"] == "it cannot be looked at: No such file or directory"
    assert skipped["docs/circle.txt"].startswith("it cannot be looked at")


def test_a_linked_folder_that_is_named_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert "link/a.md" in [f.uri for f in source_files([tmp_path / "link"]) if not f.skipped]


def test_pipes_and_unreadable_folders_are_reported(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    found = {f.uri: f.skipped for f in source_files([folder])}
    assert found["docs/pipe.txt"] == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_that_cannot_be_opened_is_reported(folder: Path) -> None:
    (folder / "sub").chmod(0)
    found = {f.uri: f.skipped for f in source_files([folder])}
    (folder / "sub").chmod(0o700)
    assert found["docs/sub"] == "the folder cannot be opened: Permission denied"


def test_a_name_that_is_no_unicode_is_spelled_out(folder: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.txt"))
    try:
        path.write_text("x")
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    assert "docs/bad\\xff.txt" in [f.uri for f in source_files([folder])]
