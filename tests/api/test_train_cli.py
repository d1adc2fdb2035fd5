"""`python -m api train discriminator`: what is wrong is told before a model is loaded."""

from pathlib import Path

import pytest

from api.cli.main import main
from api.cli.train import shown_command


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["train", "discriminator", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.txt"
    path.write_text("".join(f"text {i}\t{i % 3}\n" for i in range(120)))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", "7"], "no text has the label '7'; there are: 0, 1, 2"),
        (["--label", "1", "--against", "7"], "no text has the label '7'"),
        (["--label", "1", "--share", "0.01"], "at least 40 are needed"),
        (["--label", "1", "--format", "sgd"], "is no sgd file"),
    ],
)
def test_texts_that_nothing_can_be_learnt_from_are_one_sentence(
    texts: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", str(texts), "--name", "new", *options) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: ")
    assert said in told


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", str(tmp_path / "no.txt"), "--label", "1", "--name", "new") == 1
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--share", "0"],
        ["--most", "3"],
        ["--kind", "oracle"],
        ["--format", "xml"],
        ["--opposite", "new"],
        ["--name", "../new"],
        [],
    ],
)
def test_wrong_usage_ends_with_two(texts: Path, options: list[str]) -> None:
    name = ["--name", "new"] if options else []
    assert run("--data", str(texts), "--label", "1", *name, *options) == 2


def test_a_card_s_command_holds_no_folder_of_a_machine() -> None:
    words = ["train", "discriminator", "--data", "/home/me/x/reviews.txt", "--licence", "CC BY 4.0"]
    assert shown_command(words) == (
        'python -m api train discriminator --data reviews.txt --licence "CC BY 4.0"'
    )
