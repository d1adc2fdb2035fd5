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
from dataclasses import replace
from operator import attrgetter

from llm.admission_order import next_waiting
from llm.block_manager import BlockManager
from llm.errors import EngineBusyError, RequestTooLargeError, TooManyBranchesError
from llm.sequence import Gang, Sequence, SequenceState
from llm.step_plan import Chunk, Step, StepPlan, num_left, shares

_rank = attrgetter("rank")
_last_served = attrgetter("last_served")


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

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence.

        Raises:
            EngineBusyError: `max_waiting` are waiting.
            RequestTooLargeError: it could not be finished even with the whole cache to itself.
            TooManyBranchesError: its gang could not run even alone.
        """
        assert sequence.state is SequenceState.WAITING, "a sequence is added once"
        needed = sum(self._blocks_for(s, s.max_positions) for s in sequence.unit)
        if (gang := sequence.gang) is not None:
            # A gang that is computed again may have to do without the blocks that it shared.
            needed = -(-needed // len(gang.members)) * gang.num_seats
            limit = min(self._max_running, self._max_rows)
            if gang.num_seats > limit:
                raise TooManyBranchesError(wanted=gang.num_seats, limit=limit)
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

    def fork(self, sequence: Sequence, *, number: int, gang: Gang | None = None) -> Sequence:
        """Return a second branch of a sequence, to which other tokens will be appended.

        It shares all computed blocks and runs at once. If all seats are taken, or the sequence is
        not running, it joins the front of the queue instead, however long that is. In a `gang` it
        does as the first member does. Not between `schedule` and `commit`.
        """
        assert sequence.state is not SequenceState.FINISHED, "a finished sequence has no blocks"
        branch = replace(sequence, number=number)  # what it has come to is not taken over
        branch.num_prompt_tokens = sequence.num_prompt_tokens
        runs = sequence.table is not None
        if gang is not None and gang.members:
            runs = runs and gang.members[0].table is not None
        else:
            runs = runs and self._num_seats() >= (1 if gang is None else gang.num_seats)
        if gang is not None:
            gang.add(branch)
        if not runs:
            if branch is branch.unit[0]:
                self._resuming.append(branch)
                self._stuck_at = None
            return branch
        assert sequence.table is not None
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

    def accept(self, sequence: Sequence, num_drafted: int) -> None:
        """Note that so many tokens of its last draft were right and have been appended."""
        table = sequence.table
        assert table is not None
        sequence.num_computed += num_drafted
        self._blocks.commit(table, sequence.token_ids, sequence.num_computed)
        if sequence.window is not None:
            self._roll(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and release its blocks; twice is once."""
        self._stuck_at = None
        heir = None
        if (gang := sequence.gang) is not None and sequence in gang.members:
            if sequence is gang.members[0] and len(gang.members) > 1:
                heir = gang.members[1]
            gang.members.remove(sequence)
        if sequence.state is SequenceState.RUNNING:
            assert sequence.table is not None
            self._running.remove(sequence)
            self._blocks.release(sequence.table)
            sequence.table = None
        elif sequence in self._resuming:
            i = self._resuming.index(sequence)
            self._resuming.remove(sequence)
            if heir is not None:
                self._resuming.insert(i, heir)
        elif sequence in self._waiting:
            i = self._waiting.index(sequence)
            self._waiting[i : i + 1] = [] if heir is None else [heir]
        sequence.state = SequenceState.FINISHED

    def expired(self) -> tuple[Sequence, ...]:
        """Return the sequences, waiting or running, whose deadline has passed."""
        now = self._clock()
        everyone = (*self._running, *self._resuming, *self._waiting)
        return tuple(s for s in everyone if s.deadline is not None and s.deadline <= now)

    def schedule(self) -> Step | None:
        """Return what to compute next; None if there is nothing."""
        plan = StepPlan()
        self._serve_decoding(plan)
        if plan.num_rows < self._max_rows:
            self._serve_prompts(plan)
        if not plan.chunks and self._running:  # a gang was let in whose prompts were all cached
            self._serve_decoding(plan)
        self._unreported += plan.preempted
        if not plan.chunks:
            return None
        preempted = tuple(self._unreported)
        self._unreported.clear()
        return Step(chunks=tuple(plan.chunks), copies=tuple(plan.copies), preempted=preempted)

    def commit(self, step: Step) -> None:
        """Note that a step was computed, drafts apart; what was finished meanwhile is left out."""
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

    def _serve_decoding(self, plan: StepPlan) -> None:
        decoding = [s for s in self._running if len(s.token_ids) - s.num_computed == 1]
        if len(decoding) > self._max_rows:
            decoding.sort(key=_last_served)
        max_rows = self._max_rows
        spare = max_rows - len(decoding)  # for drafts
        for sequence in decoding:
            if plan.num_rows == max_rows:
                break
            table = sequence.table
            if table is None:  # preempted a moment ago
                continue
            if sequence.gang is not None:
                if sequence is sequence.gang.members[0]:
                    spare -= self._serve_gang(sequence.gang, max(spare, 0), plan)
                continue
            stop = len(sequence.token_ids)
            draft = sequence.draft[: max(spare, 0)] if sequence.draft else ()
            wanted = stop + len(draft)
            if wanted > table.num_writable:
                wanted = self._make_room(sequence, wanted, plan)
                if wanted < stop:
                    continue
                draft = draft[: wanted - stop]
            spare -= len(draft)
            self._serve(sequence, draft, plan)

    def _serve_gang(self, gang: Gang, spare: int, plan: StepPlan) -> int:
        """Serve all of a gang or nobody; returns how many rows of drafts it took."""
        members = gang.members
        if plan.num_rows + len(members) > self._max_rows:
            return 0
        if any(len(s.token_ids) - s.num_computed != 1 for s in members):
            return 0
        length = min(spare // len(members), *(len(s.draft) for s in members))
        for sequence in members:
            stop = len(sequence.token_ids)
            reached = self._make_room(sequence, stop + length, plan)
            if reached < stop:
                return 0
            length = min(length, reached - stop)
        for sequence in members:
            self._serve(sequence, sequence.draft[:length], plan)
        return length * len(members)

    def _serve(self, sequence: Sequence, draft: tuple[int, ...], plan: StepPlan) -> None:
        self._num_served = sequence.last_served = self._num_served + 1
        stop = len(sequence.token_ids)
        plan.add(
            Chunk(sequence=sequence, start=stop - 1, stop=stop, needs_logits=True, draft=draft)
        )

    def _serve_prompts(self, plan: StepPlan) -> None:
        left = self._max_rows - plan.num_rows
        prompts = [s for s in self._running if num_left(s) > 1 or (s.gang and num_left(s) == 1)]
        # Nobody is let in at the moment when somebody else is turned out.
        if (self._resuming or self._waiting) and not plan.preempted:
            self._admit(prompts, left)
        for sequence, share in shares(prompts, left):
            if sequence.table is None:
                continue
            start = sequence.num_computed
            stop = self._make_room(sequence, start + share, plan)
            if stop > start:
                self._num_served = sequence.last_served = self._num_served + 1
                is_last = stop == len(sequence.token_ids)
                plan.add(Chunk(sequence=sequence, start=start, stop=stop, needs_logits=is_last))
                left -= stop - start
            if not left:
                return

    def _make_room(self, sequence: Sequence, stop: int, plan: StepPlan) -> int:
        """Make positions up to `stop` writable, or as many as there are blocks for.

        Returns the position reached. Others are turned out only if there is not room for one
        position, and only less important ones: else the sequence sits this step out.
        """
        table, blocks = sequence.table, self._blocks
        assert table is not None
        while (reached := min(stop, blocks.reach(table))) <= sequence.num_computed:
            victim = self._running[-1]
            if victim in sequence.unit:
                return sequence.num_computed
            for member in victim.unit:
                self._preempt(member, plan)
            self._resuming.appendleft(victim.unit[0])
        plan.copies += blocks.reserve(table, reached)
        return reached

    def _preempt(self, victim: Sequence, plan: StepPlan) -> None:
        table = victim.table
        assert table is not None
        plan.drop(victim, set(table.blocks))
        plan.preempted.append(victim)
        self._running.remove(victim)
        self._blocks.release(table)
        victim.table = None
        victim.num_computed = 0
        victim.state = SequenceState.WAITING

    def _roll(self, sequence: Sequence) -> None:
        window, table = sequence.window, sequence.table
        assert window is not None
        assert table is not None
        first_kept = window.first_kept(table.num_tokens)
        self._blocks.release_before(table, first_kept=first_kept, pinned=window.sinks)

    def _admit(self, prompts: list[Sequence], max_prompts: int) -> None:
        """Let in who is next, again and again, while there are seats, rows and blocks."""
        headroom = self._headroom()
        if self._stuck_at is not None and headroom <= self._stuck_at:
            return
        while self.num_waiting and len(prompts) < max_prompts:
            sequence = (
                self._resuming[0] if self._resuming else next_waiting(self._waiting, self._blocks)
            )
            wanted = 1 if sequence.gang is None else sequence.gang.num_seats
            if self._num_seats() < wanted:
                return
            if self._running and sum(map(self._cost, sequence.unit)) > headroom:
                self._stuck_at = headroom
                return
            if self._resuming:
                self._resuming.popleft()
            else:
                self._waiting.remove(sequence)
                self._num_admissions += 1
            for member in sequence.unit:
                self._open(member)
                if num_left(member) > 0:  # of a gang's member the last token waits
                    prompts.append(member)
            headroom = self._headroom()

    def _open(self, sequence: Sequence) -> None:
        sequence.table = self._blocks.open(sequence.token_ids, sequence.domain)
        sequence.num_computed = sequence.table.num_tokens
        sequence.state = SequenceState.RUNNING
        if sequence.window is not None:
            self._roll(sequence)
        insort(self._running, sequence, key=_rank)

    def _num_seats(self) -> int:
        """Return how many seats are free; a gang keeps those that it may come to need."""
        gangs = {id(s.gang): s.gang for s in self._running if s.gang is not None}
        kept = sum(gang.num_seats - len(gang.members) for gang in gangs.values())
        return self._max_running - len(self._running) - kept

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
