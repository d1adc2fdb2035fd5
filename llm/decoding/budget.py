"""A budget of tokens within which the output comes to an end that its grammar accepts.

With r tokens left, a token is taken only if a completion of at most r - 1 tokens is known for what
then stands; so whatever is drawn, and wherever the budget cuts, the output parses. Knows no logits
and no engine.
"""

import numpy as np

from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.completion import AutomatonCompleter, Completer, WitnessCompleter
from llm.decoding.grammar import Grammar, GrammarState, MatcherGrammar, MatcherState
from llm.decoding.vocabulary import Mask, Vocabulary, set_only, tokens_of
from llm.errors import BudgetTooSmallError, ConstraintConflictError

_RESERVE = 12  # tokens to spare, from which on a mask is only narrowed for what was refused
_MAX_REFUSED = 3  # at one place; then the mask holds only what is known to fit
_MAX_CHECKED = 384  # tokens of one mask
_MAX_SEARCHES = 16  # for one mask
_MAX_WORK = 6_000  # tokens of completions to try for one mask


def completer(grammar: Grammar, limit: int = 0, *, state: GrammarState | None = None) -> Completer:
    """Return what knows how to finish an output of this grammar.

    An output of at most `limit` tokens is short enough; else the shortest is looked for. `state` is
    that of the branch, at its start; None: it stays there.

    Raises:
        ConstraintError: nothing satisfies the grammar, or only what is far too long.
    """
    if isinstance(grammar, AutomatonGrammar):
        return AutomatonCompleter.start(grammar)
    assert isinstance(grammar, MatcherGrammar)
    at = grammar.start(forcing=False) if state is None else state
    assert isinstance(at, MatcherState)
    return WitnessCompleter.start(grammar, at, limit)


class BudgetedState:
    """A `GrammarState` that always leaves itself enough tokens to finish.

    Whether a token fits is found out when it is taken: `try_advance` may refuse one that `fill`
    offered. `fill` then leaves it out, and after a few refusals, or when the budget is nearly used
    up, offers only what is known to fit. With `exact` it always does, at the price of trying each
    token.
    """

    def __init__(
        self, grammar: Grammar, vocabulary: Vocabulary, max_tokens: int, *, exact: bool = False
    ) -> None:
        """Start an output of at most `max_tokens` tokens, the end token not counted.

        Raises:
            BudgetTooSmallError: that is too few for any output of the grammar.
        """
        self._state = grammar.start(forcing=False)
        self._completer = completer(grammar, max_tokens, state=self._state)
        self._vocabulary = vocabulary
        self._left = max_tokens
        self._exact = exact
        self._refused: set[int] = set()
        self._check(max_tokens)

    @property
    def tokens_left(self) -> int:
        """How many more tokens may be taken."""
        return self._left

    @property
    def tokens_needed(self) -> int:
        """How many more tokens suffice to finish."""
        return self._completer.fewest()

    @property
    def is_accepting(self) -> bool:
        """See `GrammarState`."""
        return self._state.is_accepting

    @property
    def is_finished(self) -> bool:
        """See `GrammarState`."""
        return self._state.is_finished

    def limit(self, tokens_left: int) -> None:
        """Set how many more tokens may be taken, as when time runs out.

        Raises:
            BudgetTooSmallError: that is too few to finish; nothing has changed.
        """
        self._check(tokens_left)
        self._left = tokens_left

    def fill(self, mask: Mask) -> None:
        """See `GrammarState`."""
        forced = self.forced()
        if forced:
            set_only(mask, forced[0])
            return
        self._state.fill(mask)
        if self.is_finished:
            return
        spare = self._left - self._completer.fewest()
        if self._exact:
            self._narrow(mask, self._vocabulary.size)
        elif spare < _RESERVE or len(self._refused) >= _MAX_REFUSED:
            self._narrow(mask, _MAX_CHECKED)
        elif self._refused:
            np.bitwise_and(mask, ~self._vocabulary.mask_of(self._refused), out=mask)

    def try_advance(self, token: int) -> bool:
        """Take a token that `fill` offered, or refuse it: then fill again and draw again.

        Raises:
            ConstraintConflictError: the grammar does not allow the token at all.
        """
        if token in self._vocabulary.eos_ids or self._state.is_finished:
            self._state.advance(token)
            self._refused.clear()
            return True
        if self._left < 1 or not self._completer.advance(token, self._left - 1):
            self._refused.add(token)
            return False
        self._state.advance(token)
        self._left -= 1
        self._refused.clear()
        return True

    def advance(self, token: int) -> None:
        """See `GrammarState`."""
        if not self.try_advance(token):
            raise ConstraintConflictError(
                f"after token {token} the output could not be finished in {self._left - 1} tokens"
            )

    def rollback(self, num_tokens: int) -> None:
        """See `GrammarState`."""
        ended = int(num_tokens > 0 and self._state.is_finished)
        self._state.rollback(num_tokens)
        self._completer.rollback(num_tokens - ended)
        self._left += num_tokens - ended
        self._refused.clear()

    def fork(self) -> "BudgetedState":
        """See `GrammarState`."""
        copy = object.__new__(BudgetedState)
        copy._state = self._state.fork()
        copy._completer = self._completer.fork(copy._state)
        copy._vocabulary = self._vocabulary
        copy._left = self._left
        copy._exact = self._exact
        copy._refused = self._refused.copy()
        return copy

    def forced(self) -> list[int]:
        """See `GrammarState`."""
        tokens = self._state.forced()
        return [] if not tokens else tokens[: self._count_fitting(tokens)]

    def foreseen(self) -> list[int]:
        """See `GrammarState`; whether they fit is for `count_legal` to say."""
        return self._state.foreseen()

    def count_legal(self, tokens: list[int]) -> int:
        """See `GrammarState`."""
        legal = self._state.count_legal(tokens)
        return self._count_fitting(tokens[:legal])

    def _count_fitting(self, tokens: list[int]) -> int:
        state, left = self._state.fork(), self._left
        completer = self._completer.fork(state)
        for number, token in enumerate(tokens):
            if token in self._vocabulary.eos_ids:
                return number + 1
            left -= 1
            if left < 0 or not completer.advance(token, left):
                return number
            state.advance(token)
        return len(tokens)

    def _check(self, tokens_left: int) -> None:
        needed = self._completer.fewest()
        if tokens_left < needed:
            raise BudgetTooSmallError(needed=needed, budget=tokens_left)

    def _narrow(self, mask: Mask, most: int) -> None:
        """Keep the tokens of a mask that are known to fit, of at most `most`."""
        known = self._completer.next_token()
        kept = [] if known is None else [known]
        searches = most if self._exact else _MAX_SEARCHES
        if not self._exact:  # what is tried is as long as what is known
            most = min(most, _MAX_WORK // (1 + self._completer.fewest()))
        for token in tokens_of(mask)[:most]:
            if token in self._vocabulary.eos_ids:
                kept.append(token)
                continue
            if token in self._refused or token == known or self._left < 1:
                continue
            fits = self._completer.after(token, self._left - 1, search=False)
            if not fits and searches > 0:
                searches -= 1
                fits = self._completer.after(token, self._left - 1)
            if fits:
                kept.append(token)
        np.copyto(mask, self._vocabulary.mask_of(kept))
