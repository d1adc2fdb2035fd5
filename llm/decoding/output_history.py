"""What a tenant was answered before, as a source of drafts.

The most recent tokens alone are kept. Drafts continue the longest match of the end of the text in
them, as long as they probably go on so (SuffixDecoding, arXiv 2411.04975). No tenant sees what
another was answered: not even how soon an answer comes may tell it. Knows no requests.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from llm.decoding.suffix_automaton import ROOT, SuffixAutomaton

DEPTH = 24
LEAST_MATCH = 2
LEAST_PROBABILITY = 0.1
_END = -1  # stands between two outputs; no token


class OutputHistory:
    """The most recent outputs of one tenant. For several threads."""

    def __init__(self, *, max_tokens: int = 16_384) -> None:
        """Take how many tokens are kept at most, ends of outputs included.

        A token takes some 600 bytes, and twice as much in the course of being replaced.

        Raises:
            ValueError: there is no room for two tokens.
        """
        if max_tokens < 2:
            raise ValueError(f"an output history holds 2 tokens or more, got {max_tokens}")
        self._max_tokens = max_tokens
        self._lock = Lock()
        self._size = 0
        self._automaton = SuffixAutomaton(DEPTH)
        self._next: SuffixAutomaton | None = None  # holds what is to stay when this one is full
        self._next_size = 0
        self._version = 0

    def __len__(self) -> int:
        """Return how many tokens are kept."""
        return self._size

    def add(self, tokens: Sequence[int]) -> None:
        """Keep an output; of a very long one the end.

        Takes some 5 microseconds for each token, so a thread in a hurry leaves it to another.
        """
        if not tokens:
            return
        kept = [*tokens[-(self._max_tokens - 1) :], _END]
        with self._lock:
            for token in kept:
                self._append(token)
            self._version += 1

    def drafter(self, prompt_ids: Sequence[int] = ()) -> "PastOutputs":
        """Return a drafter at the start of a text, which stands behind a prompt."""
        return PastOutputs(self, prompt_ids)

    def draft(self, place: "Place", most: int) -> list[int]:
        """Return what probably follows at a place, which is brought up to its last token."""
        drafted: list[int] = []
        with self._lock:
            self._catch_up(place)
            automaton, state, length = self._automaton, place.state, place.length
            probability = 1.0
            while length >= LEAST_MATCH and len(drafted) < most:
                likeliest = automaton.likeliest(state)
                if likeliest is None or likeliest[0] == _END:
                    break
                probability *= likeliest[1] / automaton.count(state)
                if probability < LEAST_PROBABILITY:
                    break
                drafted.append(likeliest[0])
                state, length = automaton.follow(state, length, likeliest[0])
        return drafted

    def _catch_up(self, place: "Place") -> None:
        """Match the tokens that were taken since; all of them if the outputs are others now."""
        fresh = place.fresh
        if place.version != self._version or fresh > len(place.recent):
            place.version, place.state, place.length = self._version, ROOT, 0
            fresh = len(place.recent)
        for i in range(len(place.recent) - fresh, len(place.recent)):
            place.state, place.length = self._automaton.follow(
                place.state, place.length, place.recent[i]
            )
        place.fresh = 0

    def _append(self, token: int) -> None:
        if self._size >= self._max_tokens:
            assert self._next is not None
            self._automaton, self._size = self._next, self._next_size
            self._next = None
        self._automaton.append(token)
        self._size += 1
        if 2 * self._size > self._max_tokens:
            if self._next is None:
                self._next, self._next_size = SuffixAutomaton(DEPTH), 0
            self._next.append(token)
            self._next_size += 1


@dataclass(slots=True)
class Place:
    """Where the end of a text stands in a history; of no use but to that history."""

    recent: deque[int]  # the last tokens, as many as can match
    fresh: int  # how many of the last were not matched yet
    version: int = -1
    state: int = ROOT
    length: int = 0


class PastOutputs:
    """Drafts what followed in earlier outputs: a function of them and of the tokens taken."""

    __slots__ = ("_history", "_place")

    def __init__(self, history: OutputHistory, prompt_ids: Sequence[int] = ()) -> None:
        self._history = history
        recent = deque(prompt_ids[-DEPTH:], maxlen=DEPTH)
        self._place = Place(recent=recent, fresh=len(recent))

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`."""
        return self._history.draft(self._place, most)

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        self._place.recent.append(token)
        self._place.fresh += 1

    def fork(self) -> "PastOutputs":
        """See `phases.Drafter`."""
        copy = PastOutputs(self._history)
        copy._place = replace(self._place, recent=self._place.recent.copy())
        return copy


class OutputHistories:
    """The outputs of each tenant, apart from those of all others. For several threads."""

    def __init__(self, *, max_tokens: int = 16_384, max_tenants: int = 8) -> None:
        """Take the tokens kept of each tenant, and the tenants kept: those used last.

        Raises:
            ValueError: there is no room for a tenant, or for two tokens of one.
        """
        if max_tenants < 1:
            raise ValueError(f"the outputs of 1 tenant or more are kept, got {max_tenants}")
        OutputHistory(max_tokens=max_tokens)  # checks it now rather than at the first request
        self._max_tokens = max_tokens
        self._max_tenants = max_tenants
        self._lock = Lock()
        self._histories: OrderedDict[str, OutputHistory] = OrderedDict()

    def __len__(self) -> int:
        """Return how many tenants are kept."""
        return len(self._histories)

    def of(self, tenant: str) -> OutputHistory:
        """Return the outputs of a tenant, none at first."""
        with self._lock:
            history = self._histories.get(tenant)
            if history is None:
                history = self._histories[tenant] = OutputHistory(max_tokens=self._max_tokens)
            self._histories.move_to_end(tenant)
            while len(self._histories) > self._max_tenants:
                self._histories.popitem(last=False)
            return history
