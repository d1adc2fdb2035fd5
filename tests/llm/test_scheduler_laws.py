"""The scheduler with a model that is a hash of what it reads, on caches that are too small."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llm.admission_order import PASSED_OVER_WORTH, PRIORITY_WORTH
from llm.block_manager import BlockManager
from llm.errors import EngineBusyError, RequestTooLargeError
from llm.scheduler import Scheduler
from llm.sequence import Sequence, SequenceState, Window
from llm.step_plan import Step
from tests.llm.hash_engine import VOCAB, HashEngine, alone
from tests.llm.scheduling import DOMAIN, SINK, Clock, advance, prompt, run

WINDOW = Window(sinks=2, size=5)


class SchedulerMachine(RuleBasedStateMachine):
    """Arrivals, cancellations, deadlines and forks between the steps of an engine."""

    @initialize(
        num_positions=st.integers(12, 40),
        block_size=st.sampled_from([1, 2, 3]),
        max_rows=st.sampled_from([1, 2, 5, 17]),
        max_running=st.sampled_from([5, 2, 3, 1]),
    )
    def start(self, num_positions: int, block_size: int, max_rows: int, max_running: int) -> None:
        self.clock = Clock()
        num_blocks = num_positions // block_size
        self.blocks = BlockManager(num_blocks=num_blocks, block_size=block_size)
        self.max_rows, self.max_running = max_rows, max_running
        self.scheduler = Scheduler(
            self.blocks,
            max_rows=max_rows,
            max_running=max_running,
            max_waiting=4,
            clock=self.clock,
        )
        self.engine = HashEngine(self.scheduler, self.blocks)
        self.alive: list[Sequence] = []
        self.number = 0

    # --- what comes and goes -----------------------------------------------------------------

    @rule(
        length=st.integers(1, 9) | st.integers(9, 30),
        max_tokens=st.integers(1, 25),
        text=st.integers(0, 2),
        priority=st.integers(0, 2),
        lives=st.sampled_from([None, None, 5, 30]),
        is_rolling=st.booleans(),
    )
    def arrive(
        self,
        length: int,
        max_tokens: int,
        text: int,
        priority: int,
        lives: int | None,
        is_rolling: bool,
    ) -> None:
        sequence = Sequence(
            number=self.number,
            token_ids=[(i * i * (text + 1)) % VOCAB for i in range(length)],
            domain=SINK if is_rolling else DOMAIN,
            max_tokens=max_tokens,
            priority=priority,
            arrival=self.clock.now,
            deadline=None if lives is None else self.clock.now + lives,
            window=WINDOW if is_rolling else None,
        )
        num_waiting = self.scheduler.num_waiting
        try:
            self.scheduler.add(sequence)
        except EngineBusyError:
            assert num_waiting >= 4
        except RequestTooLargeError:
            assert sequence.max_positions > self.blocks.block_size * self.blocks.num_blocks or (
                is_rolling and self.blocks.num_blocks < WINDOW.num_blocks(self.blocks.block_size)
            )
        else:
            self.number += 1
            self.alive.append(sequence)

    @rule(length=st.integers(1, 5), text=st.integers(0, 2))
    def arrive_together(self, length: int, text: int) -> None:
        for i in range(3):
            self.arrive(length + i, 20, text, 0, None, False)

    @precondition(lambda self: len(self.alive) > 3)
    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        sequence = self.alive.pop(pick % len(self.alive))
        self.scheduler.finish(sequence)
        self.scheduler.finish(sequence)
        assert sequence.state is SequenceState.FINISHED

    @precondition(lambda self: any(s.num_generated for s in self.alive))
    @rule(pick=st.integers(0, 9))
    def fork(self, pick: int) -> None:
        forkable = [s for s in self.alive if s.num_generated]
        parent = forkable[pick % len(forkable)]
        branch = self.scheduler.fork(parent, number=self.number)
        assert branch.num_prompt_tokens == parent.num_prompt_tokens
        assert branch.token_ids == parent.token_ids
        assert branch.token_ids is not parent.token_ids
        self.number += 1
        self.alive.append(branch)

    @precondition(lambda self: any(s.deadline for s in self.alive))
    @rule(seconds=st.integers(1, 4))
    def expire(self, seconds: int) -> None:
        self.clock.now += seconds
        late = [s for s in self.alive if s.deadline is not None and s.deadline <= self.clock.now]
        assert set(self.scheduler.expired()) == set(late)
        for sequence in late:
            self.scheduler.finish(sequence)
            self.alive.remove(sequence)

    # --- steps -------------------------------------------------------------------------------

    @precondition(lambda self: self.alive)
    @rule(num_steps=st.integers(1, 8))
    def go_on(self, num_steps: int) -> None:
        for _ in range(num_steps):
            self.step()
            self.everybody_is_somewhere_once()

    def step(self) -> None:
        running = self.scheduler.running
        due = [s for s in running if len(s.token_ids) - s.num_computed == 1]
        step = self.scheduler.schedule()
        if step is None:
            assert not self.alive, "whoever is accepted is served"
            return
        self.check_step(step, due, running)
        for sequence in self.engine.run(step):
            self.alive.remove(sequence)

    def check_step(self, step: Step, due: list[Sequence], running: tuple[Sequence, ...]) -> None:
        assert 0 < sum(chunk.stop - chunk.start for chunk in step.chunks) <= self.max_rows
        served = [chunk.sequence for chunk in step.chunks]
        assert len(set(served)) == len(served)
        assert set(served) <= set(self.scheduler.running)
        assert set(step.preempted) <= set(self.scheduler.waiting)
        for chunk in step.chunks:
            assert chunk.start == chunk.sequence.num_computed
            assert chunk.needs_logits == (chunk.stop == len(chunk.sequence.token_ids))
        is_due = [sequence in due for sequence in served]
        assert is_due == sorted(is_due, reverse=True), "decoding comes first"
        left_out = [s for s in due if s not in served and s not in step.preempted]
        if left_out and sum(is_due) < self.max_rows:
            # Only for want of a block, which no less important sequence is left to give.
            for sequence in left_out:
                assert sequence.table is not None
                assert self.blocks.reach(sequence.table) <= sequence.num_computed
        if step.preempted:
            assert set(served) <= set(running), "nobody is let in while another is turned out"
        for victim in step.preempted:
            assert (victim.table, victim.num_computed) == (None, 0)
            assert any(sequence.rank < victim.rank for sequence in served)

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def everybody_is_somewhere_once(self) -> None:
        scheduler = self.scheduler
        assert sorted(s.number for s in (*scheduler.running, *scheduler.waiting)) == sorted(
            s.number for s in self.alive
        )
        assert scheduler.num_running == len(scheduler.running) <= self.max_running
        assert scheduler.num_waiting == len(scheduler.waiting)
        ranks = [s.rank for s in scheduler.running]
        assert ranks == sorted(ranks)
        for sequence in scheduler.running:
            assert sequence.state is SequenceState.RUNNING
            assert sequence.table is not None
            assert sequence.table.num_tokens == sequence.num_computed
        assert all(s.state is SequenceState.WAITING for s in scheduler.waiting)

    @invariant()
    def blocks_are_held_by_those_who_run(self) -> None:
        self.blocks.check()
        assert self.blocks.num_tables == self.scheduler.num_running

    def teardown(self) -> None:
        """Whoever was accepted finishes, in a number of steps that the work bounds."""
        if not hasattr(self, "alive"):
            return
        work = sum(s.max_positions for s in self.alive) + 1
        for _ in range(work * (len(self.alive) + 1)):
            if not self.alive:
                break
            self.go_on(1)
        assert not self.alive
        assert self.scheduler.schedule() is None
        self.blocks.check()
        assert (self.blocks.num_used, self.blocks.num_tables) == (0, 0)


@pytest.mark.slow
def test_the_laws_of_the_scheduler() -> None:
    run_state_machine_as_test(
        SchedulerMachine,
        settings=settings(max_examples=150, stateful_step_count=50, deadline=None),
    )


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.lists(
        st.tuples(st.integers(1, 9), st.integers(5, 25), st.booleans()), min_size=3, max_size=8
    ),
    num_blocks=st.integers(11, 15),
    max_rows=st.integers(3, 9),
)
def test_what_is_preempted_says_what_it_would_have_said_alone(
    shapes: list[tuple[int, int, bool]], num_blocks: int, max_rows: int
) -> None:
    blocks = BlockManager(num_blocks=num_blocks, block_size=3)
    scheduler = Scheduler(blocks, max_rows=max_rows, max_running=4, max_waiting=8)
    engine = HashEngine(scheduler, blocks)
    sequences = [
        Sequence(
            number=i,
            token_ids=[(i + j) % VOCAB for j in range(length)],
            domain=SINK if is_rolling else DOMAIN,
            max_tokens=max_tokens,
            arrival=float(i),
            window=WINDOW if is_rolling else None,
        )
        for i, (length, max_tokens, is_rolling) in enumerate(shapes)
    ]
    prompts = [list(sequence.token_ids) for sequence in sequences]
    for sequence in sequences:
        scheduler.add(sequence)
    while (step := scheduler.schedule()) is not None:
        engine.run(step)
    for sequence, prompt_ids in zip(sequences, prompts, strict=True):
        assert sequence.token_ids == alone(
            prompt_ids, sequence.max_tokens, sequence.window, sequence.number
        )
    assert blocks.num_used == 0


# --- fairness --------------------------------------------------------------------------------


def most_overtakings(max_waiting: int, matched: int, priorities: int) -> int:
    return max_waiting + (matched + PRIORITY_WORTH * priorities) // PASSED_OVER_WORTH


def overtakings(rivals: list[tuple[bool, int]], *, priority: int, max_waiting: int) -> int:
    """Return how many are let in before a prompt that nothing is cached of.

    There is one seat, and the queue is filled up again at every step.
    """
    blocks = BlockManager(num_blocks=200, block_size=16)
    scheduler = Scheduler(blocks, max_rows=500, max_running=1, max_waiting=max_waiting)
    cached = range(3001)
    scheduler.add(prompt(0, 0, token_ids=cached, max_tokens=1))
    run(scheduler)
    victim = prompt(1, 20, max_tokens=1, priority=priority)
    scheduler.add(victim)
    numbers, arrivals = itertools.count(2), iter(rivals)
    for num_overtaken in range(1000):
        while scheduler.num_waiting < max_waiting:
            number = next(numbers)
            is_cached, rank = next(arrivals, (False, 0))
            ids = cached if is_cached else [number, number]
            scheduler.add(prompt(number, 0, token_ids=ids, max_tokens=1, priority=rank))
        advance(scheduler)
        if victim not in scheduler.waiting:
            return num_overtaken
    raise AssertionError("never let in")


@settings(deadline=None, max_examples=25)
@given(
    rivals=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=40, max_size=60),
    priority=st.integers(0, 2),
    max_waiting=st.integers(2, 7),
)
def test_nobody_is_overtaken_more_often_than_the_bound_says(
    rivals: list[tuple[bool, int]], priority: int, max_waiting: int
) -> None:
    bound = most_overtakings(max_waiting, 3000, priorities=2)
    assert overtakings(rivals, priority=priority, max_waiting=max_waiting) <= bound


def test_a_stream_of_cached_prompts_of_higher_priority_passes_by_for_a_while_only() -> None:
    rivals = [(True, 0)] * 200
    bound = most_overtakings(3, 2992, priorities=1)
    assert bound == 18
    assert bound - 3 <= overtakings(rivals, priority=1, max_waiting=3) <= bound


@pytest.mark.parametrize("num_long", [1, 3, 7])
@pytest.mark.parametrize("length", [5, 20, 67])
def test_a_short_prompt_waits_for_its_share_and_not_for_long_prompts(
    num_long: int, length: int
) -> None:
    blocks = BlockManager(num_blocks=4000, block_size=16)
    scheduler = Scheduler(blocks, max_rows=64, max_running=16, max_waiting=16)
    for i in range(num_long):
        scheduler.add(prompt(i, 4000 + i, token_ids=range(i, 8000 + i, 2)))
    advance(scheduler)
    short = prompt(9, length)
    scheduler.add(short)
    num_steps = 0
    while not short.num_generated:
        advance(scheduler)
        num_steps += 1
    assert num_steps <= -(-length // (64 // (num_long + 1)))
    assert all(s.is_prefilling for s in scheduler.running if s is not short)


# --- memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_blocks", [300, 2000])
def test_less_than_five_percent_of_memory_and_rows_is_wasted(num_blocks: int) -> None:
    """Lengths as in chats with passages: prompts around 400 tokens, replies around 120."""
    rng = random.Random(5)
    blocks = BlockManager(num_blocks=num_blocks, block_size=16)
    scheduler = Scheduler(blocks, max_rows=256, max_running=16, max_waiting=200)
    num_needed = 0
    for number in range(150):
        length = min(2500, int(rng.lognormvariate(6.0, 0.8)) + 5)
        ids = [rng.randrange(50_000) for _ in range(length)]
        reply = min(700, int(rng.lognormvariate(4.8, 0.7)) + 3)
        scheduler.add(prompt(number, 0, token_ids=ids, max_tokens=reply))
        num_needed += scheduler.waiting[-1].max_positions
    stored = held = num_computed = 0
    while scheduler.num_running or scheduler.num_waiting:
        num_computed += sum(chunk.stop - chunk.start for chunk in advance(scheduler).chunks)
        stored += sum(s.num_computed for s in scheduler.running)
        held += blocks.num_used * 16
    assert 1 - stored / held < 0.05
    assert num_computed / num_needed - 1 < 0.05, "computed again after a preemption"
    assert blocks.num_used == 0


def test_nothing_is_left_of_a_thousand_requests_that_were_broken_off() -> None:
    rng = random.Random(7)
    blocks = BlockManager(num_blocks=60, block_size=4)
    scheduler = Scheduler(blocks, max_rows=24, max_running=6, max_waiting=9)
    alive: list[Sequence] = []
    for number in range(1000):
        sequence = prompt(
            number, 0, token_ids=[rng.randrange(3) for _ in range(rng.randrange(1, 70))]
        )
        scheduler.add(sequence)
        alive.append(sequence)
        for _ in range(rng.randrange(3)):
            if scheduler.num_running or scheduler.num_waiting:
                advance(scheduler)
        while len(alive) > 8 or (alive and rng.random() < 0.3):
            scheduler.finish(alive.pop(rng.randrange(len(alive))))
        blocks.check()
    for sequence in alive:
        scheduler.finish(sequence)
    assert (blocks.num_used, blocks.num_tables, blocks.num_free) == (0, 0, 60)
