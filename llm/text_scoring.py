"""Log-probabilities of given continuations, each on a fork of the one cached prefix; entropies.

Runs between two steps of the engine, on its thread, and gives back all blocks that it took; the
prefix stays in the prefix tree. Knows neither requests nor text. Letters: `p` rows, `v` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from llm.block_manager import BlockManager, BlockTable, CacheDomain
from llm.errors import ContextOverflowError, EngineBusyError, OutOfBlocksError
from llm.model_runner import ModelRunner, Span, batch_of

_ROWS = 8
"""Of logits that are looked at together: with 50,000 tokens they fit a processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """Nats of each continuation, and how many positions were computed and found computed."""

    log_probs: tuple[float, ...]
    computed: int
    cached: int


class TokenScoring:
    """Scores token ids over one runner and its cache."""

    def __init__(
        self, runner: ModelRunner, blocks: BlockManager, max_rows: int, context_size: int
    ) -> None:
        """Score on a cache that a scheduler fills too; never while a step is under way."""
        self._runner = runner
        self._blocks = blocks
        self._max_rows = max_rows
        self._context_size = context_size

    def score(
        self,
        prefix: Sequence[int],
        continuations: Sequence[Sequence[int]],
        domain: CacheDomain,
    ) -> TokenScores:
        """Return log P(continuation | prefix), the sum over its tokens.

        Raises:
            ValueError: the prefix or a continuation has no token.
            ContextOverflowError: the longest of them does not fit the context.
            EngineBusyError: others hold the blocks that it needs.
        """
        if not prefix or not all(continuations):
            raise ValueError("a prefix and continuations need at least one token each to be scored")
        longest = len(prefix) + max(map(len, continuations), default=0)
        if longest > self._context_size:
            raise ContextOverflowError(num_tokens=longest, limit=self._context_size)
        table = self._blocks.open(prefix, domain)
        cached = table.num_tokens
        try:
            first = self._read(table, prefix)
            scored = self._score(table, len(prefix), continuations, first)
        except OutOfBlocksError as error:
            raise EngineBusyError(
                f"the texts to be scored need more of the cache than is free: {error}; try again in"
                " a moment, or score fewer at a time"
            ) from error
        finally:
            self._blocks.release(table)
        computed = len(prefix) - cached + sum(len(c) - 1 for c in continuations)
        return TokenScores(log_probs=tuple(scored), computed=computed, cached=cached)

    def entropies(self, token_ids: Sequence[int], domain: CacheDomain) -> tuple[float, ...]:
        """Return the entropy in nats of what could have come in the place of each token.

        The text is read as it stands, without what it answers; the first token has 0. A text
        longer than the context is read in parts that see at least half a context before them.

        Raises:
            ValueError: there is no token.
            EngineBusyError: others hold the blocks that it needs.
        """
        if not token_ids:
            raise ValueError("a text needs at least one token to have entropies")
        half = max(self._context_size // 2, 1)
        found = [0.0]
        try:
            for start in range(0, len(token_ids), half):
                window = token_ids[max(start - half, 0) : start + half]
                new = min(half, len(token_ids) - start)
                inside = self._entropies_in(window, domain)
                found += inside[-new:] if start else inside
        except OutOfBlocksError as error:
            raise EngineBusyError(
                f"the text needs more of the cache than is free: {error}; try again in a moment, or"
                " give a part of it"
            ) from error
        return tuple(found)

    def _entropies_in(self, window: Sequence[int], domain: CacheDomain) -> list[float]:
        """Return the entropies behind each token of a part but the last, of which none is kept."""
        table = self._blocks.open(window[:1], domain)
        found: list[float] = []
        try:
            for start in range(0, len(window) - 1, self._max_rows):
                stop = min(start + self._max_rows, len(window) - 1)
                self._reserve(table, stop)
                span = Span(
                    token_ids=window[start:stop], start=start, blocks=table.blocks, wants="all"
                )
                rows = _log_softmax(self._runner.forward(batch_of([span])).logits)
                found += (-(np.exp(rows) * rows).sum(axis=-1, dtype=np.float64)).tolist()
        finally:
            self._blocks.release(table)
        return found

    def _read(self, table: BlockTable, prefix: Sequence[int]) -> Float32[np.ndarray, " v"]:
        """Compute what of the prefix is not cached; returns the log-probabilities behind it."""
        while True:
            start = table.num_tokens
            stop = min(start + self._max_rows, len(prefix))
            self._reserve(table, stop)
            is_last = stop == len(prefix)
            span = Span(
                token_ids=prefix[start:stop],
                start=start,
                blocks=table.blocks,
                wants="last" if is_last else "none",
            )
            output = self._runner.forward(batch_of([span]))
            row = _log_softmax(output.logits)[0] if is_last else None
            self._blocks.commit(table, prefix, stop)
            if row is not None:
                return row

    def _score(
        self,
        table: BlockTable,
        size: int,
        continuations: Sequence[Sequence[int]],
        first: Float32[np.ndarray, " v"],
    ) -> list[float]:
        totals = [float(first[tokens[0]]) for tokens in continuations]
        longer = [i for i, tokens in enumerate(continuations) if len(tokens) > 1]
        most = len(longer)  # at a time; fewer where the cache has no room for so many forks
        while longer:
            part = min(most, _fitting([len(continuations[i]) - 1 for i in longer], self._max_rows))
            try:
                scored = self._score_part(table, size, continuations, longer[:part])
            except OutOfBlocksError:
                if part == 1:
                    raise
                most = part // 2
                continue
            for i, value in scored:
                totals[i] += value
            longer = longer[part:]
        return totals

    def _score_part(
        self,
        table: BlockTable,
        size: int,
        continuations: Sequence[Sequence[int]],
        which: Sequence[int],
    ) -> list[tuple[int, float]]:
        forks: list[BlockTable] = []
        try:
            spans = []
            for i in which:
                fork = self._blocks.fork(table)
                forks.append(fork)
                tokens = continuations[i][:-1]
                self._reserve(fork, size + len(tokens))
                spans.append(Span(token_ids=tokens, start=size, blocks=fork.blocks, wants="all"))
            logits = self._runner.forward(batch_of(spans)).logits
        finally:
            for fork in forks:
                self._blocks.release(fork)
        there = log_probs_of(logits, [t for i in which for t in continuations[i][1:]])
        found, start = [], 0
        for i in which:
            stop = start + len(continuations[i]) - 1
            found.append((i, float(there[start:stop].sum())))
            start = stop
        return found

    def _reserve(self, table: BlockTable, num_tokens: int) -> None:
        copies = self._blocks.reserve(table, num_tokens)
        if copies:
            self._runner.copy_blocks((copy.source, copy.target) for copy in copies)


def _fitting(sizes: Sequence[int], most: int) -> int:
    """Return how many of the first sizes fit together; at least one."""
    total = 0
    for i, size in enumerate(sizes):
        total += size
        if total > most and i:
            return i
    return len(sizes)


def log_probs_of(
    logits: Float32[np.ndarray, "p v"], token_ids: Sequence[int]
) -> Float64[np.ndarray, " p"]:
    """Return the log-probability of one token of each row.

    A few rows at a time, since a whole matrix of probabilities would go through memory and back.
    """
    found = np.empty(len(token_ids))
    for start in range(0, len(token_ids), _ROWS):
        rows = logits[start : start + _ROWS]
        targets = list(token_ids[start : start + _ROWS])
        top = rows.max(axis=-1, keepdims=True)
        shifted = rows - top
        chosen = shifted[np.arange(len(targets)), targets].astype(np.float64)
        np.exp(shifted, out=shifted)
        found[start : start + _ROWS] = chosen - np.log(shifted.sum(axis=-1, dtype=np.float64))
    return found


def _log_softmax(logits: Float32[np.ndarray, "p v"]) -> Float32[np.ndarray, "p v"]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    total = np.exp(shifted, dtype=np.float64).sum(axis=-1, keepdims=True)
    return (shifted - np.log(total)).astype(np.float32)
