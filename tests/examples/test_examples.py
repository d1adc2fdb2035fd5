"""The example bots: clean, their tests pass, and simulated users reach what they want."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from api.bot_bootstrap import simulation_connector, story_parts
from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.check import check_bot
from dialog.builder.stories import run_story, stories_of
from dialog.builder.story import Story
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import read_specification
from dialog.simulation.tool_behaviour import fresh_bot

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("bank", "restaurant", "travel")


@lru_cache
def bot_of(name: str) -> BotDefinition:
    return load_bot(EXAMPLES / name)


def stories() -> Sequence[tuple[str, Story]]:
    return [(name, story) for name in NAMES for story in stories_of(bot_of(name))]


def test_there_are_three_bots_and_no_more() -> None:
    assert tuple(sorted(path.parent.name for path in EXAMPLES.glob("*/bot.yaml"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_an_example(name: str) -> None:
    report = check_bot(bot_of(name), depth=3)
    assert [str(problem) for problem in report.problems] == []


@pytest.mark.parametrize(
    ("name", "story"), stories(), ids=[f"{name}: {story.name}" for name, story in stories()]
)
def test_a_story_of_an_example(name: str, story: Story) -> None:
    trackers, knowledge = story_parts()
    result = run_story(fresh_bot(bot_of(name)), trackers, story, knowledge=knowledge)
    assert result.failures == (), result.transcript()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["act", "text"])
@pytest.mark.parametrize("name", NAMES)
def test_simulated_users_reach_what_they_want(name: str, level: str) -> None:
    """The short form; `python -m benchmarks.dialog_simulation` runs all 200 scenarios x 5."""
    bot = bot_of(name)
    spec = replace(read_specification(bot.simulate[0]), dialogues=12, trials=2)
    report = Simulator(bot=bot, spec=spec, connect=simulation_connector()).run(level)
    assert report.simulator_errors == ()
    assert report.missed == [], [t.verdict for t in report.failed()]
    assert report.figures["unconfirmed_writes"] == 0
    assert report.figures["exact_repeats"] == 0
