"""`bot new`: the files of a new bot."""

from pathlib import Path
from typing import Annotated

import typer

from dialog.builder.skeleton import write_skeleton


def new(
    folder: Annotated[Path, typer.Argument(help="Of the new bot.", show_default=False)],
) -> None:
    """Write a first bot.yaml, tools.py and tests.yaml, which run as they are."""
    for path in write_skeleton(folder):
        print(f"wrote {path}")
    print(f"\nTry it:   python -m api bot chat {folder}")
    print(f"Test it:  python -m api bot test {folder}")
