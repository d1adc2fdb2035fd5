"""The port of loaders: the bytes of a file in, readable text out.

A loader knows one format. It knows nothing of names, limits, hashes or collections; it may be run
in a process that is killed when it takes too long or too much.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

_UNWANTED_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What a loader found: the text, a title if the file names one, and facts worth keeping.

    The metadata key `warning` is a sentence about what could not be read.
    """

    text: str
    title: str = ""
    metadata: Mapping[str, str | int] = field(default_factory=dict)


class Loader(Protocol):
    """Turns the bytes of one kind of file into text."""

    def __call__(self, data: bytes, /) -> Extraction:
        """Return the text of `data`.

        Raises:
            ParseError: it cannot be read; the reason is one sentence.
        """
        ...


def tidy(text: str) -> str:
    """Return `text` as it is stored: valid UTF-8, lines ended by a line feed, no control junk.

    Tabs and form feeds (page breaks) stay. Idempotent.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _LONE_SURROGATES.sub("\ufffd", _UNWANTED_CONTROLS.sub("", text))


def one_line(text: str, *, max_chars: int = 200) -> str:
    """Return `text` tidied and on one line, cut with an ellipsis: the form of a title."""
    words = " ".join(tidy(text[: 8 * max_chars]).split())
    return words if len(words) <= max_chars else words[: max_chars - 1].rstrip() + "…"
