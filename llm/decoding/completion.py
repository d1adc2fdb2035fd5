"""The shortest way to finish: few tokens that lead from a state to where the output may end.

For automata it is searched exactly. For grammars of llguidance, whose states cannot be compared,
it is a *witness*: bytes that were tried on the state and are known to finish it. Knows no budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llguidance import LLMatcher

from llm.decoding.automaton import State
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar import GrammarState, MatcherGrammar, MatcherState
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

    def fork(self, state: GrammarState) -> "Completer":
        """Return an independent copy for a copy of the branch's state."""
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

    def fork(self, state: GrammarState) -> "AutomatonCompleter":
        """See `Completer`."""
        del state
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Symbols that are known to finish an output, and the fewest tokens that spell them.

    Where no tokens do, each symbol counts as one.
    """

    symbols: tuple[int, ...]
    tokens: tuple[int, ...] | None

    def __len__(self) -> int:
        return len(self.symbols if self.tokens is None else self.tokens)


class WitnessCompleter:
    """Completions in a grammar of llguidance, each of them tried before it is believed.

    Guesses are tried on the branch's own state, token by token, which is fast. Only searches go
    symbol by symbol, on a matcher that follows the branch when one is needed.
    """

    def __init__(
        self,
        grammar: MatcherGrammar,
        state: MatcherState,
        behind: LLMatcher,
        path: list[tuple[Sequence[int], Witness]],
        *,
        num_followed: int = 0,
    ) -> None:
        self._grammar = grammar
        self._state = state  # of the branch, which whoever owns it moves after this completer
        self._behind = behind  # over symbols; has taken those of `_path[: _num_followed + 1]`
        self._num_followed = num_followed
        self._vocabulary = grammar.vocabulary
        self._path = path  # for each token so far: its symbols, and the witness after it

    @classmethod
    def start(
        cls, grammar: MatcherGrammar, state: MatcherState, limit: int = 0
    ) -> "WitnessCompleter":
        """Return a completer at the start of the output, of which `state` is the state.

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
        first = Witness(symbols=known, tokens=grammar.vocabulary.spelt(known))
        return cls(grammar, state, matcher, [((), first)])

    def fewest(self) -> int:
        """See `Completer`."""
        return len(self._path[-1][1])

    def next_token(self) -> int | None:
        """See `Completer`."""
        return next(iter(self._path[-1][1].tokens or ()), None)

    def after(self, token: int, limit: int, *, search: bool = True) -> bool:
        """See `Completer`."""
        return self._completed(token, limit, search=search) is not None

    def advance(self, token: int, limit: int) -> bool:
        """See `Completer`."""
        witness = self._completed(token, limit)
        if witness is None:
            return False
        self._path.append((self._vocabulary.symbols(token), witness))
        return True

    def rollback(self, num_tokens: int) -> None:
        """See `Completer`."""
        if not num_tokens:
            return
        kept = len(self._path) - 1 - num_tokens
        if kept < self._num_followed:
            gone = self._path[kept + 1 : self._num_followed + 1]
            self._behind.rollback(sum(len(symbols) for symbols, _ in gone))
            self._num_followed = kept
        del self._path[kept + 1 :]

    def fork(self, state: GrammarState) -> "WitnessCompleter":
        """See `Completer`."""
        assert isinstance(state, MatcherState)
        return WitnessCompleter(
            self._grammar,
            state,
            self._behind.deep_copy(),
            self._path.copy(),
            num_followed=self._num_followed,
        )

    def _completed(self, token: int, limit: int, *, search: bool = True) -> Witness | None:
        """Return how to go on after `token` with at most `limit` tokens."""
        known = self._path[-1][1].symbols
        taken = tuple(self._vocabulary.symbols(token))
        if known[: len(taken)] == taken:
            witness = self._witness(known[len(taken) :], limit)  # on the way already
            if witness is not None:
                return witness
        for rest in _guesses(taken, known):
            witness = self._witness(rest, limit)
            if witness is not None and self._finishes(token, taken, witness):
                return witness
        return self._searched(taken, limit) if search else None

    def _searched(self, taken: tuple[int, ...], limit: int) -> Witness | None:
        ahead = self._followed().deep_copy()
        if ahead.try_consume_tokens(list(taken)) != len(taken):
            return None
        most = len(self._path[-1][1].symbols) + _MAX_DETOUR
        found = Search(self._grammar).quick(ahead, most, broadly=BROAD_DETOUR)
        return None if found is None else self._witness(tuple(found), limit)

    def _witness(self, rest: tuple[int, ...], limit: int) -> Witness | None:
        """Return it if it fits."""
        found = Witness(symbols=rest, tokens=self._vocabulary.spelt(rest))
        return found if len(found) <= limit or len(rest) <= limit else None

    def _finishes(self, token: int, taken: tuple[int, ...], witness: Witness) -> bool:
        if witness.tokens is None:
            symbols = [*taken, *witness.symbols, END]
            symbols_legal: int = self._followed().validate_tokens(symbols)
            return symbols_legal == len(symbols)
        return self._state.can_end_after([token, *witness.tokens])

    def _followed(self) -> LLMatcher:
        """Return the matcher over symbols, where the branch is."""
        for symbols, _ in self._path[self._num_followed + 1 :]:
            taken = self._behind.try_consume_tokens(list(symbols))
            assert taken == len(symbols)
            self._num_followed += 1
        return self._behind


def _guesses(taken: tuple[int, ...], known: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return completions that may still do after other symbols than the known one begins with."""
    overlaps = range(min(len(taken), len(known)), -1, -1)
    return [  # such as nothing after `x"}` for a known `"}`
        known[size:] for size in overlaps if taken[len(taken) - size :] == known[:size]
    ]
