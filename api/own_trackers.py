"""The trackers of a command: models are loaded in this process, where a bot wants them."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from api.bot_trackers import BotTrackers
from api.settings import Settings, load_settings
from dialog.tracker.task_intents import SentenceVectors
from llm.chat import TextScorer
from llm.errors import LLMError

logger = logging.getLogger(__name__)


@contextmanager
def own_trackers(settings: Settings | None = None) -> Iterator[BotTrackers]:
    """Give the trackers of a command; the models that a bot wants are loaded here, and closed."""
    opened = ExitStack()

    def scorer() -> TextScorer:
        # Here and not above: torch costs seconds that most bots do without.
        from api.bootstrap import open_scorer  # noqa: PLC0415

        engine = open_scorer(settings or load_settings())
        opened.callback(engine.close)
        return engine

    def vectors() -> SentenceVectors | None:
        from api.bootstrap import embedder_alone  # noqa: PLC0415

        try:
            return embedder_alone(settings or load_settings())
        except LLMError as error:
            logger.warning("what tasks are called is compared by words alone: %s", error)
            return None

    with opened:
        yield BotTrackers(scorer, vectors)
