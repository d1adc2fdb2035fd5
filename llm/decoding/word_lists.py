"""Strings that must not occur in a text, and strings that a text must be made of, as masks.

Both are automata over bytes, so it makes no difference how a string is cut into tokens. A list is
compiled once; where a branch stands in it is a value that is passed in and out. Masks are kept by
state. Knows nothing of requests or logits.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Bool

from llm.decoding.phases import Mask
from llm.decoding.spellings import Spellings, mask_of

_NUM_KEPT = 128  # lists of a kind, and masks of a list
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class BannedStrings:
    """An automaton of Aho and Corasick; a state is the longest end of the text that begins one."""

    def __init__(self, strings: Sequence[str], spellings: Spellings) -> None:
        self._spellings = spellings
        self._size = len(spellings.token_bytes)
        self._strings = [string.encode() for string in dict.fromkeys(strings)]
        self._next: list[dict[int, int]] = [{}]
        self._back = [0]
        self._depth = [0]
        self._through: list[list[int]] = [[]]  # the strings that a state is the beginning of
        for number, string in enumerate(self._strings):
            self._add(number, string)
        self._link()
        inside = [spellings.containing(string) for string in self._strings]
        self._inside = np.unique(np.concatenate(inside))
        self._masks: dict[int, Mask] = {}

    def _add(self, number: int, string: bytes) -> None:
        state = 0
        for byte in string:
            if byte not in self._next[state]:
                self._next[state][byte] = len(self._next)
                self._next.append({})
                self._back.append(0)
                self._depth.append(self._depth[state] + 1)
                self._through.append([])
            state = self._next[state][byte]
            if self._depth[state] < len(string):
                self._through[state].append(number)

    def _link(self) -> None:
        queue = deque(self._next[0].values())
        while queue:
            state = queue.popleft()
            for byte, target in self._next[state].items():
                self._back[target] = self._step(self._back[state], byte)
                queue.append(target)

    def _step(self, state: int, byte: int) -> int:
        while state and byte not in self._next[state]:
            state = self._back[state]
        return self._next[state].get(byte, 0)

    @property
    def start(self) -> int:
        """The state before any text."""
        return 0

    def after(self, state: int, data: bytes) -> int:
        """Return the state after some more bytes."""
        for byte in data:
            state = self._step(state, byte)
        return state

    def mask(self, state: int) -> Mask:
        """Return the tokens that complete no string; not to be written into."""
        kept = self._masks.get(state)
        if kept is not None:
            return kept
        banned = [self._inside]
        begun = state
        while begun:
            for number in self._through[begun]:
                rest = self._strings[number][self._depth[begun] :]
                banned.append(self._spellings.starting(rest))
            begun = self._back[begun]
        return _kept(self._masks, state, ~mask_of(np.concatenate(banned), self._size))


# The places in the strings where the text may be, each the beginning of some; 0 is between two.
Places = frozenset[int]
_BEFORE = -1  # the place before any text


class AllowedStrings:
    """An automaton of the texts that are one or more of the strings, one after the other."""

    def __init__(
        self, strings: Sequence[str], spellings: Spellings, eos_ids: frozenset[int]
    ) -> None:
        self._spellings = spellings
        self._size = len(spellings.token_bytes)
        self._eos_ids = eos_ids
        self._next: list[dict[int, int]] = [{}]
        self._whole = {0}
        for string in strings:
            state = 0
            for byte in string.encode():
                if byte not in self._next[state]:
                    self._next[state][byte] = len(self._next)
                    self._next.append({})
                state = self._next[state][byte]
            self._whole.add(state)
        self._masks: dict[Places, Mask] = {}

    @property
    def start(self) -> Places:
        """The places before any text."""
        return frozenset([_BEFORE])

    def after(self, places: Places, data: bytes) -> Places:
        """Return the places after some more bytes."""
        for byte in data:
            places = self._steps(places).get(byte, frozenset())
        return places

    def _steps(self, places: Places) -> dict[int, Places]:
        found: dict[int, set[int]] = {}
        for place in places:
            for byte, target in self._next[max(place, 0)].items():
                reached = found.setdefault(byte, set())
                if self._next[target]:
                    reached.add(target)
                if target in self._whole:
                    reached.add(0)
        return {byte: frozenset(reached) for byte, reached in found.items()}

    def mask(self, places: Places) -> Mask:
        """Return the tokens that keep to the strings; not to be written into."""
        kept = self._masks.get(places)
        if kept is not None:
            return kept
        allowed: list[int] = []
        self._walk(places, b"", 0, self._size, allowed)
        if 0 in places:
            allowed += self._eos_ids
        return _kept(self._masks, places, mask_of(allowed, self._size))

    def _walk(self, places: Places, piece: bytes, begin: int, end: int, allowed: list[int]) -> None:
        """Collect the tokens of a range of ranks, all of which begin with `piece`."""
        ranked, order = self._spellings.ranked, self._spellings.order
        while piece and begin < end and ranked[begin] == piece:
            allowed.append(int(order[begin]))
            begin += 1
        if begin == end:
            return
        for byte, reached in self._steps(places).items():
            longer = piece + bytes([byte])
            low, high = self._spellings.narrowed(longer, begin, end)
            if low < high:
                self._walk(reached, longer, low, high, allowed)


class WordLists:
    """The lists of one vocabulary; each is compiled once and kept for a while."""

    def __init__(self, spellings: Spellings, eos_ids: frozenset[int]) -> None:
        self._spellings = spellings
        self._eos_ids = eos_ids
        self._banned: dict[tuple[str, ...], BannedStrings] = {}
        self._allowed: dict[tuple[str, ...], AllowedStrings] = {}
        self._breakers: dict[tuple[str, ...], Bool[np.ndarray, " v"]] = {}

    def banned(self, strings: tuple[str, ...]) -> BannedStrings:
        """Return the automaton of strings that must not occur."""
        found = self._banned.get(strings)
        return found or _kept(self._banned, strings, BannedStrings(strings, self._spellings))

    def allowed(self, strings: tuple[str, ...]) -> AllowedStrings:
        """Return the automaton of strings that the text is made of."""
        found = self._allowed.get(strings)
        if found is None:
            found = AllowedStrings(strings, self._spellings, self._eos_ids)
            _kept(self._allowed, strings, found)
        return found

    def breakers(self, strings: tuple[str, ...]) -> Bool[np.ndarray, " v"]:
        """Return for each token whether it contains one of the strings; not to be written into."""
        found = self._breakers.get(strings)
        if found is None:
            found = np.zeros(len(self._spellings.token_bytes), np.bool_)
            for string in strings:
                found[self._spellings.containing(string.encode())] = True
            _kept(self._breakers, strings, found)
        return found


def _kept(kept: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Keep a value, in place of the oldest if there are many."""
    if len(kept) >= _NUM_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
    return value
