"""Tenants share no file, no row and no cache entry, and one's damage is no other's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, select, text
from starlette.testclient import TestClient

from api import bootstrap
from api.access import own_key
from api.errors import ConfigurationError
from api.settings import Settings, load_settings
from api.state_database import state_database
from api.tenant import encoded, place_of
from api.testing import application_of_doubles
from index import tables
from index.database import open_database, reading, writing
from index.store import CollectionStore
from tests.api.conftest import client_with, local_client
from tests.api.test_access import bearer
from tests.api.test_completions import error_of
from tests.databases import POSTGRESQL, SQLITE, Place, both_kinds
from tests.databases import place_of as place_for

ACME, GLOBEX, NOBODY = "key-of-acme-1", "key-of-globex", "key-of-nobody"
KEYS = {"api_keys": (NOBODY,), "tenant_keys": (("Acme", ACME), ("globex/..", GLOBEX))}


@pytest.fixture
def database_kind() -> str:
    return SQLITE


@pytest.fixture
def place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_for(database_kind, request, tmp_path) as place:
        yield place


def upload(client: TestClient, key: str, collection: str, words: str) -> str:
    """Store a document and return its id."""
    client.post("/v1/collections", json={"name": collection}, headers=bearer(key))
    sent = client.post(
        f"/v1/collections/{collection}/documents",
        files={"file": ("same.txt", words.encode())},
        headers=bearer(key),
    )
    assert sent.status_code == 200, sent.text
    return str(sent.json()["data"][0]["document_id"])


def found(client: TestClient, key: str, collection: str, query: str) -> list[str]:
    answer = client.post(
        f"/v1/collections/{collection}/search", json={"query": query}, headers=bearer(key)
    )
    return [hit["text"] for hit in answer.json()["data"]]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=8, unique=True))
@settings(max_examples=60, derandomize=True)
def test_no_two_names_are_spelled_alike_and_none_leaves_its_folder(names: list[str]) -> None:
    names = [name for name in names if name.isprintable()]
    spelled = [encoded(name) for name in names]
    assert len(set(spelled)) == len(names)
    for one in spelled:
        assert set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
        assert len(f"causerie_{one}") <= 63


def test_names_are_spelled_for_people_where_they_can_be() -> None:
    assert encoded("acme1") == "acme1"
    assert encoded("Acme") == "_41cme"
    assert encoded("../x") == "_2e_2e_2fx"
    assert encoded("a" * 41).startswith("_h")
    with pytest.raises(ValueError, match="needs a name"):
        encoded("")


def test_places_are_folders_and_on_a_server_schemas(tmp_path: Path) -> None:
    plain = Settings(state=tmp_path)
    assert place_of(plain, "").database_url == f"sqlite:///{tmp_path}/causerie.sqlite"
    assert place_of(plain, "Acme").database_url == (
        f"sqlite:///{tmp_path}/tenants/_41cme/causerie.sqlite"
    )
    elsewhere = Settings(state=tmp_path, database_url="sqlite:////data/all.sqlite")
    assert place_of(elsewhere, "acme").database_url == "sqlite:////data/tenants/acme/all.sqlite"
    url = "postgresql://me:secret@host/db"
    server = place_of(Settings(state=tmp_path, database_url=url), "acme")
    assert (server.database_url, server.schema) == (url, "causerie_acme")
    assert server.state == tmp_path / "tenants" / "acme"


def test_a_key_of_two_tenants_or_badly_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for keys, words in (
        ("acme=key-1-long,globex=key-1-long", "one tenant"),
        ("acme=shared-key", "one tenant"),
        ("acme", "NAME=KEY"),
        ("acme=short", "8 ASCII"),
        (f"{'x' * 65}=key-1-long", "at most 64"),
    ):
        monkeypatch.setenv("CAUSERIE_API_KEYS", "shared-key")
        monkeypatch.setenv("CAUSERIE_TENANT_KEYS", keys)
        with pytest.raises(ConfigurationError, match=words) as caught:
            load_settings()
        assert "key-1" not in str(caught.value)
    monkeypatch.setenv("CAUSERIE_TENANT_KEYS", "acme=key-1-long, acme=key-2-long, b=key-3=long")
    settings = load_settings()
    assert settings.tenants == ("acme", "b")
    assert (own_key(settings, "b"), own_key(settings, "c")) == ("key-3=long", None)
    assert settings.tenant_keys[0] == ("acme", SecretStr("key-1-long"))


def test_tenants_see_their_own_data_alone(tmp_path: Path) -> None:
    """Under the same names and uris; ids of others' documents and conversations are unknown."""
    with client_with(tmp_path, **KEYS) as client:
        ids = {key: upload(client, key, "notes", f"tea of {key}") for key in (ACME, GLOBEX, NOBODY)}
        for key in ids:
            assert found(client, key, "notes", "tea") == [f"tea of {key}"]
        upload(client, ACME, "secret", "only acme")
        assert error_of(client.get("/v1/collections/secret", headers=bearer(GLOBEX)), 404)
        assert error_of(client.get("/v1/collections/secret", headers=bearer(NOBODY)), 404)
        names = client.get("/v1/collections", headers=bearer(GLOBEX)).json()["data"]
        assert [one["name"] for one in names] == ["notes"]
        made = client.post("/v1/conversations", json={}, headers=bearer(ACME)).json()["id"]
        path = f"/v1/conversations/{made}"
        assert client.get(path, headers=bearer(ACME)).status_code == 200
        assert error_of(client.get(path, headers=bearer(GLOBEX)), 404)
        assert client.delete("/v1/collections/notes", headers=bearer(ACME)).status_code == 200
        assert found(client, GLOBEX, "notes", "tea") == [f"tea of {GLOBEX}"]


