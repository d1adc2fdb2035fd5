"""`index create|describe|delete|export|import`: in this process, and beside a running server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api import bootstrap
from api.application import Application
from api.cli import index_transfer
from api.settings import load_settings
from api.state_database import state_database
from api.state_lock import held
from api.testing import application_of_doubles
from index.database import writing
from index.new_rows import document_id_of
from index.portable import document_from_json
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_cli import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    return tmp_path


@pytest.fixture
def server() -> Iterator[Application]:
    """A server on the state folder that the commands use."""
    state = load_settings().state
    with (
        application_of_doubles(state) as built,
        serving(built) as live,
        held(state, live.address),
    ):
        yield built


def fill(collection: str, num: int = 3) -> None:
    with state_database(load_settings()) as database:
        store = CollectionStore(database, threads=1)
        embedder = HashingEmbedder()
        texts = [f"tea number {i}" for i in range(num)]
        vectors = embedder.encode(texts, "passage")
        store.open(collection).upsert_many(
            [
                NewDocument(
                    uri=f"u{i}",
                    title=f"t{i}",
                    media_type="text/plain",
                    source_sha256="0" * 64,
                    text=text,
                    items=[Item(start=0, end=len(text))],
                    vectors=vectors[i : i + 1],
                    metadata={"n": i},
                )
                for i, text in enumerate(texts)
            ],
            fingerprint=embedder.fingerprint,
        )
        store.close()


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def described(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run("index", "describe", name, "--json", *more) == 0
    found: dict[str, Any] = json.loads(out(capsys))
    return found


def test_a_collection_is_made_described_and_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    made = ("--language", "french", "--metric", "l2", "--field", "n=number", "--token-vectors")
    assert run("index", "create", "tea", *made) == 0
    assert "tea: made for hashing, 64 components" in out(capsys)
    assert run("index", "create", "tea") == 1
    assert "exists already" in capsys.readouterr().err
    found = described(capsys, "tea")
    assert (found["language"], found["metric"], found["fields"]) == (
        "french", "l2", {"n": "number"}
    )  # fmt: skip
    assert (found["num_documents"], found["tuning"]) == (0, None)
    assert run("index", "describe", "tea") == 0
    shown = out(capsys)
    assert "0 documents, 0 chunks" in shown
    assert "up to 32 a chunk, 0 bytes" in shown
    assert (found["token_vectors"], found["token_bytes"]) == (32, 0)
    assert run("index", "delete", "tea") == 2  # nobody can be asked here
    assert "--yes" in capsys.readouterr().err
    assert run("index", "delete", "tea", "--yes", "--json") == 0
    assert json.loads(out(capsys)) == {"name": "tea", "deleted": True}
    assert run("index", "describe", "tea") == 1


@pytest.mark.parametrize(
    "arguments", [("create", "../x"), ("create", "a", "--field", "n=date"), ("import", "none")]
)
def test_what_cannot_be_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run("index", *arguments) == 2


@pytest.mark.parametrize("name", ["tea.jsonl", "tea.parquet"])
def test_what_was_exported_is_imported_the_same(
    capsys: pytest.CaptureFixture[str], folder: Path, name: str
) -> None:
    run("index", "create", "tea")
    fill("tea")
    assert run("index", "export", "tea", name) == 0
    assert f"tea: 3 documents written to {name}" in out(capsys)
    assert run("index", "import", name, "--as", "copy", "--json") == 0
    assert json.loads(out(capsys)) == {"name": "copy", "num_documents": 3, "num_chunks": 3}
    lines = []
    for collection in ("tea", "copy"):
        capsys.readouterr()
        assert run("index", "export", collection, "-") == 0
        lines.append(out(capsys).splitlines())
    assert lines[0][1:] == lines[1][1:]
    assert sorted(path.name for path in folder.glob("*tea*")) == [name]


def test_an_import_that_is_stopped_leaves_whole_documents_and_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two transactions; the command ends as a shell expects."""
    run("index", "create", "tea")
    fill("tea", 7)
    run("index", "export", "tea", "tea.jsonl")
    monkeypatch.setattr(index_transfer, "_BATCH", 2)

    def stop_at_the_sixth(line: str, *, dim: int, number: int) -> Any:
        if number == 7:
            raise KeyboardInterrupt
        return document_from_json(line, dim=dim, number=number)

    monkeypatch.setattr(index_transfer, "document_from_json", stop_at_the_sixth)
    assert run("index", "import", "tea.jsonl", "--as", "copy") == 130
    assert described(capsys, "copy")["num_documents"] == 4
    monkeypatch.setattr(index_transfer, "document_from_json", document_from_json)
    assert run("index", "import", "tea.jsonl", "--as", "copy") == 0
    assert described(capsys, "copy")["num_documents"] == 7


