"""Bytes of tokens to text, as it comes: whole characters only, stop strings held back.

Knows nothing of tokens; it is fed their bytes.
"""

import codecs
from collections.abc import Sequence


class IncrementalDetokenizer:
    """Turns a stream of bytes into text that can be shown at once.

    A character is given out when its last byte has come; text that may be the beginning of a stop
    string is held back until it is known. A stop string is removed together with all that follows,
    and `stopped` is set.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._held = ""
        self.stopped = False

    def push(self, data: bytes) -> str:
        """Take the bytes of one token and return the text that is certain by now."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(data)
        return self._release(final=False)

    def finish(self) -> str:
        """Return what was held back; an unfinished character becomes U+FFFD."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(b"", final=True)
        return self._release(final=True)

    def _release(self, *, final: bool) -> str:
        found = [at for at in (self._held.find(s) for s in self._stop) if at >= 0]
        if found:
            self.stopped = True
            said, self._held = self._held[: min(found)], ""
            return said
        keep = 0 if final else self._possible_beginning()
        cut = len(self._held) - keep
        said, self._held = self._held[:cut], self._held[cut:]
        return said

    def _possible_beginning(self) -> int:
        """Return the length of the longest suffix that begins a stop string."""
        longest = max((len(s) for s in self._stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(s.startswith(self._held[-size:]) for s in self._stop):
                return size
        return 0
