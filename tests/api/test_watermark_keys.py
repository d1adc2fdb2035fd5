"""The keys of a service: made once, kept apart, told to nobody; and the commands about them."""

import io
import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from api.errors import ConfigurationError
from api.settings import Settings, load_settings
from api.tokenizer_file import load_tokenizer
from api.watermark_keys import key_file, new_key_file, open_ring
from api.watermark_schemes import SCHEME_NAMES, scheme_named, scheme_of_greedy
from llm.checkpoint import load_decoder
from llm.decoding.grammar_spec import JsonSchema
from llm.errors import CheckpointError, WatermarkKeysError
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.watermark.keys import read_keys, write_keys
from tests.api.marked_texts import NEW, OLD, RING, SIZE, TOKENIZER, marked, marked_json, plain
from tests.api.test_cli import run
from tests.api.test_watermark import SCHEMA, SECRETS

LISTED = ",".join(f"{key.name}:{key.secret.hex()}" for key in RING.keys)


@pytest.fixture
def path() -> Path:
    return key_file(load_settings())


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: Path) -> Path:
    """A model's folder without weights, and the two keys."""
    folder = tmp_path / "model"
    folder.mkdir()
    TOKENIZER._tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"vocab_size": SIZE}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    (folder / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("CAUSERIE_CHAT_MODEL", str(folder))
    write_keys(path, RING)
    return folder


def of(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_first_start_makes_a_key_that_only_its_owner_reads(path: Path) -> None:
    settings = load_settings()
    assert not path.exists()
    ring = open_ring(settings)
    assert ring is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert open_ring(settings) == ring
    assert path.parent != settings.state  # apart from the data
    assert settings.home not in path.parents  # the cache may be deleted


def test_starts_at_once_agree_on_one_key() -> None:
    settings, rings = load_settings(), []
    threads = [threading.Thread(target=lambda: rings.append(open_ring(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rings) == 8
    assert all(ring == rings[0] for ring in rings)


def test_a_service_that_marks_nothing_makes_no_key(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK", "off")
    assert open_ring(load_settings()) is None
    assert not path.exists()
    write_keys(path, RING)
    assert open_ring(load_settings()) == RING  # what was marked stays detectable


def test_keys_of_the_environment_win_and_are_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK_KEYS", LISTED)
    settings = load_settings()
    assert open_ring(settings) == RING
    assert not path.exists()
    assert not any(s in text for s in SECRETS for text in (repr(settings), str(settings)))
    assert not any(s in settings.model_dump_json() for s in SECRETS)


@pytest.mark.parametrize("listed", ["new", f"new:{NEW.secret.hex()}ff", f"{NEW.secret.hex()}:new"])
def test_a_wrong_list_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK_KEYS", listed)
    with pytest.raises(WatermarkKeysError) as caught:
        open_ring(load_settings())
    assert NEW.secret.hex() not in str(caught.value)


def test_keys_that_others_can_read_stop_the_start(path: Path) -> None:
    write_keys(path, RING)
    path.chmod(0o644)
    with pytest.raises(WatermarkKeysError, match="chmod 600"):
        open_ring(load_settings())


def test_a_place_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK_KEY_FILE", of(tmp_path / "file", "") + "/keys.json")
    with pytest.raises(ConfigurationError, match="CAUSERIE_WATERMARK_KEY_FILE"):
        open_ring(load_settings())
    with pytest.raises(ConfigurationError, match="CAUSERIE_WATERMARK_KEY_FILE"):
        new_key_file(load_settings(), "key-1")


def test_an_unknown_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK_SCHEME", "rot13")
    with pytest.raises(ConfigurationError, match="CAUSERIE_WATERMARK_SCHEME is 'rot13'"):
        load_settings()


def test_all_schemes_have_sub_keys_of_their_own() -> None:
    labels = {name: scheme_named(name, SIZE).label for name in SCHEME_NAMES}
    assert len({*labels.values()}) == len(labels) - 1  # hard and soft lists are the same lists
    assert labels["kgw"] == labels["kgw-hard"]


def test_only_lists_that_were_asked_for_mark_what_is_not_drawn() -> None:
    assert scheme_of_greedy("gumbel") is scheme_of_greedy("synthid") is None
    assert scheme_of_greedy("kgw") == "kgw"


def test_keygen_makes_a_key_and_overwrites_none(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("watermark", "keygen", "--name", "first") == 0
    ring = read_keys(path)
    assert [key.name for key in ring.keys] == ["first"]
    assert run("watermark", "keygen") == 1
    captured = capsys.readouterr()
    assert "rotate" in captured.err
    assert read_keys(path) == ring
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing is left beside
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ring.current.id in captured.out
    assert ring.current.secret.hex() not in captured.out + captured.err


def test_rotating_adds_a_key_that_marks(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("watermark", "rotate") == 1
    assert "keygen" in capsys.readouterr().err
    assert run("watermark", "keygen") == 0
    first = read_keys(path).current
    capsys.readouterr()
    assert run("watermark", "rotate", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [key["name"] for key in told["keys"]] == ["key-1", "key-2"]
    assert told["current"] == "key-2"
    assert read_keys(path).keys[0] == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("watermark", "rotate", "--name", "key-1") == 2
    assert run("watermark", "rotate", "--name", "no good") == 2
    assert "no good" in capsys.readouterr().err
    assert len(read_keys(path).keys) == 2


@pytest.mark.parametrize("command", ["keygen", "rotate"])
def test_keys_of_the_environment_are_not_changed(
    monkeypatch: pytest.MonkeyPatch, path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("CAUSERIE_WATERMARK_KEYS", LISTED)
    assert run("watermark", command) == 1
    assert "CAUSERIE_WATERMARK_KEYS" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.usefixtures("model")
def test_detect_tells_what_a_text_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("watermark", "detect", of(tmp_path / "a.txt", marked(80, key=OLD) + "\n")) == 0
    told = capsys.readouterr().out
    assert "carries the mark of the key 'old'" in told
    assert OLD.id in told
    assert "gumbel" in told
    assert "p-value" in told
    assert not any(secret in told for secret in SECRETS)


@pytest.mark.usefixtures("model")
def test_detect_reads_conversations_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [
        {"role": role, "content": content}
        for i in range(6)
        for role, content in (("user", "Go on."), ("assistant", marked(20, seed=i)))
    ]
    piped = io.TextIOWrapper(io.BytesIO(json.dumps(messages).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert run("watermark", "detect", "-", "--json", "--scheme", "gumbel", "--key", "new") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["detected"] is True
    assert len(told["replies"]) == 6
    assert told["num_tests"] == 16


@pytest.mark.usefixtures("model")
def test_detect_adds_a_tournament_s_bits_up_as_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = of(tmp_path / "reply.txt", marked(100, scheme="synthid"))
    found = {}
    for statistic in ("mean", "bayesian"):
        options = ["--scheme", "synthid", "--statistic", statistic, "--json"]
        assert run("watermark", "detect", reply, *options) == 0
        found[statistic] = json.loads(capsys.readouterr().out)
        assert found[statistic]["detected"] is True
    assert found["mean"]["z_score"] != found["bayesian"]["z_score"]


@pytest.mark.usefixtures("model")
def test_detect_replays_a_schema_and_searches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = of(tmp_path / "schema.json", json.dumps(SCHEMA))
    reply = of(tmp_path / "reply.json", marked_json(JsonSchema.of(SCHEMA)) + "\n")
    assert run("watermark", "detect", reply, "--schema", schema, "--json") == 0
    replayed = json.loads(capsys.readouterr().out)
    assert run("watermark", "detect", reply, "--json") == 0
    naive = json.loads(capsys.readouterr().out)
    assert replayed["num_scored"] < naive["num_scored"]
    assert replayed["z_score"] > naive["z_score"]
    form = of(tmp_path / "form.json", json.dumps({"json_schema": SCHEMA}))
    assert run("watermark", "detect", reply, "--grammar", form, "--json") == 0
    # the reply's last line end is of the file, and no grammar of JSON has it
    assert json.loads(capsys.readouterr().out)["num_scored"] == replayed["num_scored"]
    broken = of(tmp_path / "broken.json", json.dumps({"regexp": "a"}))
    assert run("watermark", "detect", reply, "--grammar", broken) == 1
    assert "is no grammar" in capsys.readouterr().err
    assert run("watermark", "detect", reply, "--grammar", form, "--schema", schema) == 2
    capsys.readouterr()
    long = of(tmp_path / "long.txt", plain(600) + marked(150) + plain(600, seed=9))
    assert run("watermark", "detect", long, "--search") == 0
    assert "passage" in capsys.readouterr().out


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("content", "options", "code", "words"),
    [
        (b"short", [], 1, "cannot tell, because only"),
        (b"", [], 1, "cannot tell, because there is no text"),
        (b"\xff\xfe\x00", [], 1, "not UTF-8 text (byte 0)"),
        (b"a" * 10_000_000, [], 1, "more than 4,000,000 bytes"),
        (b"word " * 300_000, [], 1, "at most 1,000,000 are read"),
        (b'[{"role": "user", "content": "x"}]', [], 1, "cannot tell"),
        (b"some text", ["--key", "nosuch"], 1, "no watermark key 'nosuch'"),
        (b"some text", ["--scheme", "rot13"], 2, "rot13"),
        (b"some text", ["--statistic", "mean"], 2, "ask for the scheme synthid"),
        (
            b"some text",
            ["--scheme", "synthid", "--statistic", "sum"],
            2,
            "weighted, mean, bayesian",
        ),
        (b"some text", ["--schema", "nosuch.json"], 1, "nosuch.json cannot be read"),
    ],
)
def test_what_detect_cannot_do_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    options: list[str],
    code: int,
    words: str,
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert run("watermark", "detect", str(file), *options) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in " ".join(captured.err.split())


def test_a_missing_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("watermark", "detect", "nosuch.txt") == 1
    assert "nosuch.txt cannot be read" in capsys.readouterr().err


def test_a_damaged_tokenizer_is_told(model: Path) -> None:
    assert load_tokenizer(model).size == SIZE
    (model / "config.json").write_text(json.dumps({"vocab_size": 5}))
    with pytest.raises(CheckpointError, match="vocab_size 5"):
        load_tokenizer(model)
    (model / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_tokenizer(model)


@pytest.mark.weights
def test_the_tokenizer_alone_is_that_of_the_loaded_model(models: ModelStore) -> None:
    path = models.path(DEFAULT_CHAT_MODEL)
    alone, decoder = load_tokenizer(path), load_decoder(path)
    assert alone.size == decoder.model.config.vocab_size
    text = "A naïve café, 2024: {'x': [1, 2]} — 水印"
    assert alone.tokenizer.encode(text) == decoder.tokenizer.encode(text)


def test_settings_have_the_mark_on() -> None:
    settings = Settings()
    assert (settings.watermark, settings.watermark_scheme) == ("on", "gumbel")