def test_the_admin_key_is_of_no_tenant_and_reaches_none(tmp_path: Path) -> None:
    with client_with(tmp_path, **KEYS, admin_key="key-of-admin") as client:
        upload(client, ACME, "notes", "tea")
        assert error_of(client.get("/v1/collections/notes", headers=bearer("key-of-admin")), 404)
        denied = client.delete("/v1/collections/notes", headers=bearer(ACME))
        assert error_of(denied, 403)["code"] == "admin_key_required"


def files_of(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        rows = connection.exec_driver_sql("PRAGMA database_list")
        return {file for _, _, file in rows if file}


def test_tenants_share_no_file_and_no_cache(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with application_of_doubles(state, **KEYS) as built, local_client(built) as client:
        services = [built, built.of_tenant("Acme"), built.of_tenant("globex/..")]
        for key, service in zip((NOBODY, ACME, GLOBEX), services, strict=True):
            upload(client, key, "notes", "the same tea")
            assert found(client, key, "notes", "tea") == ["the same tea"]
            assert set(service.store._live) == {1}
        for part in ("_texts", "_live", "_lanes", "_database"):
            assert len({id(getattr(service.store, part)) for service in services}) == 3
        assert len({id(service.transcripts) for service in services}) == 3
        opened = [files_of(service.store._database) for service in services]
        assert not opened[0] & opened[1]
        assert not opened[1] & opened[2]
    folders = sorted(path.name for path in (state / "tenants").iterdir())
    assert folders == ["_41cme", "globex_2f_2e_2e"]


def test_the_damage_of_one_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    with application_of_doubles(state, **KEYS) as built, local_client(built) as client:
        for key in (ACME, GLOBEX):
            upload(client, key, "notes", "tea")
    broken = state / "tenants" / "_41cme" / "causerie.sqlite"
    whole = broken.read_bytes()
    broken.write_bytes(b"\0" * len(whole))
    with application_of_doubles(state, **KEYS) as built, local_client(built) as client:
        assert "tenant 'Acme' is left out" in caplog.text
        error = error_of(client.get("/v1/collections", headers=bearer(ACME)), 503)
        assert error["code"] == "tenant_unavailable"
        assert str(state) not in error["message"]
        assert found(client, GLOBEX, "notes", "tea") == ["tea"]
        broken.write_bytes(whole)
        assert found(client, ACME, "notes", "tea") == ["tea"]


@pytest.mark.parametrize("database_kind", [POSTGRESQL])
def test_on_a_server_tenants_share_no_schema(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.tenant.DEFAULT_SCHEMA", place.schema[:20])
    state = tmp_path / "state"
    schemas: list[str] = []
    try:
        with (
            application_of_doubles(state, database_url=place.url, **KEYS) as built,
            local_client(built) as client,
        ):
            names = ("", "Acme", "globex/..")
            schemas = [place_of(built.settings, name).schema for name in names]
            for key in (NOBODY, ACME, GLOBEX):
                upload(client, key, "notes", f"tea of {key}")
            for key in (NOBODY, ACME, GLOBEX):
                assert found(client, key, "notes", "tea") == [f"tea of {key}"]
            for tenant, key in (("", NOBODY), ("Acme", ACME), ("globex/..", GLOBEX)):
                with reading(built.of_tenant(tenant).store._database) as connection:
                    texts = connection.scalars(select(tables.documents.c.text)).all()
                    assert [bytes(one) for one in texts] == [f"tea of {key}".encode()]
            # What is wrong in one schema is wrong in that alone.
            with writing(built.of_tenant("Acme").store._database) as connection:
                connection.execute(text("DROP TABLE vectors CASCADE"))
            assert found(client, GLOBEX, "notes", "tea") == [f"tea of {GLOBEX}"]
    finally:
        engine = open_database(place.url, schema=place.schema)
        with writing(engine) as connection:
            for schema in schemas:
                connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
            assert not set(schemas) & set(inspect(connection).get_schema_names())
        engine.dispose()


@both_kinds
def test_a_command_opens_the_database_of_a_tenant(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.tenant.DEFAULT_SCHEMA", place.schema[:20])
    settings = Settings(state=tmp_path / "s", database_url=place.url)
    with state_database(settings, "acme") as database:
        with reading(database) as connection:
            assert connection.scalars(select(tables.collections.c.id)).all() == []
        if database.dialect.name == "postgresql":
            with writing(database) as connection:
                connection.exec_driver_sql(f"DROP SCHEMA {place.schema[:20]}_acme CASCADE")


def test_the_indexes_of_every_tenant_are_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    with application_of_doubles(tmp_path, **KEYS) as built:
        monkeypatch.setattr(CollectionStore, "watch", lambda store: seen.append(id(store)))
        bootstrap.watch_indexes(built)
        services = [built, built.of_tenant("Acme"), built.of_tenant("globex/..")]
        assert seen == [id(service.store) for service in services]
