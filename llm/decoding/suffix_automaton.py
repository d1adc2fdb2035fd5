"""The suffix automaton of a growing text (Blumer et al., TCS 40, 1985), with counts.

A state stands for all substrings that end at the same places of the text; there are fewer than two
states per token. Substrings of up to `depth` + 1 tokens are counted, each token of the text for at
most so many states. Knows nothing of drafts.
"""

ROOT = 0


class SuffixAutomaton:
    """All substrings of a text, and how often those of at most `depth` + 1 tokens occur."""

    __slots__ = ("_counts", "_depth", "_jumps", "_last", "_lengths", "_links", "_next")

    def __init__(self, depth: int) -> None:
        """Take the length in tokens of the longest substring that `follow` matches."""
        assert depth > 0
        self._depth = depth
        self._last = ROOT
        self._next: list[dict[int, int]] = [{}]
        self._lengths = [0]  # of the longest substring of each state
        self._links = [-1]  # the state of the longest suffix that occurs elsewhere too
        self._counts = [0]
        # a state on the way by links to the first that is counted, for those that are not
        self._jumps = [ROOT]

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self._next)

    def append(self, token: int) -> None:
        """Lengthen the text by a token."""
        steps, lengths, links = self._next, self._lengths, self._links
        new = self._state(lengths[self._last] + 1, {})
        state = self._last
        while state >= 0 and token not in steps[state]:
            steps[state][token] = new
            state = links[state]
        if state < 0:
            self._link(new, ROOT)
        else:
            target = steps[state][token]
            if lengths[target] != lengths[state] + 1:
                target = self._split(target, state, token)
            self._link(new, target)
        self._last = new
        self._count(new)

    def follow(self, state: int, length: int, token: int) -> tuple[int, int]:
        """Return the state and length of the longest match that ends with `token`.

        `state` and `length` are those of the longest match before it; `ROOT` and 0 at the start.
        """
        steps = self._next
        while token not in steps[state]:
            if state == ROOT:
                return ROOT, 0
            state = self._links[state]
            length = self._lengths[state]
        state = steps[state][token]
        if length < self._depth:
            return state, length + 1
        link = self._links[state]
        return (link if self._lengths[link] >= self._depth else state), self._depth

    def count(self, state: int) -> int:
        """Return how often the match occurs that led to a state."""
        return self._counts[state]

    def likeliest(self, state: int) -> tuple[int, int] | None:
        """Return the token that most often follows a match, and how often; the lowest of equals.

        None if nothing follows.
        """
        counts = self._counts
        best: tuple[int, int] | None = None
        for token, target in self._next[state].items():
            times = counts[target]
            if best is None or (times, -token) > (best[1], -best[0]):
                best = token, times
        return best

    def _state(self, length: int, steps: dict[int, int]) -> int:
        self._next.append(steps)
        self._lengths.append(length)
        self._links.append(-1)
        self._counts.append(0)
        self._jumps.append(ROOT)
        return len(self._next) - 1

    def _link(self, state: int, to: int) -> None:
        self._links[state] = self._jumps[state] = to

    def _split(self, target: int, state: int, token: int) -> int:
        """Give the shorter substrings of `target` a state of their own, and return it."""
        steps, links = self._next, self._links
        copy = self._state(self._lengths[state] + 1, dict(steps[target]))
        self._counts[copy] = self._counts[target]
        self._link(copy, links[target])
        self._link(target, copy)
        while state >= 0 and steps[state].get(token) == target:
            steps[state][token] = copy
            state = links[state]
        return copy

    def _count(self, state: int) -> None:
        """Count one more end of a substring, for a state and all of its suffixes."""
        links, lengths, jumps = self._links, self._lengths, self._jumps
        passed = []
        while lengths[links[state]] > self._depth:  # its shortest substring is too long
            passed.append(state)
            state = jumps[state]
        for deep in passed:  # so that a text which repeats itself takes no longer
            jumps[deep] = state
        while state != ROOT:
            self._counts[state] += 1
            state = links[state]
