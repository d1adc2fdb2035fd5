"""Which tracker a bot works with, and that a bot without `model:` has no model loaded."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.bot_bootstrap import agent_maker
from api.bot_trackers import CALIBRATION_FILE, BotTrackers
from api.own_trackers import own_trackers
from api.settings import load_settings
from dialog.bot.loading import load_bot
from dialog.task.commands import SlotEdit, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import CommandsParsed
from dialog.task.messages import UserMessage
from dialog.task.state import DialogState
from dialog.tracker.calibrated import CalibratedTracker
from dialog.tracker.calibration import Calibration
from dialog.tracker.rule import RuleTracker
from llm.chat import TextScorer
from llm.testing import LetterScorer

_BOT = """\
bot: Harbour Rooms
{model}
tasks:
  find_room:
    about: search for a hotel
    slots:
      area: {{type: choice, values: [harbour, centre]}}
      nights: {{type: integer, min: 1, max: 30}}
    done: Found.
  rent_bike:
    about: rent a bike
    slots:
      day: date
    done: Rented.
"""
_STATE = DialogState(now="2025-03-03T09:00:00+00:00")


def _folder(path: Path, model: str) -> Path:
    (path / "bot.yaml").write_text(_BOT.format(model=model), encoding="utf-8")
    return path


def _refused() -> Any:
    raise AssertionError("nothing was to be loaded")


class _NightVectors:
    """Texts that speak of sleep are one direction, all others another."""

    def encode(self, texts: Sequence[str], kind: str, /) -> Any:
        """Return a row a text."""
        del kind
        sleep = ("night", "hotel", "sleep")
        return np.array([[1.0, 0] if any(w in t for w in sleep) else [0, 1.0] for t in texts])


def test_without_a_section_nothing_is_loaded(tmp_path: Path) -> None:
    """Neither the decoder nor the encoder is asked for."""
    bot = load_bot(_folder(tmp_path, ""))
    assert bot.model is None
    assert BotTrackers(_refused, _refused).of(bot).name == "recogniser"


def test_the_section_chooses_the_constrained_tracker(tmp_path: Path) -> None:
    """On the scorer that is given, opened once; its name stands in what was understood."""
    bot = load_bot(_folder(tmp_path, "model: {}"))
    opened: list[str] = []

    def scorer() -> TextScorer:
        opened.append("scorer")
        return LetterScorer()

    trackers = BotTrackers(scorer)
    found = trackers.of(bot).read(bot, _STATE, "I search for a hotel in the centre for 2 nights")
    trackers.of(bot)
    assert (found.tracker, found.model, opened) == ("constrained", "letters", ["scorer"])
    assert found.tokens_computed > 0


def test_examples_are_compared_by_vectors_where_there_is_an_encoder(tmp_path: Path) -> None:
    """ "a place for the night" shares no word with "search for a hotel"."""
    text = "a place for the night"
    bot = load_bot(_folder(tmp_path, "model: {tracker: rule}"))
    trackers = BotTrackers(_refused, _NightVectors)
    (start,) = trackers.of(bot).read(bot, _STATE, text).commands
    assert isinstance(start, Start)
    assert start.task == "find_room"
    words = load_bot(_folder(tmp_path, "model: {tracker: rule, examples: words}"))
    heads = [
        c.head for c in BotTrackers(_refused, _refused).of(words).read(words, _STATE, text).commands
    ]
    assert heads == [c.head for c in RuleTracker().read(words, _STATE, text).commands]
    assert "start" not in heads


def test_what_is_missing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No decoder: rules. Another decoder than the one that is named: told as well."""
    bot = load_bot(_folder(tmp_path, "model: {name: other}"))
    with caplog.at_level(logging.WARNING):
        assert BotTrackers().of(bot).name == "recogniser"
        assert BotTrackers(LetterScorer).of(bot).name == "constrained"
    assert "Harbour Rooms is to be read by a model; there is none" in caplog.text
    assert "names the model other; it is read by the one that is served, letters" in caplog.text


def test_an_encoder_that_is_not_here_leaves_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The command says which model is missing, and goes on."""
    monkeypatch.setenv("CAUSERIE_HOME", str(tmp_path / "home"))
    bot = load_bot(_folder(tmp_path, "model: {tracker: rule}"))
    with own_trackers(load_settings()) as trackers, caplog.at_level(logging.WARNING):
        assert trackers.of(bot).name == "recogniser"
    assert "what tasks are called is compared by words alone" in caplog.text
    assert "is not on this machine" in caplog.text


def test_a_calibration_beside_the_bot_decides_what_is_confirmed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sure values that were often wrong are echoed; one of another version is left out."""
    folder = _folder(tmp_path, "model: {tracker: rule, examples: words}")
    bot = load_bot(folder)
    assert _status_of_nights(folder) == ("grounded", 1)
    doubtful = Calibration(bot_hash=bot.hash, edges=(0.0,), values=(0.4,))
    path = folder / CALIBRATION_FILE
    path.write_text(json.dumps(doubtful.to_payload()), encoding="utf-8")
    assert isinstance(BotTrackers().of(load_bot(folder)), CalibratedTracker)
    assert _status_of_nights(folder) == ("pending", 0.4)
    stale = {**doubtful.to_payload(), "bot_hash": "another"}
    path.write_text(json.dumps(stale), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert isinstance(BotTrackers().of(bot), RuleTracker)
    assert "fitted to another version" in caplog.text
    path.write_text("{}", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert isinstance(BotTrackers().of(bot), RuleTracker)
    assert "this is no calibration" in caplog.text


def _status_of_nights(folder: Path) -> tuple[str, float]:
    bot, log = load_bot(folder), MemoryTaskLog()
    agent = agent_maker(log, trackers=BotTrackers())(bot)
    agent.open("c")
    agent.respond("c", UserMessage(id="1", text="search for a hotel for 2 nights"))
    cell = agent.state("c").frames[-1].cell("nights")
    assert cell.value == 2
    parsed = [event for event in log.read("c")[1] if isinstance(event, CommandsParsed)]
    edits = [c for c in parsed[0].commands if isinstance(c, SlotEdit)]
    assert edits[0].p == pytest.approx(cell.p)
    return cell.status.value, round(cell.p, 2)


def test_values_of_the_section_are_checked(tmp_path: Path) -> None:
    """With the words that there are."""
    with pytest.raises(Exception, match="tracker is one of constrained, rule; did you mean 'rule'"):
        load_bot(_folder(tmp_path, "model: {tracker: rules}"))
