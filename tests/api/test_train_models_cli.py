"""`python -m api train adapter|ngram`: what is wrong is told before a model is loaded."""

import json
from pathlib import Path

import pytest

from api.cli.main import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.txt"
    path.write_text("".join(f"text {i}\t{i % 2}\n" for i in range(120)))
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["adapter", "--label", "1", "--name", "x", "--rank", "0"],
        ["adapter", "--label", "1", "--name", "x", "--epochs", "0"],
        ["adapter", "--label", "1", "--name", "x", "--share", "2"],
        ["adapter", "--label", "1", "--name", "../x"],
        ["adapter", "--name", "x"],
        ["ngram", "--name", "x", "--order", "9"],
        ["ngram", "--name", "x", "--most", "0"],
        ["ngram", "--name", "a/x"],
        ["ngram"],
    ],
)
def test_wrong_usage_ends_with_two(texts: Path, arguments: list[str]) -> None:
    assert run(*arguments, "--data", str(texts)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adapter", "--label", "7", "--name", "x"], "no text has the label '7'; there are: 0, 1"),
        (["adapter", "--label", "1", "--name", "x", "--share", "0.01"], "at least 40 are needed"),
    ],
)
def test_texts_that_nothing_can_be_learnt_from_are_one_sentence(
    texts: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--data", str(texts)) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: ")
    assert said in told


@pytest.mark.parametrize("arguments", [["adapter", "--label", "1"], ["ngram"]])
def test_a_missing_file_is_one_sentence(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--name", "x", "--data", str(tmp_path / "none.txt")) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "none.txt" in told


@pytest.mark.parametrize("command", ["adapter", "ngram"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert "Example" in capsys.readouterr().out


@pytest.mark.weights
@pytest.mark.slow
def test_an_ngram_model_of_a_text_lies_in_the_folder_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "cats.txt"
    data.write_text("The cat sat on the mat, and the dog ran to the door. " * 40)
    out = tmp_path / "heads"
    arguments = ["--data", str(data), "--name", "cats", "--out", str(out), "--json"]
    assert run("ngram", *arguments, "--licence", "ours") == 0
    card = json.loads(capsys.readouterr().out)
    assert card == {**card, "kind": "ngram", "data": ["cats.txt"], "data_licence": "ours"}
    assert card["metric"]["perplexity"] < 3
    assert {path.name for path in out.iterdir()} == {"cats.json", "cats.safetensors"}
