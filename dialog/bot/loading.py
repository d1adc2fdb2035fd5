"""From a bot file to a `BotDefinition`."""

from pathlib import Path

from dialog.bot.definition import BotDefinition


def load_bot(path: Path | str) -> BotDefinition:
    """Read a bot file, or the `bot.yaml` of a folder.

    Raises:
        BotFileErrors: all that is wrong with it, in file order.
    """
    raise NotImplementedError(path)
