"""The examples of docs/bots.md are bots that load and have no faults."""

import re
from pathlib import Path

import pytest

from dialog.bot.file_keys import SLOT, STEP, TASK, TOP
from dialog.bot.loading import load_bot
from dialog.builder.check import check_bot
from dialog.builder.stories import run_stories
from dialog.builder.story import story_of
from dialog.tracker.rule import RuleTracker

PAGE = Path(__file__).parents[3] / "docs" / "bots.md"
BLOCKS = re.findall(r"```(yaml|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
BOTS = [i for i, (kind, text) in enumerate(BLOCKS) if kind == "yaml" and text.startswith("bot:")]


@pytest.mark.parametrize("place", BOTS)
def test_a_documented_bot_loads_and_has_nothing_to_mend(place: int, tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text(BLOCKS[place][1], encoding="utf-8")
    if place + 1 < len(BLOCKS) and BLOCKS[place + 1][0] == "python":
        (tmp_path / "tools.py").write_text(BLOCKS[place + 1][1], encoding="utf-8")
    assert [str(problem) for problem in check_bot(load_bot(tmp_path)).problems] == []


def test_the_transfer_takes_fourteen_lines_of_yaml_and_ten_of_python() -> None:
    place = next(i for i in BOTS if BLOCKS[i][1].startswith("bot: Bank"))
    yaml, python = BLOCKS[place][1], BLOCKS[place + 1][1]
    assert len([line for line in yaml.splitlines() if line.strip()]) <= 14
    assert len([line for line in python.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("keys", [TOP, SLOT, TASK, STEP])
def test_every_key_is_documented(keys: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [key for key in keys if f"`{key}`" not in page and f"`{key}:" not in page] == []


def test_the_documented_transfer_works_for_a_user(tmp_path: Path) -> None:
    place = next(i for i in BOTS if BLOCKS[i][1].startswith("bot: Bank"))
    (tmp_path / "bot.yaml").write_text(BLOCKS[place][1], encoding="utf-8")
    (tmp_path / "tools.py").write_text(BLOCKS[place + 1][1], encoding="utf-8")
    story = story_of(
        {
            "test": "too much, then less",
            "given": {"now": "2025-03-03T09:00", "user": {"logged_in": True}},
            "talk": [
                {"user": "I want to send money to somebody"},
                {"user": "Ana Lind"},
                {"user": "900 EUR", "says": "You do not have"},
                {"user": "90 EUR", "bot": ["CONFIRM"]},
                {"user": "yes", "says": "went to Ana Lind", "status": "done"},
            ],
            "never": ["unconfirmed_write", "exact_repeat", "re_ask"],
        }
    )
    (result,) = run_stories(load_bot(tmp_path), {"recogniser": RuleTracker()}, [story])
    assert result.failures == (), result.transcript()
