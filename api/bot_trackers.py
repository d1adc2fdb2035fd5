"""Which tracker a bot works with: rules, unless `model:` of its file asks for more.

A bot without that section never has a model loaded for it, so that the command line starts at once
and its tests give the same result on any machine.
"""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.understanding import Tracker
from dialog.tracker.calibrated import CalibratedTracker
from dialog.tracker.calibration import read_calibration
from dialog.tracker.constrained import ConstrainedTracker
from dialog.tracker.rule import RuleTracker
from dialog.tracker.task_intents import SentenceVectors
from llm.chat import TextScorer

CALIBRATION_FILE: Final = "calibration.json"

Vectors = Callable[[], SentenceVectors | None]

logger = logging.getLogger(__name__)


class BotTrackers:
    """The trackers of the bots of one process; what is heavy is opened when a bot wants it."""

    def __init__(
        self,
        scorer: Callable[[], TextScorer] | None = None,
        vectors: Vectors = lambda: None,
    ) -> None:
        """Take what opens the decoder and the text encoder, each called once at most."""
        self._scorer = None if scorer is None else cache(scorer)
        self._vectors = cache(vectors)
        self._rule = RuleTracker()

    def of(self, bot: BotDefinition) -> Tracker:
        """Return the tracker of a bot.

        Raises:
            LLMError: the bot wants the decoder, and it cannot be had.
        """
        if bot.model is None:
            return self._rule
        calibrated = read_calibration(Path(bot.folder) / CALIBRATION_FILE, bot.hash)
        tracker = self.plain(bot)
        return tracker if calibrated is None else CalibratedTracker(tracker, calibrated)

    def plain(self, bot: BotDefinition) -> Tracker:
        """Return the tracker of a bot without its calibration, as one is fitted to it."""
        if bot.model is None:
            return self._rule
        vectors = self._vectors() if bot.model.examples == "vectors" else None
        if bot.model.tracker == "rule":
            return RuleTracker(vectors)
        if self._scorer is None:
            logger.warning("%s is to be read by a model; there is none, so rules do", bot.name)
            return RuleTracker(vectors)
        scorer = self._scorer()
        if bot.model.name not in ("", scorer.name):
            logger.warning(
                "%s names the model %s; it is read by the one that is served, %s",
                bot.name, bot.model.name, scorer.name,
            )  # fmt: skip
        return ConstrainedTracker(scorer, vectors=vectors)
