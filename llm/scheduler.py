"""Which sequences run next: continuous batching, chunked prefill, preemption by recompute.

One step is at most `max_rows` rows. Every decoding sequence gets its row first; what is left of the
budget is divided among the prompts being read, so a long one cannot hold up a short one; then
waiting sequences are let in. Where blocks run out, the least important sequence gives all of its
own back and goes to the front of the queue, to be computed again from its tokens. Knows nothing of
tensors, nor of how tokens are chosen; not safe for several threads at once.
"""

import time
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import nsmallest
from operator import attrgetter

from llm.block_manager import BlockCopy, BlockManager
from llm.errors import EngineBusyError, RequestTooLargeError
from llm.sequence import Sequence, SequenceState

# In cached tokens: what it is worth to have been passed over once, and one step of priority.
PASSED_OVER_WORTH = 256
PRIORITY_WORTH = 1024

_MAX_LOOKS = 8  # how many waiting prompts are looked up in the prefix tree at one admission

_rank = attrgetter("rank")
_last_served = attrgetter("last_served")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Positions [`start`, `stop`) of a sequence, to be computed in this step.

    `needs_logits` if they reach the end of its tokens, so that the next one can be drawn.
    """

    sequence: Sequence
    start: int
    stop: int
    needs_logits: bool

    def __post_init__(self) -> None:
        assert self.start < self.stop, "a chunk has a position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One forward pass: decoding rows first, then parts of prompts.

    `copies` are made before it, all sources being read before any target is written, or one by one
    in their order. `preempted` sequences lost their blocks; their tokens stay.
    """

    chunks: tuple[Chunk, ...]
    copies: tuple[BlockCopy, ...]
    preempted: tuple[Sequence, ...]


class _Draft:
    """A step that is being put together."""

    __slots__ = ("chunks", "copies", "preempted")

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.copies: list[BlockCopy] = []
        self.preempted: list[Sequence] = []


