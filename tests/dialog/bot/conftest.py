"""A folder with a bot in it, written by the test."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors

MakeBot = Callable[..., BotDefinition]
MakeErrors = Callable[..., str]


def write_bot(folder: Path, text: str, files: dict[str, str]) -> Path:
    (folder / "bot.yaml").write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content).lstrip("\n"), encoding="utf-8")
    return folder


@pytest.fixture
def make_bot(tmp_path: Path) -> MakeBot:
    """Return what writes a bot's files and reads them."""

    def made(text: str, **files: str) -> BotDefinition:
        named = {name.replace("__", "/").replace("_dot_", "."): c for name, c in files.items()}
        return load_bot(write_bot(tmp_path, text, named))

    return made


@pytest.fixture
def errors_of(tmp_path: Path) -> MakeErrors:
    """Return what writes a bot's files and gives the text of all that is wrong with them."""

    def made(text: str, **files: str) -> str:
        named = {name.replace("__", "/").replace("_dot_", "."): c for name, c in files.items()}
        with pytest.raises(BotFileErrors) as found:
            load_bot(write_bot(tmp_path, text, named))
        return str(found.value)

    return made
