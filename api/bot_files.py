"""Files of a bot that were sent: data is written, code is not."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from api.error_table import RequestError

MAX_FILES: Final = 100
_KINDS: Final = frozenset({".yaml", ".yml", ".csv", ".tsv", ".json", ".jsonl", ".md", ".txt"})


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a bot into its folder.

    Raises:
        RequestError: a path that leads out of the folder, code, or another kind of file.
    """
    if len(files) > MAX_FILES:
        raise _refused(f"files holds {len(files)} files; a bot has at most {MAX_FILES}")
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise _refused(f"the file {name!r} is not inside of the bot's folder")
        if path.suffix == ".py":
            raise _refused(
                f"{name} is code, which nobody may send: put it into the bot's folder under"
                " CAUSERIE_BOTS on the server"
            )
        if path.suffix.lower() not in _KINDS:
            raise _refused(f"the file {name!r} is none of {', '.join(sorted(_KINDS))}")
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _refused(words: str) -> RequestError:
    return RequestError(400, words, param="files", code="invalid_value")
