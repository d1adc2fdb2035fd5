"""An entry of the library reference, and the text that a module's entries make.

Headings are underlined as in reStructuredText (`*` module, `=` function or class, `-` method), the
form in which Python's own topics come, so that one rule cuts both into chunks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MEDIA_TYPE = "text/x-rst"
MAX_TITLE = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A function, class or method: what its heading says and what its docstring says.

    `signature` is what follows the name, with its brackets; it may be empty. `origin` is the module
    that defines it, when that is another one than the module which offers it.
    """

    name: str
    signature: str = ""
    doc: str = ""
    is_class: bool = False
    members: tuple["Entry", ...] = ()
    origin: str = ""


def heading(text: str, mark: str) -> str:
    """Return `text` as a heading: one line, underlined at its full width."""
    line = " ".join(text.split())
    return f"{line}\n{mark * len(line)}"


def render(title: str, prefix: str, doc: str, entries: Iterable[Entry]) -> str:
    """Return the readable text of a module; every name in a heading gets `prefix`."""
    parts = [heading(title, "*"), doc]
    for entry in entries:
        kind = "class " if entry.is_class else ""
        parts += [heading(f"{kind}{prefix}{entry.name}{entry.signature}", "="), entry.doc]
        for member in entry.members:
            name = f"{prefix}{entry.name}.{member.name}{member.signature}"
            parts += [heading(name, "-"), member.doc]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_title(name: str, doc: str) -> str:
    """Return a title for a module: its name, and what its docstring's first sentence calls it.

    Only a first line that stands alone is a summary; one that runs on would be cut mid-sentence.
    """
    first, _, rest = doc.strip().partition("\n")
    if rest and rest[0] != "\n":
        first = ""
    last = re.escape(name.rpartition(".")[2])
    first = re.sub(rf"^(Module )?({re.escape(name)}|{last}|Module)(\.py)?( -+ |: )", "", first)
    first = " ".join(first.split()).rstrip(".")
    if first in {"", name, f"{name} module"} or len(first) > MAX_TITLE:
        return f"The {name} module"
    return f"{name} — {first}"
