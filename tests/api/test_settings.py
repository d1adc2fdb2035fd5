"""Settings come from the environment, are checked once, and say what is wrong in one sentence."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.errors import ConfigurationError
from api.settings import Settings, is_loopback, load_settings

DOC = Path(__file__).parents[2] / "docs" / "settings.md"
KEY = "correct-horse-battery"


def test_defaults_serve_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUSERIE_HOME")
    monkeypatch.delenv("CAUSERIE_STATE")
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.api_keys == ()
    assert settings.admin_key is None
    assert (settings.max_body_bytes, settings.max_upload_bytes) == (1_000_000, 100_000_000)
    assert (settings.max_tokens, settings.max_concurrent) == (256, 64)
    assert settings.default_collection == "python"
    settings.require_safe_host()


def test_the_state_folder_is_never_inside_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUSERIE_HOME")
    monkeypatch.delenv("CAUSERIE_STATE")
    settings = load_settings()
    assert settings.home not in {settings.state, *settings.state.parents}


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAUSERIE_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("CAUSERIE_PORT", "9001")
    monkeypatch.setenv("CAUSERIE_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("CAUSERIE_THREADS", "2")
    settings = load_settings()
    assert settings.home == tmp_path / "models"
    assert settings.port == 9001
    assert settings.log_level == "warning"
    assert settings.threads == 2


def test_folders_become_absolute_and_know_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_HOME", "~/weights")
    monkeypatch.setenv("CAUSERIE_STATE", "here")
    settings = load_settings()
    assert settings.home == Path.home() / "weights"
    assert settings.state == Path.cwd() / "here"


def test_options_win_over_the_environment_unless_they_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAUSERIE_PORT", "9001")
    assert load_settings(port=9002).port == 9002
    assert load_settings(port=None).port == 9001


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_API_KEYS", f" {KEY}-1, {KEY}-2 ,")
    monkeypatch.setenv("CAUSERIE_ALLOWED_HOSTS", "one.example,two.example")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.api_keys] == [f"{KEY}-1", f"{KEY}-2"]
    assert settings.allowed_hosts == ("one.example", "two.example")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_API_KEYS", "")
    monkeypatch.setenv("CAUSERIE_ADMIN_KEY", "")
    monkeypatch.setenv("CAUSERIE_PORT", "")
    settings = load_settings()
    assert settings.api_keys == ()
    assert settings.admin_key is None
    assert settings.port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "eighty"),
        ("MAX_BODY_BYTES", "10"),
        ("THREADS", "0"),
        ("MAX_TOKENS", "-1"),
        ("DEFAULT_COLLECTION", "../etc"),
        ("LOG_LEVEL", "loud"),
        ("CONTEXT_SIZE", "7"),
        ("CHUNK_OVERLAP", "128"),
    ],
)
def test_a_value_out_of_bounds_is_one_sentence_with_name_and_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CAUSERIE_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    sentence = str(caught.value)
    assert f"CAUSERIE_{name} is" in sentence
    assert value in sentence
    assert "\n" not in sentence
    assert "docs/settings.md" in sentence


def test_two_wrong_values_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_PORT", "-1")
    monkeypatch.setenv("CAUSERIE_THREADS", "none")
    with pytest.raises(ConfigurationError, match=r"CAUSERIE_PORT .*; CAUSERIE_THREADS "):
        load_settings()


def test_secrets_are_printed_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_API_KEYS", KEY)
    monkeypatch.setenv("CAUSERIE_ADMIN_KEY", f"{KEY}-admin")
    monkeypatch.setenv("CAUSERIE_DATABASE_URL", "postgresql://user:hunter2@db/causerie")
    settings = load_settings()
    for text in (repr(settings), str(settings), settings.model_dump_json(include={"api_keys"})):
        assert KEY not in text
        assert "hunter2" not in text


@pytest.mark.parametrize("key", ["short", "has a space", "schlüssel-lang"])
def test_a_weak_key_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CAUSERIE_API_KEYS", f"{KEY},{key}")
    with pytest.raises(ConfigurationError, match="at least 8 ASCII characters") as caught:
        load_settings()
    assert key not in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_misspelt_setting_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CAUSERIE_API_KEY` once would have served without any key."""
    monkeypatch.setenv("CAUSERIE_API_KEY", KEY)
    with pytest.raises(ConfigurationError, match="did you mean CAUSERIE_API_KEYS") as caught:
        load_settings()
    assert KEY not in str(caught.value)


def test_variables_of_the_tests_are_not_taken_for_misspelt_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAUSERIE_DATA", "/nowhere")
    monkeypatch.setenv("CAUSERIE_REQUIRE_WEIGHTS", "0")
    monkeypatch.setenv("CAUSERIE_CHROMIUM", "chromium")
    load_settings()


def test_other_machines_are_served_only_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="CAUSERIE_API_KEYS"):
        load_settings(host="0.0.0.0").require_safe_host()
    monkeypatch.setenv("CAUSERIE_API_KEYS", KEY)
    load_settings(host="0.0.0.0").require_safe_host()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback_hosts_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_every_setting_stands_in_the_docs() -> None:
    text = DOC.read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `CAUSERIE_{name.upper()}` |" in text
        if isinstance(field.default, str | int) and field.default_factory is None:
            shown = "true" if field.default is True else field.default
            assert f"`{shown}`" in text
