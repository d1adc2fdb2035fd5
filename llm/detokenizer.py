"""Bytes of tokens to text, as it comes: whole characters only, possible stops held back.

Knows nothing of tokens; it is fed their bytes.
"""

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from llm.stop_pattern import PatternWalk, StopPattern


@runtime_checkable
class _Walk(Protocol):
    """Follows a text; see `PatternWalk`."""

    def push(self, character: str) -> int | None: ...

    @property
    def earliest(self) -> int: ...


class IncrementalDetokenizer:
    """Turns a stream of bytes into text that can be shown at once.

    A character is given out when its last byte has come; text that may be the beginning of a stop
    is held back until it is known. The first stop string or match of a stop pattern to be complete
    is removed with all that follows, and `stopped` is set; of those that are complete with the same
    character, the longest. So it makes no difference how the bytes are cut.

    `may_stop` is asked about the text before a stop; where it says no, the stop is text.
    """

    def __init__(
        self,
        stop: Sequence[str] = (),
        stop_regex: Sequence[str] = (),
        *,
        may_stop: Callable[[str], bool] | None = None,
    ) -> None:
        """Take stop strings and patterns; see `StopPattern` for errors."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._patterns = [StopPattern(pattern) for pattern in stop_regex]
        self._may_stop = may_stop
        self._whole: list[str] = []  # all that was given out, where somebody asks about it
        self._begun = 0  # characters before the walks began
        self._walks = self._new_walks()
        self._held = ""
        self._said = 0  # characters given out
        self.stopped = False

    def push(self, data: bytes) -> str:
        """Take the bytes of one token and return the text that is certain by now."""
        return "" if self.stopped else self._release(self._decoder.decode(data))

    def finish(self) -> str:
        """Return what was held back; an unfinished character becomes U+FFFD."""
        if self.stopped:
            return ""
        said = self._release(self._decoder.decode(b"", final=True))
        said, self._held = said + self._held, ""
        return said

    def _new_walks(self) -> list[_Walk]:
        walks: list[_Walk] = [_StringWalk(stop) for stop in self._stop]
        return walks + [PatternWalk(pattern) for pattern in self._patterns]

    def _release(self, text: str) -> str:
        if not self._walks:
            return text
        self._held += text
        for i, character in enumerate(text):
            begins = [walk.push(character) for walk in self._walks]
            found = [begin for begin in begins if begin is not None]
            if not found:
                continue
            before = self._held[: self._begun + min(found) - self._said]
            if self._may_stop is None or self._may_stop("".join([*self._whole, before])):
                self.stopped = True
                self._held = ""
                return before
            self._begun = self._said + len(self._held) - (len(text) - i - 1)
            self._walks = self._new_walks()
        cut = self._begun + min(walk.earliest for walk in self._walks) - self._said
        said, self._held = self._held[:cut], self._held[cut:]
        self._said += cut
        if self._may_stop is not None:
            self._whole.append(said)
        return said


class _StringWalk:
    """How much of a stop string the text ends with (Knuth, Morris and Pratt)."""

    def __init__(self, stop: str) -> None:
        self._stop = stop
        self._borders = [0] * len(stop)  # of stop[: i + 1], its longest proper prefix and suffix
        self._matched = 0
        self._at = 0
        for i in range(1, len(stop)):
            self._borders[i] = self._extended(self._borders[i - 1], stop[i])

    def _extended(self, matched: int, character: str) -> int:
        while matched and self._stop[matched] != character:
            matched = self._borders[matched - 1]
        return matched + (self._stop[matched] == character)

    def push(self, character: str) -> int | None:
        """Take a character; return where the string begins if this completes it."""
        self._matched = self._extended(self._matched, character)
        self._at += 1
        return self._at - self._matched if self._matched == len(self._stop) else None

    @property
    def earliest(self) -> int:
        """Where the string begins if it is to come."""
        return self._at - self._matched
