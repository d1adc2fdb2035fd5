"""Grammars compiled for one vocabulary: which tokens may come next.

A `Grammar` is shared by all requests that ask the same; `start` gives each branch a `GrammarState`
of its own, which goes forward, back and forks. Text is constrained as bytes, so a character may be
split over tokens; special tokens come only where a grammar names them, and the end of the output
only where the grammar is satisfied. Knows nothing of budgets, logits or requests.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from llguidance import LLMatcher, LLParserLimits

from llm.decoding.vocabulary import Mask, Vocabulary, set_only
from llm.errors import ConstraintConflictError, GrammarTooLargeError

_LIMITS = LLParserLimits(verbose_errors=False)


@runtime_checkable
class GrammarState(Protocol):
    """Where one branch stands in its grammar."""

    @property
    def is_accepting(self) -> bool:
        """Whether the output may end here."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether an end token has been taken; nothing can follow."""
        ...

    def fill(self, mask: Mask) -> None:
        """Write the tokens that may come next, one bit each, into a row of words.

        Raises:
            GrammarTooLargeError: the state has become too complex.
        """
        ...

    def advance(self, token: int) -> None:
        """Take a token.

        Raises:
            ConstraintConflictError: the token cannot come next; nothing has changed.
        """
        ...

    def rollback(self, num_tokens: int) -> None:
        """Take back the last tokens."""
        ...

    def fork(self) -> "GrammarState":
        """Return an independent copy."""
        ...

    def forced(self) -> list[int]:
        """Return the tokens that must come next, as far as they are beyond doubt."""
        ...

    def foreseen(self) -> list[int]:
        """Return tokens for the bytes that must come next, though other tokens might spell them."""
        ...

    def count_legal(self, tokens: list[int]) -> int:
        """Return how many of these drafted tokens may come next, one after the other."""
        ...


@runtime_checkable
class Grammar(Protocol):
    """What an output must look like, compiled; may be shared between threads."""

    def start(self, *, forcing: bool = True) -> GrammarState:
        """Return a state at the start of the output.

        With `forcing`, a token that is beyond doubt is the only one that may come: the
        tokenizer's own for bytes that must follow, where no token spells them and more. Then it
        makes no difference whether an engine draws such tokens or takes them from `forced`.
        """
        ...


class MatcherGrammar:
    """A grammar that llguidance holds."""

    def __init__(
        self,
        source: str,
        vocabulary: Vocabulary,
        *,
        hints: Collection[str] = (),
        leads: Collection[Sequence[int]] = (),
    ) -> None:
        """Compile; `source` is what `LLMatcher` takes, with `no_forcing` set.

        `hints` are strings that may occur in a short output, `leads` symbols without which there
        may be no output at all.
        """
        self.vocabulary = vocabulary
        self.hints = [list(hint.encode()) for hint in dict.fromkeys(hints) if hint]
        self.leads = [list(lead) for lead in leads]
        self.source = source
        # the symbols of a short output once somebody has asked, and whether it is the shortest
        self.short: tuple[tuple[int, ...], bool] | None = None
        self._matcher = LLMatcher(vocabulary.tokenizer, source, log_level=0, limits=_LIMITS)

    @property
    def error(self) -> str:
        """What is wrong with the source; empty if nothing is."""
        return str(self._matcher.get_error())

    def start(self, *, forcing: bool = True) -> "MatcherState":
        """See `Grammar`."""
        return MatcherState(self._matcher.deep_copy(), self.vocabulary, forcing=forcing)

    def symbol_matcher(self) -> LLMatcher:
        """Return a matcher of the same grammar over the symbols of the vocabulary."""
        return LLMatcher(self.vocabulary.byte_tokenizer, self.source, log_level=0, limits=_LIMITS)


class MatcherState:
    """Where a branch stands in a grammar that llguidance holds."""

    __slots__ = ("_ended", "_forcing", "_matcher", "_vocabulary")

    def __init__(
        self, matcher: LLMatcher, vocabulary: Vocabulary, *, forcing: bool, ended: bool = False
    ) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._forcing = forcing
        self._ended = ended

    @property
    def is_accepting(self) -> bool:
        """See `GrammarState`."""
        return bool(self._matcher.is_accepting())

    @property
    def is_finished(self) -> bool:
        """See `GrammarState`."""
        return self._ended

    def fill(self, mask: Mask) -> None:
        """See `GrammarState`."""
        assert mask.shape == (self._vocabulary.num_words,)
        assert mask.dtype == np.int32
        assert mask.flags.c_contiguous
        if self._ended:
            mask.fill(0)
            return
        if self._forcing and (forced := self._matcher.compute_ff_tokens()):
            set_only(mask, forced[0])
            return
        self._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        self._check()

    def advance(self, token: int) -> None:
        """See `GrammarState`."""
        if self._ended:
            raise ConstraintConflictError("nothing can follow the end of the output")
        if token in self._vocabulary.eos_ids:
            if not self._matcher.is_accepting():
                raise ConstraintConflictError("the output cannot end here")
            self._ended = True
            return
        forced = self._matcher.compute_ff_tokens() if self._forcing else None
        if (forced and token != forced[0]) or self._matcher.try_consume_tokens([token]) != 1:
            self._check()
            raise ConstraintConflictError(f"token {token} cannot come next")

    def rollback(self, num_tokens: int) -> None:
        """See `GrammarState`."""
        if num_tokens and self._ended:
            self._ended = False
            num_tokens -= 1
        if num_tokens:
            done = self._matcher.rollback(num_tokens)
            assert done, self._matcher.get_error()

    def fork(self) -> "MatcherState":
        """See `GrammarState`."""
        return MatcherState(
            self._matcher.deep_copy(),
            self._vocabulary,
            forcing=self._forcing,
            ended=self._ended,
        )

    def forced(self) -> list[int]:
        """See `GrammarState`."""
        if self._ended:
            return []
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens

    def foreseen(self) -> list[int]:
        """See `GrammarState`."""
        if self._ended:
            return []
        # of a copy: asking for bytes makes the matcher hold to them
        data: bytes = self._matcher.deep_copy().compute_ff_bytes()
        return self._vocabulary.encode_plain(data.decode(errors="ignore")) if data else []

    def count_legal(self, tokens: list[int]) -> int:
        """See `GrammarState`."""
        if self._ended:
            return 0
        if self._forcing or not self._vocabulary.eos_ids.isdisjoint(tokens):
            return _count_legal(self.fork(), tokens)
        legal: int = self._matcher.validate_tokens(tokens)
        return legal

    def can_end_after(self, tokens: list[int]) -> bool:
        """Return whether these tokens may come next, and then the end of the output."""
        if self._ended:
            return False
        wanted = [*tokens, self._vocabulary.tokenizer.eos_token]
        return bool(self._matcher.validate_tokens(wanted) == len(wanted))

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarTooLargeError(what="what the grammar allows at this point")


def _count_legal(state: MatcherState, tokens: list[int]) -> int:
    for number, token in enumerate(tokens):
        try:
            state.advance(token)
        except ConstraintConflictError:
            return number
    return len(tokens)
