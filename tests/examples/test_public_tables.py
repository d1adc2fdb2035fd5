"""The examples over public data sets: clean, and their tests pass, where the data are."""

from pathlib import Path

import pytest

from api.bot_bootstrap import story_parts
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from dialog.builder.check import check_bot
from dialog.builder.stories import run_story, stories_of
from dialog.simulation.tool_behaviour import fresh_bot

PUBLIC = Path(__file__).parents[2] / "examples" / "public"
NAMES = ("bank_documents", "camrest", "multiwoz")


def test_there_are_these_and_no_more() -> None:
    assert tuple(sorted(path.parent.name for path in PUBLIC.glob("*/bot.yaml"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_bot_over_public_data_is_clean_and_passes_its_tests(
    name: str, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSERIE_DATA", str(data_path))
    bot = load_bot(PUBLIC / name)
    assert [str(problem) for problem in check_bot(bot, depth=3).problems] == []
    stories = stories_of(bot)
    assert stories
    for story in stories:
        trackers, knowledge = story_parts()
        result = run_story(fresh_bot(bot), trackers, story, knowledge=knowledge)
        assert result.failures == (), result.transcript()


@pytest.mark.parametrize("name", NAMES)
def test_without_the_data_the_file_says_what_to_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAUSERIE_DATA", raising=False)
    with pytest.raises(BotFileErrors, match=r"\.yaml:\d+:\d+: .*CAUSERIE_DATA names none"):
        load_bot(PUBLIC / name)