def test_an_export_that_is_stopped_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "create", "tea")
    fill("tea")
    (folder / "tea.jsonl").write_text("old")

    def stop(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(index_transfer, "document_to_json", stop)
    assert run("index", "export", "tea", "tea.jsonl") == 130
    assert (folder / "tea.jsonl").read_text() == "old"
    assert not list(folder.glob(".tea*"))


def test_beside_a_server_commands_write_through_it(
    server: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("index", "create", "tea", "--language", "german") == 0
    assert server.store.info("tea").embedder == "hashing"
    fill("tea", 120)
    assert run("index", "export", "tea", "tea.jsonl") == 0
    before = server.store.open("tea").documents()
    assert run("index", "delete", "tea", "--yes") == 0
    assert server.store.list() == []
    assert run("index", "import", "tea.jsonl") == 0
    assert [one.uri for one in server.store.open("tea").documents()] == [o.uri for o in before]
    assert described(capsys, "tea")["language"] == "german"
    assert run("index", "tune", "tea", "--p95", "5s", "--json") == 0
    assert server.store.tunings.latest("tea") is not None
    run("index", "create", "small")
    assert run("index", "tune", "small") == 1
    assert "too few to tune on" in capsys.readouterr().err
    assert run("index", "import", "tea.jsonl", "--as", "a b") == 1
    assert "1 to 64" in capsys.readouterr().err


def test_a_tenant_s_collections_are_reached_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("index", "create", "tea", "--tenant", "acme") == 1
    assert "no tenant is called 'acme'" in capsys.readouterr().err
    monkeypatch.setenv("CAUSERIE_TENANT_KEYS", "acme=key-of-acme")
    assert run("index", "create", "tea", "--tenant", "acme") == 0
    assert run("index", "describe", "tea") == 1
    assert described(capsys, "tea", "--tenant", "acme")["num_documents"] == 0
    keys = {"tenant_keys": (("acme", "key-of-acme"),)}
    state = load_settings().state
    with (
        application_of_doubles(state, **keys) as built,
        serving(built) as live,
        held(state, live.address),
    ):
        assert run("index", "create", "milk", "--tenant", "acme") == 0
        names = [info.name for info in built.of_tenant("acme").store.list()]
    assert names == ["milk", "tea"]


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("create", "describe", "delete", "export", "import", "tune"):
        assert run("index", command, "--help") == 0
        assert f"python -m api index {command}" in " ".join(out(capsys).split())


def test_help_shows_an_example_of_what_keeps_a_collection_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("health", "verify", "repair", "compact", "purge"):
        assert run("index", command, "--help") == 0
        assert f"python -m api index {command}" in " ".join(out(capsys).split())


@pytest.mark.parametrize("has_server", [False, True])
def test_a_collection_is_verified_mended_and_purged(
    has_server: bool, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same words and codes in this process and through a server."""
    if has_server:
        request.getfixturevalue("server")
    run("index", "create", "tea")
    fill("tea")
    assert run("index", "verify", "tea") == 0
    assert "tea: nothing is wrong in 3 documents, 3 chunks" in out(capsys)
    assert run("index", "compact", "tea", "--disk", "1GB") == 0
    assert "tea: compact" in out(capsys)
    assert run("index", "health", "tea", "--measure", "--json") == 0
    found = json.loads(out(capsys))
    assert (found["is_well"], found["num_unsealed"]) == (True, 0)
    assert (found["stats"]["num_chunks"], found["num_segments"]) == (3, 1)
    assert run("index", "health", "tea") == 0
    assert "tea, well" in out(capsys)
    with state_database(load_settings()) as database, writing(database) as connection:
        connection.execute(text("UPDATE lexical_1 SET lex = 'gone'"))
    assert run("index", "verify", "tea") == 1
    assert "words: " in out(capsys)
    assert run("index", "repair", "tea") == 0
    assert "nothing is wrong" in out(capsys)
    assert run("index", "purge", "tea", "u1") == 2  # nobody can be asked here
    assert run("index", "purge", "tea", "u1", "--yes", "--json") == 0
    capsys.readouterr()
    assert described(capsys, "tea")["num_documents"] == 2
    assert run("index", "verify", "tea", "--absent", document_id_of("tea", "u1")) == 0
    assert run("index", "verify", "tea", "--absent", document_id_of("tea", "u2")) == 1
    assert "residue" in out(capsys)
    assert run("index", "compact", "tea", "--disk", "much") == 2
    assert run("index", "health", "none") == 1
