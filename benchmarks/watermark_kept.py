"""Replies kept in a folder, a file for each scheme, so that hours of drawing can be interrupted.

A file's first line says how its replies were drawn; a file of another drawing is not added to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.watermark_generations import Reply

Drawn = Mapping[str, str | int | float]


class KeptReplies:
    """The replies of one scheme, in the order of their seeds."""

    def __init__(self, path: Path, drawn: Drawn) -> None:
        """Open the file or make it; `drawn` is what replies that belong together have in common.

        Raises:
            ValueError: the file has replies that were drawn otherwise.
        """
        self._path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(dict(drawn)) + "\n", encoding="utf-8")
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        if json.loads(head) != dict(drawn):
            raise ValueError(
                f"the replies in {path.name} were drawn by {head}, wanted are {json.dumps(drawn)};"
                " take another folder"
            )
        self.replies = [_reply(line) for line in lines]

    def add(self, replies: Sequence[Reply]) -> None:
        """Append what was drawn after those that are there."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(reply)) + "\n" for reply in replies)
        self.replies.extend(replies)


def _reply(line: str) -> Reply:
    kept = json.loads(line)
    kept["predicted"] = {int(length): power for length, power in kept["predicted"].items()}
    return Reply(**kept)
