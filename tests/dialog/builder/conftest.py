"""Bots written by the test, and what a check says of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.check import check_path
from dialog.builder.findings import CheckReport
from tests.dialog.bot.conftest import MakeBot, write_bot

Check = Callable[..., CheckReport]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return what writes a bot's files and checks them."""

    def checked(text: str, **files: str) -> CheckReport:
        named = {name.replace("__", "/").replace("_dot_", "."): c for name, c in files.items()}
        return check_path(write_bot(tmp_path, text, named))

    return checked


@pytest.fixture
def make_bot(tmp_path: Path) -> MakeBot:
    """Return what writes a bot's files and reads them."""

    def made(text: str, **files: str) -> BotDefinition:
        named = {name.replace("_dot_", "."): content for name, content in files.items()}
        return load_bot(write_bot(tmp_path, text, named))

    return made
