"""A notebook as tools: what is noted is in the file NOTEBOOK, ~/notebook.txt unless it is set.

CAUSERIE_TOOL_FILES=examples/tools/notebook.py python -m api serve
"""

import os
from pathlib import Path
from typing import Annotated

from tools.argument_types import Size
from tools.base import tool
from tools.errors import NotFoundError

MAX_NOTES = 100


def _file() -> Path:
    return Path(os.environ.get("NOTEBOOK", "~/notebook.txt")).expanduser()


@tool(effect="read")
def read_notes(about: Annotated[str, Size(most=200)] = "") -> list[str]:
    """Read what was noted.

    Args:
        about: a word that the notes hold; empty for all.
    """
    path = _file()
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = [line for line in lines if about.casefold() in line.casefold()]
    if not found:
        raise NotFoundError(f"nothing is noted about {about!r}" if about else "nothing is noted")
    return found[-MAX_NOTES:]


@tool(effect="write")
def save_note(text: Annotated[str, Size(least=1, most=500)]) -> str:
    """Note something down.

    Args:
        text: what to note.
    """
    with _file().open("a", encoding="utf-8") as file:
        file.write(" ".join(text.split()) + "\n")
    return "noted"
