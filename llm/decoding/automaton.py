"""Automata over bytes for what comes from data: values of a table, verbatim quotes, citations.

States are small immutable values, so a branch copies one by keeping it. Every state leads to an
accepting one: what cannot be finished is never begun. Knows no tokens.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

State = Hashable

_WORD = re.compile(r"\w+")


@runtime_checkable
class Automaton(Protocol):
    """A set of byte strings."""

    @property
    def start(self) -> State:
        """The state before the first byte."""
        ...

    def step(self, state: State, byte: int) -> State | None:
        """Return the state after one more byte; None if none of the strings goes on so."""
        ...

    def next_bytes(self, state: State) -> list[int]:
        """Return the bytes with which `step` goes on, ascending."""
        ...

    def accepts(self, state: State) -> bool:
        """Whether a string may end here."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """The strings `low` to `high` - 1 of a sorted list, which share their first `depth` bytes."""

    low: int
    high: int
    depth: int


class Values:
    """Some byte strings, sorted; a state is the interval of those with the same beginning.

    That is a trie without its nodes: 100,000 values take their own bytes and nothing else.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = sorted(set(values))
        if not self._values:
            raise ValueError("at least one value is needed, got none")

    @property
    def start(self) -> Interval:
        """See `Automaton`."""
        return Interval(0, len(self._values), 0)

    def step(self, state: State, byte: int) -> Interval | None:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        depth = state.depth

        def at(value: bytes) -> int:
            return value[depth] if len(value) > depth else -1

        low = bisect_left(self._values, byte, state.low, state.high, key=at)
        high = bisect_right(self._values, byte, low, state.high, key=at)
        return None if low == high else Interval(low, high, depth + 1)

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        found = []
        low = state.low + int(self.accepts(state))
        while low < state.high:
            byte = self._values[low][state.depth]
            found.append(byte)
            following = self.step(state, byte)
            assert following is not None
            low = following.high
        return found

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        return len(self._values[state.low]) == state.depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a quote stands: bytes `start` to `end` - 1 of passage number `passage`."""

    passage: int
    start: int
    end: int


class Quotes:
    """The spans of some passages that begin and end with whole words.

    A state is the interval of those words, in the sorted list of all of them with what follows,
    from which the bytes so far begin: a suffix array that has words for suffixes. It knows its
    places in the passages at any time, which a suffix automaton, whose states forget where a match
    began, does not; and no span reaches from one passage into the next.
    """

    def __init__(self, texts: Sequence[str], *, min_bytes: int = 1, max_bytes: int = 400) -> None:
        """Index the words of `texts`; a quote has `min_bytes` to `max_bytes` bytes.

        Raises:
            ValueError: no span is that long.
        """
        self._texts = [text.encode() for text in texts]
        self._min_bytes = min_bytes
        self._ends: list[frozenset[int]] = []
        begins: list[tuple[int, int, int]] = []  # passage, first byte, longest quote from there
        for number, text in enumerate(texts):
            words = _words(text)
            self._ends.append(frozenset(end for _, end in words))
            ends = [end for _, end in words]
            for start, _ in words:
                longest = ends[bisect_right(ends, start + max_bytes) - 1] - start
                if longest >= min_bytes:
                    begins.append((number, start, longest))
        if not begins:
            raise ValueError(
                f"no passage has a span of {min_bytes} to {max_bytes} bytes that begins and ends"
                " with a word; allow shorter quotes"
            )
        begins.sort(key=lambda begin: self._bytes(*begin))
        self._begins = begins

    @property
    def start(self) -> Interval:
        """See `Automaton`."""
        return Interval(0, len(self._begins), 0)

    def step(self, state: State, byte: int) -> Interval | None:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        depth = state.depth

        def at(begin: tuple[int, int, int]) -> int:
            return self._texts[begin[0]][begin[1] + depth] if begin[2] > depth else -1

        low = bisect_left(self._begins, byte, state.low, state.high, key=at)
        high = bisect_right(self._begins, byte, low, state.high, key=at)
        return None if low == high else Interval(low, high, depth + 1)

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        found = []
        low = state.low
        while low < state.high:
            number, start, longest = self._begins[low]
            if longest == state.depth:
                low += 1
                continue
            byte = self._texts[number][start + state.depth]
            found.append(byte)
            following = self.step(state, byte)
            assert following is not None
            low = following.high
        return found

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        assert isinstance(state, Interval)
        if state.depth < self._min_bytes:
            return False
        begins = self._begins[state.low : state.high]
        return any(start + state.depth in self._ends[number] for number, start, _ in begins)

    def spans(self, state: State) -> list[Span]:
        """Return where the bytes so far stand as whole words, in order of passage and place."""
        assert isinstance(state, Interval)
        found = [
            (number, start)
            for number, start, _ in self._begins[state.low : state.high]
            if start + state.depth in self._ends[number]
        ]
        return [
            Span(passage=number, start=start, end=start + state.depth)
            for number, start in sorted(found)
        ]

    def find(self, quote: bytes) -> list[Span]:
        """Return where a quote stands; none if it is no quote of these passages."""
        state: Interval | None = self.start
        for byte in quote:
            if state is None:
                return []
            state = self.step(state, byte)
        return [] if state is None or not self.accepts(state) else self.spans(state)

    def _bytes(self, number: int, start: int, longest: int) -> bytes:
        return self._texts[number][start : start + longest]


def _words(text: str) -> list[tuple[int, int]]:
    """Return first and last + 1 byte of each word."""
    found = []
    at = byte = 0
    for word in _WORD.finditer(text):
        start = byte + len(text[at : word.start()].encode())
        end = start + len(word.group().encode())
        found.append((start, end))
        at, byte = word.end(), end
    return found


class Different:
    """`least` to `most` of some byte strings one after the other, none twice, in any order."""

    def __init__(self, values: Sequence[bytes], *, least: int, most: int) -> None:
        """Take the strings; none may begin another, else one would not know where it ends."""
        for value in values:
            for other in values:
                if value is not other and other.startswith(value):
                    raise ValueError(f"{other!r} begins with {value!r}; put both in brackets")
        self._values = tuple(values)
        self._least = least
        self._most = most

    @property
    def start(self) -> State:
        """See `Automaton`."""
        return (frozenset[int](), b"")

    def step(self, state: State, byte: int) -> State | None:
        """See `Automaton`."""
        used, begun = self._unpacked(state)
        begun += bytes([byte])
        open_ = [i for i in self._open(used) if self._values[i].startswith(begun)]
        if not open_:
            return None
        if self._values[open_[0]] == begun:
            return (used | {open_[0]}, b"")
        return (used, begun)

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        used, begun = self._unpacked(state)
        open_ = (self._values[i] for i in self._open(used))
        return sorted({value[len(begun)] for value in open_ if value.startswith(begun)})

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        used, begun = self._unpacked(state)
        return not begun and len(used) >= self._least

    def _open(self, used: frozenset[int]) -> list[int]:
        if len(used) >= self._most:
            return []
        return [i for i in range(len(self._values)) if i not in used]

    @staticmethod
    def _unpacked(state: State) -> tuple[frozenset[int], bytes]:
        assert isinstance(state, tuple)
        used, begun = state
        return used, begun


class Chain:
    """A string of each part, one after the other; a state holds all ways to have come so far."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)

    @property
    def start(self) -> State:
        """See `Automaton`."""
        return self._closed({(0, self._parts[0].start)})

    def step(self, state: State, byte: int) -> State | None:
        """See `Automaton`."""
        following = set()
        for number, inner in _threads(state):
            stepped = self._parts[number].step(inner, byte)
            if stepped is not None:
                following.add((number, stepped))
        return self._closed(following) if following else None

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        threads = _threads(state)
        return sorted({byte for i, inner in threads for byte in self._parts[i].next_bytes(inner)})

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        last = len(self._parts) - 1
        return any(i == last and self._parts[i].accepts(inner) for i, inner in _threads(state))

    def _closed(self, threads: set[tuple[int, State]]) -> State:
        waiting = list(threads)
        while waiting:
            number, inner = waiting.pop()
            if number + 1 < len(self._parts) and self._parts[number].accepts(inner):
                entered = (number + 1, self._parts[number + 1].start)
                if entered not in threads:
                    threads.add(entered)
                    waiting.append(entered)
        return frozenset(threads)


