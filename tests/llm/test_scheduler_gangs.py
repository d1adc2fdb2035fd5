"""Laws of sequences that take every step together, and of drafted rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import RequestTooLargeError, TooManyBranchesError
from llm.scheduler import Scheduler
from llm.sequence import Gang, Sequence
from llm.step_plan import Step
from tests.llm.scheduling import advance, prompt, run, scheduler


def gang_of(*members: Sequence, num_seats: int | None = None) -> Gang:
    gang = Gang(num_seats or len(members))
    for member in members:
        gang.add(member)
    return gang


def due(step: Step) -> set[int]:
    return {chunk.sequence.number for chunk in step.chunks if chunk.needs_logits}


@settings(deadline=None, max_examples=80)
@given(
    shapes=st.lists(
        st.tuples(st.lists(st.integers(1, 20), min_size=1, max_size=3), st.integers(1, 9)),
        min_size=1,
        max_size=6,
    ),
    num_blocks=st.integers(30, 45),
    max_rows=st.integers(3, 12),
)
def test_members_take_each_step_together_and_all_come_to_their_end(
    shapes: list[tuple[list[int], int]], num_blocks: int, max_rows: int
) -> None:
    served, blocks = scheduler(num_blocks, max_rows=max_rows, max_running=4)
    gangs: list[Gang | None] = []
    owner: dict[int, int] = {}
    for group, (lengths, max_tokens) in enumerate(shapes):
        members = [
            prompt(10 * group + i, length, max_tokens=max_tokens)
            for i, length in enumerate(lengths)
        ]
        gangs.append(gang_of(*members) if len(members) > 1 else None)
        owner.update((member.number, group) for member in members)
        served.add(members[0])
    for _ in range(2000):
        if not served.num_running and not served.num_waiting:
            break
        before = {g: {m.number for m in gang.members} for g, gang in enumerate(gangs) if gang}
        step = advance(served)
        for group in {owner[number] for number in due(step)}:
            if gangs[group] is not None:
                together = {n for n in due(step) if owner[n] == group}
                assert together == before[group], "one went without the others"
        blocks.check()
    assert not served.num_running
    assert not served.num_waiting
    assert blocks.num_used == 0


def test_a_gang_is_turned_out_as_a_whole_and_comes_back_as_a_whole() -> None:
    served, blocks = scheduler(9, block_size=2, max_rows=20, max_running=4)
    first = prompt(0, 4, max_tokens=9)
    pair = [prompt(1, 3, max_tokens=2), prompt(2, 3, max_tokens=2)]
    gang_of(*pair)
    served.add(first)
    served.add(pair[0])
    turned_out: set[int] = set()
    for _ in range(60):
        if not served.num_running and not served.num_waiting:
            break
        step = advance(served)
        gone = {s.number for s in step.preempted}
        assert not gone & {1, 2} or gone >= {1, 2}
        turned_out |= gone
    assert blocks.num_used == 0
    assert len(pair[0].token_ids) == len(pair[1].token_ids) == 5


def test_seats_are_kept_for_what_a_gang_may_come_to() -> None:
    served, _ = scheduler(50, max_running=4)
    beam = prompt(0, 5, max_tokens=6)
    gang = gang_of(beam, num_seats=3)
    served.add(beam)
    served.add(prompt(1, 5))
    served.add(prompt(2, 5))
    advance(served)
    assert {s.number for s in served.running} == {0, 1}
    forks = [served.fork(beam, number=10 + i, gang=gang) for i in range(2)]
    assert all(fork.table is not None for fork in forks)
    assert served.num_running == 4


def test_a_gang_that_never_fits_is_refused_at_once() -> None:
    served, _ = scheduler(50, max_running=2)
    beam = prompt(0, 5)
    gang_of(beam, num_seats=3)
    with pytest.raises(TooManyBranchesError, match="3 branches"):
        served.add(beam)
    served, _ = scheduler(8, block_size=2, max_running=4)
    beam = prompt(0, 5, max_tokens=3)
    gang_of(beam, num_seats=3)
    with pytest.raises(RequestTooLargeError):
        served.add(beam)


def test_a_waiting_gang_outlives_its_first_member() -> None:
    served, blocks = scheduler()
    pair = [prompt(0, 5), prompt(1, 5)]
    gang_of(*pair)
    served.add(pair[0])
    served.finish(pair[0])
    assert served.waiting == (pair[1],)
    run(served)
    assert blocks.num_used == 0


def with_draft(served: Scheduler, sequence: Sequence, draft: tuple[int, ...], right: int) -> Step:
    """One step in which so many tokens of a draft turn out to be right."""
    sequence.draft = draft
    step = served.schedule()
    assert step is not None
    served.commit(step)
    for token in (*draft[:right], 99):
        served.append(sequence, token)
    served.accept(sequence, right)
    return step


@pytest.mark.parametrize("right", [0, 1, 2, 3])
def test_of_a_draft_only_what_was_right_is_kept(right: int) -> None:
    served, blocks = scheduler(block_size=2)
    sequence = prompt(0, 4, max_tokens=20)
    served.add(sequence)
    advance(served)
    step = with_draft(served, sequence, (1, 2, 3), right)
    assert [chunk.draft for chunk in step.chunks] == [(1, 2, 3)]
    assert sequence.num_computed == len(sequence.token_ids) - 1 == 5 + right
    blocks.check()
    sequence.draft = ()
    run(served)
    assert blocks.num_used == 0
    # what is cached is what was said, not what was guessed
    again = prompt(1, 1, token_ids=sequence.token_ids)
    assert blocks.match(again.token_ids, again.domain) == 2 * ((len(again.token_ids) - 1) // 2)


def test_a_draft_takes_no_row_from_somebody_who_has_a_token_to_compute() -> None:
    served, _ = scheduler(max_rows=3)
    sequences = [prompt(i, 2, max_tokens=9) for i in range(3)]
    for sequence in sequences:
        served.add(sequence)
    while any(s.is_prefilling or s.num_generated == 0 for s in sequences):
        advance(served)
    sequences[0].draft = (1, 2, 3)
    step = served.schedule()
    assert step is not None
    assert {chunk.sequence.number for chunk in step.chunks} == {0, 1, 2}
    assert all(not chunk.draft for chunk in step.chunks)


def test_a_draft_turns_nobody_out() -> None:
    served, blocks = scheduler(4, block_size=2, max_rows=20)
    sequences = [prompt(i, 3, max_tokens=2) for i in range(2)]
    for sequence in sequences:
        served.add(sequence)
    advance(served)
    sequences[0].draft = (1, 2, 3, 4)
    step = served.schedule()
    assert step is not None
    assert not step.preempted
    assert step.chunks[0].draft == ()
    assert blocks.num_used == 4
