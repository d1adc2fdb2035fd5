"""The shortest way to finish: few tokens that lead from a state to where the output may end.

For automata it is searched exactly. For grammars of llguidance, whose states cannot be compared,
it is a *witness*: bytes that were tried on a copy of the state and are known to finish it. A state
is followed byte by byte beside the tokens, since that makes a trial a matter of microseconds.
Knows no budget.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llguidance import LLMatcher

from llm.decoding.automaton import State
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar import MatcherGrammar
from llm.decoding.vocabulary import END
from llm.decoding.witness_search import BROAD_DETOUR, BROAD_START, MAX_SYMBOLS, Search
from llm.errors import GrammarTooLargeError

_MAX_DETOUR = 64  # symbols by which a completion that is searched anew may be longer


@runtime_checkable
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
    def start(cls, grammar: MatcherGrammar, limit: int = 0) -> "WitnessCompleter":
        """Return a completer at the start of the output.

        An output of at most `limit` tokens is good enough; else the shortest is looked for.

        Raises:
            GrammarTooLargeError: the shortest output is too long, or was not found.
        """
        matcher = grammar.symbol_matcher()
        count = grammar.vocabulary.count_tokens
        if grammar.short is None:
            witness = Search(grammar).quick(matcher.deep_copy(), MAX_SYMBOLS, broadly=BROAD_START)
            if witness is None:
                raise GrammarTooLargeError(what="the shortest output of this form")
            grammar.short = (tuple(witness), False)
        known, is_shortest = grammar.short
        if not is_shortest and count(known) > limit:
            known = tuple(Search(grammar).best(matcher, list(known)))
            grammar.short = (known, True)
        return cls(matcher, grammar, [(0, known)])

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
        found = Search(self._grammar).quick(ahead, most, broadly=BROAD_DETOUR)
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