class Scheduler:
    """The queue and the running sequences of one cache.

    Laws: while there is a running or waiting sequence with a token to compute, `schedule` returns
    a step with a chunk; the most important running sequence is never preempted; a sequence in
    the queue is passed over by at most `max_waiting` + (cached tokens of a prompt +
    `PRIORITY_WORTH` x difference of priorities) / `PASSED_OVER_WORTH` admissions.
    """

    def __init__(
        self,
        blocks: BlockManager,
        *,
        max_rows: int,
        max_running: int,
        max_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Schedule on a cache that nothing else fills; with more rows than seats prompts go on."""
        if min(max_rows, max_running, max_waiting) < 1:
            raise ValueError(
                "max_rows, max_running and max_waiting must be >= 1,"
                f" got {max_rows}, {max_running} and {max_waiting}"
            )
        self._blocks = blocks
        self._block_size = blocks.block_size
        self._max_rows = max_rows
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._clock = clock
        self._running: list[Sequence] = []  # the most important first
        self._resuming: deque[Sequence] = deque()  # the front of the queue, in order
        self._waiting: list[Sequence] = []  # the rest of it, by arrival
        self._unreported: list[Sequence] = []
        self._num_served = 0
        self._num_admissions = 0
        self._stuck_at: int | None = None  # this headroom was too little for who is next

    @property
    def waiting(self) -> tuple[Sequence, ...]:
        """The queue: preempted sequences, then the others as they came."""
        return (*self._resuming, *self._waiting)

    @property
    def running(self) -> tuple[Sequence, ...]:
        """The sequences that hold blocks, the most important first."""
        return tuple(self._running)

    @property
    def num_waiting(self) -> int:
        """How many sequences are in the queue."""
        return len(self._resuming) + len(self._waiting)

    @property
    def num_running(self) -> int:
        """How many sequences hold blocks."""
        return len(self._running)

    # --- what comes and goes -----------------------------------------------------------------

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence.

        Raises:
            EngineBusyError: `max_waiting` are waiting.
            RequestTooLargeError: it could not be finished even with the whole cache to itself.
        """
        assert sequence.state is SequenceState.WAITING, "a sequence is added once"
        needed = self._blocks_for(sequence, sequence.max_positions)
        if needed > self._blocks.num_blocks:
            raise RequestTooLargeError(
                num_blocks=needed,
                limit=self._blocks.num_blocks,
                block_size=self._block_size,
                what=f"a prompt of {sequence.num_prompt_tokens} tokens with up to"
                f" {sequence.max_tokens} generated",
            )
        if self.num_waiting >= self._max_waiting:
            raise EngineBusyError(
                f"{self.num_waiting} requests are waiting, and at most {self._max_waiting} may;"
                " try again in a moment"
            )
        sequence.queued_at = self._num_admissions
        self._waiting.append(sequence)
        self._stuck_at = None

    def fork(self, sequence: Sequence, *, number: int) -> Sequence:
        """Return a second branch of a sequence, to which other tokens will be appended.

        It shares all computed blocks and runs at once. If all seats are taken, or the sequence is
        not running, it joins the front of the queue instead, however long that is. Not between
        `schedule` and `commit`.
        """
        assert sequence.state is not SequenceState.FINISHED, "a finished sequence has no blocks"
        branch = replace(sequence, number=number)  # what it has come to is not taken over
        branch.num_prompt_tokens = sequence.num_prompt_tokens
        if sequence.table is None or len(self._running) >= self._max_running:
            self._resuming.append(branch)
            self._stuck_at = None
            return branch
        branch.table = self._blocks.fork(sequence.table)
        branch.num_computed = sequence.num_computed
        branch.state = SequenceState.RUNNING
        insort(self._running, branch, key=_rank)
        return branch

    def append(self, sequence: Sequence, token_id: int) -> None:
        """Add the token that was drawn for a sequence.

        With its `max_tokens`-th it has to be finished, since there may be no block for more.
        """
        assert sequence.state is not SequenceState.FINISHED, "a finished sequence has no next token"
        assert sequence.num_generated < sequence.max_tokens, "finish what has all its tokens"
        sequence.token_ids.append(token_id)

    def finish(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and release its blocks; twice is once."""
        self._stuck_at = None
        if sequence.state is SequenceState.RUNNING:
            assert sequence.table is not None
            self._running.remove(sequence)
            self._blocks.release(sequence.table)
            sequence.table = None
        elif sequence in self._resuming:
            self._resuming.remove(sequence)
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
        sequence.state = SequenceState.FINISHED

    def expired(self) -> tuple[Sequence, ...]:
        """Return the sequences, waiting or running, whose deadline has passed."""
        now = self._clock()
        everyone = (*self._running, *self._resuming, *self._waiting)
        return tuple(s for s in everyone if s.deadline is not None and s.deadline <= now)

    # --- one step ----------------------------------------------------------------------------

    def schedule(self) -> Step | None:
        """Return what to compute next; None if there is nothing."""
        draft = _Draft()
        self._serve_decoding(draft)
        if len(draft.chunks) < self._max_rows:
            self._serve_prompts(draft)
        self._unreported += draft.preempted
        if not draft.chunks:
            return None
        preempted = tuple(self._unreported)
        self._unreported.clear()
        return Step(chunks=tuple(draft.chunks), copies=tuple(draft.copies), preempted=preempted)

    def commit(self, step: Step) -> None:
        """Note that a step was computed; what was finished in the meantime is left out."""
        commit = self._blocks.commit
        for chunk in step.chunks:
            sequence = chunk.sequence
            table = sequence.table
            if table is None:
                continue
            stop = chunk.stop
            commit(table, sequence.token_ids, stop)
            sequence.num_computed = stop
            if sequence.window is not None:
                self._roll(sequence)

    def _serve_decoding(self, draft: _Draft) -> None:
        decoding = [s for s in self._running if len(s.token_ids) - s.num_computed == 1]
        if len(decoding) > self._max_rows:
            decoding.sort(key=_last_served)
        chunks, max_rows = draft.chunks, self._max_rows
        for sequence in decoding:
            if len(chunks) == max_rows:
                break
            table = sequence.table
            if table is None:  # preempted a moment ago
                continue
            stop = len(sequence.token_ids)
            if stop > table.num_writable and self._make_room(sequence, stop, draft) < stop:
                continue
            self._num_served = sequence.last_served = self._num_served + 1
            chunks.append(Chunk(sequence=sequence, start=stop - 1, stop=stop, needs_logits=True))

    def _serve_prompts(self, draft: _Draft) -> None:
        left = self._max_rows - len(draft.chunks)
        prompts = [s for s in self._running if len(s.token_ids) - s.num_computed > 1]
        # Nobody is let in at the moment when somebody else is turned out.
        if (self._resuming or self._waiting) and not draft.preempted:
            self._admit(prompts, left)
        for sequence, share in _shares(prompts, left):
            if sequence.table is None:
                continue
            start = sequence.num_computed
            stop = self._make_room(sequence, start + share, draft)
            if stop > start:
                self._num_served = sequence.last_served = self._num_served + 1
                is_last = stop == len(sequence.token_ids)
                chunk = Chunk(sequence=sequence, start=start, stop=stop, needs_logits=is_last)
                draft.chunks.append(chunk)
                left -= stop - start
            if not left:
                return

    def _make_room(self, sequence: Sequence, stop: int, draft: _Draft) -> int:
        """Make positions up to `stop` writable, or as many as there are blocks for.

        Returns the position reached. Others are turned out only if there is not room for one
        position, and only less important ones: else the sequence sits this step out.
        """
        table, blocks = sequence.table, self._blocks
        assert table is not None
        while (reached := min(stop, blocks.reach(table))) <= sequence.num_computed:
            victim = self._running[-1]
            if victim is sequence:
                return sequence.num_computed
            self._preempt(victim, draft)
        draft.copies += blocks.reserve(table, reached)
        return reached

    def _preempt(self, victim: Sequence, draft: _Draft) -> None:
        table = victim.table
        assert table is not None
        held = set(table.blocks)
        draft.chunks[:] = [chunk for chunk in draft.chunks if chunk.sequence is not victim]
        draft.copies[:] = [copy for copy in draft.copies if copy.target not in held]
        draft.preempted.append(victim)
        self._running.remove(victim)
        self._blocks.release(table)
        victim.table = None
        victim.num_computed = 0
        victim.state = SequenceState.WAITING
        self._resuming.appendleft(victim)

    def _roll(self, sequence: Sequence) -> None:
        window, table = sequence.window, sequence.table
        assert window is not None
        assert table is not None
        first_kept = window.first_kept(table.num_tokens)
        self._blocks.release_before(table, first_kept=first_kept, pinned=window.sinks)

    # --- admission ---------------------------------------------------------------------------

    def _admit(self, prompts: list[Sequence], max_prompts: int) -> None:
        """Let in who is next, again and again, while there are seats, rows and blocks."""
        headroom = self._headroom()
        if self._stuck_at is not None and headroom <= self._stuck_at:
            return
        num_seats = min(self._max_running - len(self._running), max_prompts - len(prompts))
        for _ in range(min(num_seats, self.num_waiting)):
            sequence = self._resuming[0] if self._resuming else self._best_waiting()
            if self._running and self._cost(sequence) > headroom:
                self._stuck_at = headroom
                return
            if self._resuming:
                self._resuming.popleft()
            else:
                self._waiting.remove(sequence)
                self._num_admissions += 1
            sequence.table = self._blocks.open(sequence.token_ids, sequence.domain)
            sequence.num_computed = sequence.table.num_tokens
            sequence.state = SequenceState.RUNNING
            if sequence.window is not None:
                self._roll(sequence)
            insort(self._running, sequence, key=_rank)
            prompts.append(sequence)
            headroom = self._headroom()

    def _best_waiting(self) -> Sequence:
        version = self._blocks.version
        for sequence in nsmallest(_MAX_LOOKS, self._waiting, key=attrgetter("match_version")):
            if sequence.match_version != version:
                sequence.num_matched = self._blocks.match(sequence.token_ids, sequence.domain)
                sequence.match_version = version
        return max(self._waiting, key=_worth)

    def _headroom(self) -> int:
        """Return how many blocks are free beyond those that running sequences have still to take.

        Each is promised room for its tokens and a block more: letting somebody in to turn him out
        again costs his whole prefill.
        """
        promised = 0
        for sequence in self._running:
            table = sequence.table
            assert table is not None
            wanted = self._blocks_for(sequence, len(sequence.token_ids) + self._block_size)
            promised += max(0, wanted - len(table.blocks) + table.num_holes)
        return self._blocks.num_free - promised

    def _cost(self, sequence: Sequence) -> int:
        """Return how many blocks less would be free if a sequence got the same promise."""
        size, window = self._block_size, sequence.window
        num_tokens = min(len(sequence.token_ids) + size, sequence.max_positions)
        cost = self._blocks.cost(sequence.token_ids, sequence.domain, num_tokens)
        return cost if window is None else min(cost, window.num_blocks(size))

    def _blocks_for(self, sequence: Sequence, num_tokens: int) -> int:
        """Return how many blocks a sequence holds at once when it has come so far."""
        blocks = -(-min(num_tokens, sequence.max_positions) // self._block_size)
        window = sequence.window
        return blocks if window is None else min(blocks, window.num_blocks(self._block_size))


def _worth(sequence: Sequence) -> int:
    # The times it was passed over are the admissions since it was queued; the admissions until
    # now are the same for all that are compared.
    return (
        sequence.num_matched
        - PRIORITY_WORTH * sequence.priority
        - PASSED_OVER_WORTH * sequence.queued_at
    )


def _num_left(sequence: Sequence) -> int:
    return len(sequence.token_ids) - sequence.num_computed


def _shares(prompts: list[Sequence], num_rows: int) -> list[tuple[Sequence, int]]:
    """Divide rows equally; what a short prompt leaves over is divided among the longer ones.

    Where there are more prompts than rows, those come first that were served longest ago.
    """
    if len(prompts) > num_rows:
        return [(sequence, 1) for sequence in sorted(prompts, key=_last_served)]
    shares = []
    for i, sequence in enumerate(sorted(prompts, key=_num_left)):
        share = min(_num_left(sequence), num_rows // (len(prompts) - i))
        num_rows -= share
        shares.append((sequence, share))
    return sorted(shares, key=lambda pair: pair[0].rank)