class Either:
    """A string of any of the parts."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)

    @property
    def start(self) -> State:
        """See `Automaton`."""
        return frozenset((i, part.start) for i, part in enumerate(self._parts))

    def step(self, state: State, byte: int) -> State | None:
        """See `Automaton`."""
        stepped = ((i, self._parts[i].step(inner, byte)) for i, inner in _threads(state))
        return frozenset((i, inner) for i, inner in stepped if inner is not None) or None

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        threads = _threads(state)
        return sorted({byte for i, inner in threads for byte in self._parts[i].next_bytes(inner)})

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        return any(self._parts[i].accepts(inner) for i, inner in _threads(state))


class Optional:
    """A string of the part, or nothing."""

    def __init__(self, part: Automaton) -> None:
        self._part = part

    @property
    def start(self) -> State:
        """See `Automaton`."""
        return (True, self._part.start)

    def step(self, state: State, byte: int) -> State | None:
        """See `Automaton`."""
        assert isinstance(state, tuple)
        stepped = self._part.step(state[1], byte)
        return None if stepped is None else (False, stepped)

    def next_bytes(self, state: State) -> list[int]:
        """See `Automaton`."""
        assert isinstance(state, tuple)
        return self._part.next_bytes(state[1])

    def accepts(self, state: State) -> bool:
        """See `Automaton`."""
        assert isinstance(state, tuple)
        return bool(state[0]) or self._part.accepts(state[1])


def _threads(state: State) -> Iterable[tuple[int, State]]:
    assert isinstance(state, frozenset)
    return state
