"""The shortest way to finish: few tokens that lead from a state to where the output may end.

For automata it is searched exactly. For grammars of llguidance, whose states cannot be compared,
it is a *witness*: bytes that were tried on a copy of the state and are known to finish it. A state
is followed byte by byte beside the tokens, since that makes a trial a matter of microseconds.
Knows no budget.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from llguidance import LLMatcher

from llm.decoding.automaton import State
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar import MatcherGrammar
from llm.decoding.vocabulary import END, NUM_BYTES
from llm.errors import GrammarTooLargeError

MAX_SYMBOLS = 20_000  # of the shortest output of a grammar
_MAX_DETOUR = 64  # a completion that is searched anew may be so much longer than the last
_BEAM = 24
_ALIKE = 3
_BROAD_START = 512
_BROAD_DETOUR = 12
_ROLLOUT_WIDTH = 8
_MAX_ROLLOUTS = 400

# what ends things first, then the shortest values, then what opens things
_ENDING = b'"}]'
_CLOSING = b'"}])>,0123456789ntf-[{('


class Completer(Protocol):
    """Follows a branch and knows how to finish it soon."""

    def fewest(self) -> int:
        """Return how many tokens the known completion of this state has."""
        ...

    def after(self, token: int, limit: int, *, search: bool = True) -> bool:
        """Return whether a completion of at most `limit` tokens is known once `token` is taken.

        Without `search` only what is quick to see is considered.
        """
        ...

    def next_token(self) -> int | None:
        """Return the first token of the known completion; None where the output may end."""
        ...

    def advance(self, token: int, limit: int) -> bool:
        """Take a token, as `after` allows; False if it does not, and nothing has changed."""
        ...

    def rollback(self, num_tokens: int) -> None:
        """Take back the last tokens."""
        ...

    def fork(self) -> "Completer":
        """Return an independent copy."""
        ...


class AutomatonCompleter:
    """The shortest completions in an automaton."""

    def __init__(self, grammar: AutomatonGrammar, path: list[tuple[State, list[int]]]) -> None:
        self._grammar = grammar
        self._path = path  # states, each with its shortest completion

    @classmethod
    def start(cls, grammar: AutomatonGrammar) -> "AutomatonCompleter":
        """Return a completer at the start of the output."""
        start = grammar.automaton.start
        shortest = grammar.shortest(start)
        assert shortest is not None, "every state of an automaton can be finished"
        return cls(grammar, [(start, shortest)])

    def fewest(self) -> int:
        """See `Completer`."""
        return len(self._path[-1][1])

    def next_token(self) -> int | None:
        """See `Completer`."""
        return next(iter(self._path[-1][1]), None)

    def after(self, token: int, limit: int, *, search: bool = True) -> bool:
        """See `Completer`."""
        del search  # it is always exact
        return self._completed(token, limit) is not None

    def advance(self, token: int, limit: int) -> bool:
        """See `Completer`."""
        found = self._completed(token, limit)
        if found is not None:
            self._path.append(found)
        return found is not None

    def rollback(self, num_tokens: int) -> None:
        """See `Completer`."""
        if num_tokens:
            del self._path[-num_tokens:]

    def fork(self) -> "AutomatonCompleter":
        """See `Completer`."""
        return AutomatonCompleter(self._grammar, self._path.copy())

    def _completed(self, token: int, limit: int) -> tuple[State, list[int]] | None:
        at, known = self._path[-1]
        following = self._grammar.after(at, token)
        if following is None:
            return None
        if known and known[0] == token:
            return (following, known[1:]) if len(known) - 1 <= limit else None
        shortest = self._grammar.shortest(following)
        return None if shortest is None or len(shortest) > limit else (following, shortest)


class WitnessCompleter:
    """Completions in a grammar of llguidance, each of them tried before it is believed."""

    def __init__(
        self, matcher: LLMatcher, grammar: MatcherGrammar, path: list[tuple[int, tuple[int, ...]]]
    ) -> None:
        self._matcher = matcher  # over symbols
        self._grammar = grammar
        self._vocabulary = grammar.vocabulary
        self._path = path  # for each token so far: its number of symbols, and the witness after it

    @classmethod
    def start(cls, grammar: MatcherGrammar) -> "WitnessCompleter":
        """Return a completer at the start of the output.

        Raises:
            GrammarTooLargeError: the shortest output is too long, or was not found.
        """
        matcher = grammar.symbol_matcher()
        if grammar.shortest is None:
            witness = Search(grammar).best(matcher.deep_copy())
            if witness is None:
                raise GrammarTooLargeError(what="the shortest output of this form")
            grammar.shortest = tuple(witness)
        return cls(matcher, grammar, [(0, grammar.shortest)])

    def fewest(self) -> int:
        """See `Completer`."""
        return self._vocabulary.count_tokens(self._path[-1][1])

    def next_token(self) -> int | None:
        """See `Completer`."""
        tokens = self._vocabulary.fewest_tokens(self._path[-1][1])
        return next(iter(tokens or ()), None)

    def after(self, token: int, limit: int, *, search: bool = True) -> bool:
        """See `Completer`."""
        symbols = self._vocabulary.symbols(token)
        return self._completed(symbols, limit, search=search) is not None

    def advance(self, token: int, limit: int) -> bool:
        """See `Completer`."""
        symbols = self._vocabulary.symbols(token)
        witness = self._completed(symbols, limit)
        if witness is None:
            return False
        taken = self._matcher.try_consume_tokens(list(symbols))
        assert taken == len(symbols)
        self._path.append((len(symbols), witness))
        return True

    def rollback(self, num_tokens: int) -> None:
        """See `Completer`."""
        if num_tokens:
            gone = self._path[-num_tokens:]
            del self._path[-num_tokens:]
            self._matcher.rollback(sum(size for size, _ in gone))

    def fork(self) -> "WitnessCompleter":
        """See `Completer`."""
        return WitnessCompleter(self._matcher.deep_copy(), self._grammar, self._path.copy())

    def _completed(
        self, symbols: Sequence[int], limit: int, *, search: bool = True
    ) -> tuple[int, ...] | None:
        """Return how to go on after `symbols` with at most `limit` tokens."""
        known = self._path[-1][1]
        taken = tuple(symbols)
        if known[: len(taken)] == taken and self._fits(known[len(taken) :], limit):
            return known[len(taken) :]  # on the way already
        for rest in _guesses(taken, known):
            if self._fits(rest, limit) and self._finishes(taken, rest):
                return rest
        return self._searched(taken, limit) if search else None

    def _searched(self, taken: tuple[int, ...], limit: int) -> tuple[int, ...] | None:
        ahead = self._matcher.deep_copy()
        if ahead.try_consume_tokens(list(taken)) != len(taken):
            return None
        most = len(self._path[-1][1]) + _MAX_DETOUR
        found = Search(self._grammar).quick(ahead, most, broadly=_BROAD_DETOUR)
        if found is not None and self._fits(found, limit):
            return tuple(found)
        return None

    def _fits(self, rest: Sequence[int], limit: int) -> bool:
        return len(rest) <= limit or self._vocabulary.count_tokens(tuple(rest)) <= limit

    def _finishes(self, taken: tuple[int, ...], rest: tuple[int, ...]) -> bool:
        symbols = [*taken, *rest, END]
        legal: int = self._matcher.validate_tokens(symbols)
        return legal == len(symbols)


def _guesses(taken: tuple[int, ...], known: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return completions that may still do after other symbols than the known one begins with."""
    overlaps = range(min(len(taken), len(known)), -1, -1)
    return [  # such as nothing after `x"}` for a known `"}`
        known[size:] for size in overlaps if taken[len(taken) - size :] == known[:size]
    ]


