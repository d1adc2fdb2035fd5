"""Who is turned out where blocks run out, and what becomes of branches then."""

from llm.sequence import Sequence, SequenceState
from tests.llm.scheduling import advance, prompt, run, say, scheduler, spans

# --- preemption ------------------------------------------------------------------------------


def test_the_least_important_is_turned_out_and_goes_on_from_the_front() -> None:
    served, blocks = scheduler(num_blocks=8, max_rows=30)
    first, second = prompt(0, 6, max_tokens=15), prompt(1, 6, max_tokens=15)
    served.add(first)
    served.add(second)
    advance(served)
    served.add(prompt(2, 6, max_tokens=3))
    preempted: list[Sequence] = []
    while not preempted:
        preempted += advance(served).preempted
        blocks.check()
    assert preempted == [second]
    assert second.state is SequenceState.WAITING
    assert (second.num_computed, second.table) == (0, None)
    assert served.waiting[0] is second
    said = list(second.token_ids)
    run(served)
    assert second.token_ids[: len(said)] == said
    assert second.num_generated == 15
    assert blocks.num_used == 0


def test_the_higher_priority_number_is_turned_out_even_if_it_came_first() -> None:
    served, _ = scheduler(num_blocks=6, max_rows=30)
    low = prompt(0, 5, max_tokens=10, priority=3)
    served.add(low)
    advance(served)
    served.add(prompt(1, 5, max_tokens=10, priority=1))
    preempted: list[Sequence] = []
    while not preempted:
        preempted += advance(served).preempted
    assert preempted == [low]
    run(served)


def test_a_row_that_was_planned_is_taken_back_from_who_is_turned_out() -> None:
    served, blocks = scheduler(num_blocks=8, block_size=2, max_rows=2)
    decoding = prompt(5, 1, max_tokens=14, priority=1)
    served.add(decoding)
    advance(served)
    reading = prompt(6, 10, max_tokens=3, priority=0)
    served.add(reading)
    seen: list[Sequence] = []
    while reading.state is not SequenceState.FINISHED:
        step = advance(served)
        assert all(chunk.sequence not in step.preempted for chunk in step.chunks)
        seen += step.preempted
        blocks.check()
    assert decoding in seen
    run(served)


# --- branches --------------------------------------------------------------------------------


def test_branches_share_what_is_computed_and_go_their_own_ways() -> None:
    served, blocks = scheduler()
    parent = prompt(0, 7, max_tokens=3)
    served.add(parent)
    step = served.schedule()
    assert step is not None
    served.commit(step)
    child = served.fork(parent, number=1)
    assert child.state is SequenceState.RUNNING
    assert blocks.num_used == 3
    served.append(parent, 1)
    served.append(child, 2)
    step = served.schedule()
    assert spans(step) == [(0, 7, 8), (1, 7, 8)]
    assert step is not None
    assert len(step.copies) == 1
    served.commit(step)
    assert blocks.num_used == 4
    assert parent.token_ids[:-1] == child.token_ids[:-1]
    assert child.num_generated == 1
    served.finish(parent)
    served.finish(child)
    assert blocks.num_used == 0


def test_a_branch_without_a_seat_waits_in_front() -> None:
    served, blocks = scheduler(max_running=1)
    parent = prompt(0, 7, max_tokens=3)
    served.add(parent)
    served.add(prompt(2, 7))
    advance(served)
    child = served.fork(parent, number=1)
    assert child.state is SequenceState.WAITING
    assert served.waiting[0] is child
    assert child.num_generated == 1
    run(served)
    assert child.num_generated == 3
    assert blocks.num_used == 0


def test_the_copy_of_a_branch_that_is_turned_out_is_not_made() -> None:
    """Its target may belong to another branch in the same step."""
    served, blocks = scheduler(num_blocks=4, block_size=2, max_rows=3, max_running=3)
    parent = prompt(0, 3, max_tokens=5)
    served.add(parent)
    advance(served)
    served.fork(parent, number=1)
    served.fork(parent, number=2)
    num_copies = num_preempted = 0
    while (step := served.schedule()) is not None:
        tables = [chunk.sequence.table for chunk in step.chunks]
        held = {block for table in tables if table is not None for block in table.blocks}
        targets = [copy.target for copy in step.copies]
        assert len(set(targets)) == len(targets)
        assert held.issuperset(targets)
        num_copies += len(targets)
        num_preempted += len(step.preempted)
        served.commit(step)
        blocks.check()
        for chunk in step.chunks:
            if chunk.needs_logits:
                say(served, chunk.sequence, 10 + chunk.sequence.number)
    assert num_copies > 0
    assert num_preempted > 0
    assert blocks.num_used == 0


def test_a_copy_that_was_planned_is_taken_back_with_the_row() -> None:
    served, blocks = scheduler(num_blocks=7, block_size=2, max_rows=2)
    parent = prompt(0, 3, max_tokens=2, priority=1)
    reading = prompt(1, 10, max_tokens=1)
    served.add(parent)
    for _ in range(2):
        step = served.schedule()
        assert step is not None
        served.commit(step)
    served.add(reading)
    for _ in range(4):
        advance(served)
    assert (reading.num_computed, blocks.num_free) == (8, 1)
    branch = served.fork(parent, number=2)
    served.append(branch, 5)  # the copy of its last block takes the one that is free
    step = served.schedule()
    assert step is not None
    assert spans(step) == [(1, 8, 9)]
    assert step.preempted == (branch,)
    assert step.copies == ()
    blocks.check()


def test_of_two_that_were_turned_out_the_more_important_goes_on_first() -> None:
    served, _ = scheduler(num_blocks=12, block_size=2, max_rows=30)
    sequences = [prompt(i, 4, max_tokens=20) for i in range(3)]
    for sequence in sequences:
        served.add(sequence)
    while served.num_waiting < 2 or not served.num_running:
        advance(served)
    assert served.waiting == (sequences[1], sequences[2])
    run(served)
