"""P1: which tokens may come next at all, as the intersection of all that constrains a row.

Each clause is a set of tokens; the sets are intersected as words of bits, so their order has no
meaning. Thresholds, norms and draws come later and see nothing else. An empty intersection is an
error of that row, which names the clauses. Knows neither penalties nor probabilities.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool

from llm.decoding.logit_rows import TWIN, LogitRows, damaged
from llm.decoding.phases import Constraint, FeasibleLogits, Mask, RawLogits, SteeredLogits, Tokens
from llm.decoding.spellings import bits_of, mask_of
from llm.decoding.word_lists import AllowedStrings, BannedStrings, Places
from llm.errors import ConstraintConflictError
from llm.sampling_params import SamplingParams

_State = TypeVar("_State")


@runtime_checkable
class Clause(Protocol):
    """One set of tokens, which may change with each token that is taken."""

    @property
    def name(self) -> str:
        """What the caller knows it by."""
        ...

    def narrow(self, mask: Mask) -> None:
        """Take out of a mask what may not come next."""
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        ...

    def fork(self) -> "Clause":
        """Return an independent copy."""
        ...


@dataclass(frozen=True, slots=True)
class FixedClause:
    """The same tokens all the time."""

    name: str
    words: Mask

    def narrow(self, mask: Mask) -> None:
        """See `Clause`."""
        np.bitwise_and(mask, self.words, out=mask)

    def take(self, token: int) -> None:
        """See `Clause`."""

    def fork(self) -> "FixedClause":
        """See `Clause`."""
        return self


@dataclass(slots=True)
class MinTokens:
    """No end of the text yet."""

    words: Mask  # without the ends
    left: int
    name: str = "min_tokens"

    def narrow(self, mask: Mask) -> None:
        """See `Clause`."""
        if self.left > 0:
            np.bitwise_and(mask, self.words, out=mask)

    def take(self, token: int) -> None:  # noqa: ARG002 - any token counts
        """See `Clause`."""
        self.left -= 1

    def fork(self) -> "MinTokens":
        """See `Clause`."""
        return MinTokens(self.words, self.left)


@runtime_checkable
class WordList(Protocol[_State]):
    """`BannedStrings` or `AllowedStrings`."""

    def after(self, state: _State, data: bytes, /) -> _State:
        """Return the state after some more bytes."""
        ...

    def mask(self, state: _State, /) -> Mask:
        """Return the tokens that may come next; not to be written into."""
        ...


@dataclass(slots=True)
class StringClause(Generic[_State]):
    """Strings that must not occur, or that all of the text must be made of."""

    name: str
    strings: WordList[_State]
    state: _State
    token_bytes: tuple[bytes, ...]

    def narrow(self, mask: Mask) -> None:
        """See `Clause`."""
        np.bitwise_and(mask, self.strings.mask(self.state), out=mask)

    def take(self, token: int) -> None:
        """See `Clause`."""
        self.state = self.strings.after(self.state, self.token_bytes[token])

    def fork(self) -> "StringClause[_State]":
        """See `Clause`."""
        return StringClause(self.name, self.strings, self.state, self.token_bytes)


class Feasible:
    """The clauses of one branch."""

    def __init__(
        self,
        clauses: Iterable[Clause],
        constraint: Constraint | None,
        *,
        size: int,
        rows: LogitRows = TWIN,
    ) -> None:
        """Take the clauses of a vocabulary of `size` tokens, and what else constrains the row."""
        self._rows = rows
        self._clauses = tuple(clauses)
        self.constraint = constraint
        self._size = size
        self._mask: Mask = np.zeros((size + 31) // 32, np.int32)
        # Bits behind the last token would make an empty set look otherwise.
        self._last_word = (1 << size % 32) - 1 if size % 32 else -1

    @property
    def is_needed(self) -> bool:
        """Whether anything is constrained at all."""
        return bool(self._clauses) or self.constraint is not None

    @property
    def allowed(self) -> Bool[np.ndarray, " v"]:
        """The tokens that the last call of `narrow` or `restrict` left."""
        return bits_of(self._mask, self._size)

    def narrow(self) -> Mask:
        """Return the tokens that may come next; valid until the next call.

        Raises:
            ConstraintConflictError: there are none.
        """
        mask = self._mask
        if self.constraint is None:
            mask.fill(-1)
        else:
            self.constraint.fill(mask)
        mask[-1] &= self._last_word
        passed: list[str] = []
        if self.constraint is not None:
            self._check("the grammar", passed)
        for clause in self._clauses:
            clause.narrow(mask)
            self._check(clause.name, passed)
        return mask

    def restrict(self, logits: RawLogits) -> FeasibleLogits:
        """Make what may not come impossible, in place; see `narrow` for errors.

        Raises:
            EngineFailureError: nothing can be drawn from these logits.
        """
        self.narrow()
        if not self._rows.forbid(logits, self._mask):
            raise damaged()
        return FeasibleLogits(logits)

    def forbid(self, logits: RawLogits | SteeredLogits) -> None:
        """Make impossible, in place, what the last narrowing did not leave."""
        self._rows.forbid(logits, self._mask)

    def restrict_further(self, logits: SteeredLogits) -> SteeredLogits:
        """Make impossible what the constraint offers no longer; see `narrow` for errors."""
        self.narrow()
        self.forbid(logits)
        return logits

    def take(self, token: int) -> None:
        """Note a token that was taken; the constraint is told by whoever drew it."""
        for clause in self._clauses:
            clause.take(token)

    def fork(self) -> "Feasible":
        """Return an independent copy."""
        constraint = None if self.constraint is None else self.constraint.fork()
        clauses = (clause.fork() for clause in self._clauses)
        return Feasible(clauses, constraint, size=self._size, rows=self._rows)

    def _check(self, name: str, passed: list[str]) -> None:
        if not self._mask.any():
            before = f" of what {' and '.join(passed)} would let through" if passed else ""
            raise ConstraintConflictError(
                f"no token may come next: {name} leaves nothing{before}; loosen one of them"
            )
        passed.append(name)


def fixed_clauses(params: SamplingParams, tokens: Tokens) -> list[Clause]:
    """Return the clauses that need no spellings.

    Raises:
        ConstraintConflictError: a token is named that the model does not have.
    """
    size = tokens.size
    clauses: list[Clause] = []
    if params.allowed_token_ids is not None:
        allowed = _known("allowed_token_ids", params.allowed_token_ids, size)
        clauses.append(FixedClause("allowed_token_ids", mask_of(allowed, size)))
    if params.banned_token_ids:
        banned = _known("banned_token_ids", params.banned_token_ids, size)
        clauses.append(FixedClause("banned_token_ids", ~mask_of(banned, size)))
    _known("logit_bias", (token for token, _ in params.logit_bias), size)
    if params.forced_token_ids:
        forced = mask_of(params.forced_token_ids, size)
        clauses.append(FixedClause("the logit_bias of 100 or more", forced))
    if banned_by_bias := params.all_banned_token_ids - {*params.banned_token_ids}:
        words = ~mask_of(banned_by_bias, size)
        clauses.append(FixedClause("the logit_bias of -100 or less", words))
    if params.min_tokens:
        clauses.append(MinTokens(~mask_of(tokens.eos_ids, size), params.min_tokens))
    return clauses


def string_clauses(
    tokens: Tokens, *, banned: BannedStrings | None, allowed: AllowedStrings | None
) -> list[Clause]:
    """Return the clauses of strings."""
    clauses: list[Clause] = []
    if banned is not None:
        clauses.append(
            StringClause[int]("banned_strings", banned, banned.start, tokens.token_bytes)
        )
    if allowed is not None:
        clauses.append(
            StringClause[Places]("allowed_strings", allowed, allowed.start, tokens.token_bytes)
        )
    return clauses


def _known(name: str, ids: Iterable[int], size: int) -> list[int]:
    known = list(ids)
    for token in known:
        if token >= size:
            raise ConstraintConflictError(
                f"{name} names token {token} and the model has {size} tokens; leave it out"
            )
    return known