class Search:
    """Looks for short completions of a state of llguidance, symbol by symbol."""

    def __init__(self, grammar: MatcherGrammar) -> None:
        vocabulary = self._vocabulary = grammar.vocabulary
        self._hints = grammar.hints
        letters = bytes(vocabulary.long_runs) + bytes(range(0x20, 0x7F)) + bytes(range(NUM_BYTES))
        order = [*_CLOSING, *letters, *range(NUM_BYTES + 1, vocabulary.num_symbols)]
        self._order = list(dict.fromkeys(order))

    def quick(self, matcher: LLMatcher, most: int, *, broadly: int) -> list[int] | None:
        """Return a completion of at most `most` symbols; `matcher` is used up.

        If it has more than `broadly`, it may not be found.
        """
        spare = matcher.deep_copy()
        found = self._straight(matcher, most)
        return self._broad(spare, min(most, broadly)) if found is None else found

    def best(self, matcher: LLMatcher) -> list[int] | None:
        """Return a completion with as few tokens as can be found by trying each way on."""
        ahead = matcher.deep_copy()
        done: list[int] = []
        known = self.quick(matcher.deep_copy(), MAX_SYMBOLS, broadly=_BROAD_START)
        rollouts = _MAX_ROLLOUTS
        while known is not None and rollouts > 0:
            forced, options = self._ways(ahead)
            ahead.try_consume_tokens(forced)
            done += forced
            if options is None:
                return done
            known = known if known[: len(done)] == done else None
            best = known
            for option in self._different(options):
                trial = ahead.deep_copy()
                trial.try_consume_tokens([option])
                rest = self.quick(trial, len(known or ()), broadly=_BROAD_DETOUR)
                rollouts -= 1
                if rest is not None and self._is_shorter([*done, option, *rest], best):
                    best = [*done, option, *rest]
            if best is None or len(best) == len(done):
                break
            known = best
            ahead.try_consume_tokens([known[len(done)]])
            done.append(known[len(done)])
        return known

    def _is_shorter(self, way: list[int], best: list[int] | None) -> bool:
        if best is None:
            return True
        count = self._vocabulary.count_tokens
        return (count(tuple(way)), len(way)) < (count(tuple(best)), len(best))

    def _straight(self, matcher: LLMatcher, most: int) -> list[int] | None:
        """Take what ends things soonest at every turn."""
        found: list[int] = []
        while len(found) <= most:
            forced, options = self._ways(matcher)
            found += forced
            if options is None:
                return found
            matcher.try_consume_tokens(forced)
            chosen = next((symbol for symbol in self._order if options >> symbol & 1), None)
            if chosen is None:
                return None
            step = [chosen] if chosen == _ENDING[0] else self._hinted(matcher) or [chosen]
            matcher.try_consume_tokens(step)
            found += step
        return None

    def _hinted(self, matcher: LLMatcher) -> list[int] | None:
        """Return a hint after which something can end."""
        for hint in self._hints:
            if matcher.validate_tokens(hint) != len(hint):
                continue
            ahead = matcher.deep_copy()
            ahead.try_consume_tokens(hint)
            options = _options(ahead)
            if ahead.is_accepting() or any(options >> symbol & 1 for symbol in _ENDING):
                return hint
        return None

    def _broad(self, matcher: LLMatcher, most: int) -> list[int] | None:
        """Go all ways at once; of those as long that look alike a few are followed."""
        layer: list[tuple[LLMatcher, list[int]]] = [(matcher, [])]
        for _ in range(most + 1):
            looks: Counter[tuple[int, bool]] = Counter()
            following: list[tuple[LLMatcher, list[int]]] = []
            for at, taken in layer:
                if at.is_accepting():
                    return taken
                for symbol in self._different(_options(at), width=3 * _ROLLOUT_WIDTH):
                    ahead = at.deep_copy()
                    if ahead.try_consume_tokens([symbol]) != 1:
                        continue
                    look = (_options(ahead), ahead.is_accepting())
                    looks[look] += 1
                    if looks[look] <= _ALIKE:
                        following.append((ahead, [*taken, symbol]))
            # where there is least to choose one has come farthest
            following.sort(key=lambda way: _options(way[0]).bit_count())
            layer = following[:_BEAM]
            if not layer:
                return None
        return None

    def _ways(self, matcher: LLMatcher) -> tuple[list[int], int | None]:
        """Return what must come, and the symbols that may follow; None if the end may."""
        if matcher.is_accepting():
            return [], None
        forced: list[int] = matcher.compute_ff_tokens()
        if not forced:
            return [], _options(matcher)
        ahead = matcher.deep_copy()
        ahead.try_consume_tokens(forced)
        return forced, None if ahead.is_accepting() else _options(ahead)

    def _different(self, options: int, width: int = _ROLLOUT_WIDTH) -> list[int]:
        """Return a few symbols of `options`: those that end things, and some of the others."""
        found = [symbol for symbol in self._order if options >> symbol & 1]
        return found[:width]


def _options(matcher: LLMatcher) -> int:
    if matcher.is_error():
        raise GrammarTooLargeError(what="what the grammar allows at this point")
    return int.from_bytes(matcher.compute_bitmask(), "little") & ~(1 << END)
