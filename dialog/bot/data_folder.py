"""Where the files that a bot names lie: in its own folder, or in that of public data sets."""

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "CAUSERIE_DATA"
_PREFIX: Final = f"${VARIABLE}/"


def located(folder: Path, name: str) -> tuple[Path, str]:
    """Return the folder that a name or pattern is relative to, and the rest of it.

    A name that begins with `$CAUSERIE_DATA/` is one of the folder in that variable.

    Raises:
        ValueError: the name leads elsewhere, or the variable names no folder.
    """
    if name.startswith(_PREFIX):
        home = os.environ.get(VARIABLE, "")
        if not home or not Path(home).is_dir():
            raise ValueError(
                f"{name!r} is in the folder of public data sets, and {VARIABLE} names none; set it"
            )
        folder, name = Path(home), name.removeprefix(_PREFIX)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(
            f"{name!r} is outside; files of a bot lie in its own folder, or below {_PREFIX}"
        )
    return folder, name
