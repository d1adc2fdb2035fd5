import pytest

from llm.block_manager import BlockManager
from llm.errors import EngineBusyError, LLMError, RequestTooLargeError
from llm.scheduler import Scheduler
from llm.sequence import Sequence, SequenceState, Window
from tests.llm.scheduling import DOMAIN, SINK, Clock, advance, prompt, run, scheduler, spans

# --- steps -----------------------------------------------------------------------------------


def test_nothing_to_do_is_no_step() -> None:
    served, _ = scheduler()
    assert served.schedule() is None


def test_sizes_below_one_are_refused() -> None:
    blocks = BlockManager(num_blocks=1, block_size=1)
    with pytest.raises(ValueError, match=r"must be >= 1, got 1, 0 and 3"):
        Scheduler(blocks, max_rows=1, max_running=0, max_waiting=3)


def test_a_prompt_is_read_and_its_tokens_follow_one_by_one() -> None:
    served, blocks = scheduler()
    sequence = prompt(0, 7, max_tokens=3)
    served.add(sequence)
    assert served.waiting == (sequence,)
    step = advance(served)
    assert spans(step) == [(0, 0, 7)]
    assert step.chunks[0].needs_logits
    assert served.running == (sequence,)
    assert not sequence.is_prefilling
    assert sequence.table is not None
    assert sequence.num_computed == sequence.table.num_tokens == 7
    assert spans(advance(served)) == [(0, 7, 8)]
    assert spans(advance(served)) == [(0, 8, 9)]
    assert sequence.state is SequenceState.FINISHED
    assert blocks.num_used == 0
    assert served.schedule() is None


def test_a_long_prompt_is_read_in_chunks_of_the_budget() -> None:
    served, _ = scheduler(max_rows=20)
    served.add(prompt(0, 45))
    assert spans(advance(served)) == [(0, 0, 20)]
    step = advance(served)
    assert spans(step) == [(0, 20, 40)]
    assert not step.chunks[0].needs_logits
    assert spans(advance(served)) == [(0, 40, 45)]


def test_logits_are_needed_still_when_the_token_has_been_appended() -> None:
    served, _ = scheduler()
    served.add(prompt(0, 5))
    step = served.schedule()
    assert step is not None
    served.append(step.chunks[0].sequence, 1)
    assert step.chunks[0].needs_logits


def test_decoding_comes_first_and_prompts_share_what_is_left() -> None:
    served, _ = scheduler(max_rows=13)
    served.add(prompt(0, 3, max_tokens=20))
    advance(served)
    served.add(prompt(1, 50))
    served.add(prompt(2, 5))
    assert spans(advance(served)) == [(0, 3, 4), (1, 0, 7), (2, 0, 5)]
    assert spans(advance(served)) == [(0, 4, 5), (2, 5, 6), (1, 7, 18)]


def test_a_short_prompt_is_not_held_up_by_a_long_one() -> None:
    served, _ = scheduler(300, max_rows=16)
    long, short = prompt(0, 800), prompt(1, 5)
    served.add(long)
    advance(served)
    served.add(short)
    step = advance(served)
    assert short.num_generated == 1
    assert sum(chunk.stop - chunk.start for chunk in step.chunks) == 16
    assert long.is_prefilling


def test_a_sequence_that_awaits_its_token_gets_no_row() -> None:
    served, _ = scheduler()
    sequence = prompt(0, 4)
    served.add(sequence)
    step = served.schedule()
    assert step is not None
    served.commit(step)
    assert served.schedule() is None
    served.append(sequence, 9)
    assert spans(served.schedule()) == [(0, 4, 5)]


def test_a_step_that_was_not_committed_is_planned_again() -> None:
    served, _ = scheduler()
    served.add(prompt(0, 4))
    assert spans(served.schedule()) == spans(served.schedule()) == [(0, 0, 4)]


def test_more_decoding_sequences_than_rows_take_turns() -> None:
    served, _ = scheduler(max_rows=2, max_running=5)
    sequences = [prompt(0, 1, max_tokens=30)]
    served.add(sequences[0])
    advance(served)
    sequences += [served.fork(sequences[0], number=i) for i in range(1, 5)]
    for _ in range(20):
        assert len(advance(served).chunks) == 2
    lengths = [sequence.num_generated for sequence in sequences]
    assert lengths == [9, 9, 9, 9, 9]


def test_more_prompts_than_rows_take_turns() -> None:
    served, _ = scheduler(max_rows=5, max_running=6)
    for i in range(2):
        served.add(prompt(i, 40))
    advance(served)
    decoding = prompt(2, 1, max_tokens=30)
    served.add(decoding)
    advance(served)
    for i in range(3, 6):
        served.fork(decoding, number=i)
    reading = [spans(advance(served))[4:] for _ in range(4)]
    assert [[number for number, _, _ in chunks] for chunks in reading] == [[0], [1], [0], [1]]


# --- admission -------------------------------------------------------------------------------


def test_no_more_run_than_there_are_seats() -> None:
    served, _ = scheduler(max_running=2)
    for i in range(3):
        served.add(prompt(i, 4))
    advance(served)
    assert (served.num_running, served.num_waiting) == (2, 1)
    run(served)


def test_a_full_queue_says_how_full_it_is() -> None:
    served, _ = scheduler(max_waiting=2)
    served.add(prompt(0, 4))
    served.add(prompt(1, 4))
    with pytest.raises(EngineBusyError, match="2 requests are waiting, and at most 2 may; try"):
        served.add(prompt(2, 4))


def test_what_could_never_be_finished_is_refused_with_its_size() -> None:
    served, _ = scheduler(num_blocks=5)
    served.add(prompt(0, 12, max_tokens=4))
    with pytest.raises(RequestTooLargeError, match=r"needs 6 blocks of 3 .* the cache has 5") as no:
        served.add(prompt(1, 12, max_tokens=5))
    assert isinstance(no.value, ValueError)
    assert isinstance(no.value, LLMError)
    run(served)


def test_of_a_rolling_window_only_the_window_has_to_fit() -> None:
    served, blocks = scheduler(num_blocks=4)
    window = Window(sinks=2, size=5)
    sequence = Sequence(
        number=0, token_ids=list(range(40)), domain=SINK, max_tokens=30, window=window
    )
    served.add(sequence)
    while sequence.num_generated < 29:
        advance(served)
        blocks.check()
        assert sequence.table is not None
        position = sequence.num_computed
        for i in range(position):
            if i < 2 or i > position - 5:
                assert sequence.table.blocks[i // 3] >= 0, "seen by the next query"
    assert sequence.table is not None
    assert sequence.table.num_holes > 15
    advance(served)
    assert blocks.num_used == 0


def test_a_cached_beginning_that_fills_the_cache_leaves_room_for_a_windowed_prompt() -> None:
    served, blocks = scheduler(num_blocks=6, max_rows=100)
    window = Window(sinks=2, size=5)
    for number, length, max_tokens in ((0, 18, 1), (1, 19, 25)):
        served.add(
            Sequence(
                number=number,
                token_ids=list(range(length)),
                domain=SINK,
                max_tokens=max_tokens,
                window=window,
            )
        )
        assert blocks.match(range(19), SINK) == 18 * number
        run(served)
    assert blocks.num_used == 0


def test_the_longest_cached_beginning_goes_first() -> None:
    served, _ = scheduler(max_running=1)
    served.add(prompt(0, 12, max_tokens=1))
    run(served)
    served.add(prompt(1, 12))
    served.add(prompt(2, 0, token_ids=[*range(10), 77, 78]))
    advance(served)
    assert [s.number for s in served.running] == [2]
    assert served.waiting[0].number == 1


def test_the_lower_priority_goes_first() -> None:
    served, _ = scheduler(max_running=1)
    served.add(prompt(0, 4, priority=1))
    served.add(prompt(1, 4, priority=0))
    served.add(prompt(2, 4, priority=0))
    advance(served)
    assert [s.number for s in served.running] == [1]


def test_a_prompt_waits_until_there_is_room_for_all_of_it() -> None:
    served, _ = scheduler(num_blocks=9, max_rows=30)
    served.add(prompt(0, 12, max_tokens=7))
    served.add(prompt(1, 12, max_tokens=4))
    advance(served)
    assert (served.num_running, served.num_waiting) == (1, 1)
    while served.num_running == 1 and served.running[0].number == 0:
        assert advance(served).preempted == ()
    assert run(served) > 0


def test_room_that_equal_prompts_leave_when_they_are_joined_is_used_at_once() -> None:
    served, blocks = scheduler(num_blocks=12, block_size=2)
    equal = range(500, 508)
    for number in range(2):
        served.add(prompt(number, 0, token_ids=equal, max_tokens=30 // (number + 2)))
    served.add(prompt(2, 5, max_tokens=9))
    advance(served)
    assert (served.num_running, blocks.num_used) == (2, 4)
    advance(served)
    assert (served.num_running, served.num_waiting) == (3, 0)
    run(served)


# --- leaving ---------------------------------------------------------------------------------


def test_a_sequence_can_leave_from_anywhere_and_twice() -> None:
    served, blocks = scheduler(max_running=2, max_rows=8)
    sequences = [prompt(i, 9) for i in range(4)]
    for sequence in sequences:
        served.add(sequence)
    advance(served)
    for sequence in (*sequences, *sequences):
        served.finish(sequence)
        assert sequence.state is SequenceState.FINISHED
    assert (served.num_running, served.num_waiting, blocks.num_used) == (0, 0, 0)
    assert served.schedule() is None


def test_who_left_during_a_step_is_not_committed() -> None:
    served, blocks = scheduler()
    staying, leaving = prompt(0, 4), prompt(1, 4)
    served.add(staying)
    served.add(leaving)
    step = served.schedule()
    assert step is not None
    served.finish(leaving)
    served.commit(step)
    assert (staying.num_computed, leaving.num_computed) == (4, 0)
    blocks.check()


def test_a_deadline_passes_for_the_waiting_and_the_running() -> None:
    clock = Clock()
    blocks = BlockManager(num_blocks=50, block_size=3)
    served = Scheduler(blocks, max_rows=20, max_running=1, max_waiting=5, clock=clock)
    sequences = [
        Sequence(number=i, token_ids=[1, 2], domain=DOMAIN, max_tokens=9, deadline=deadline)
        for i, deadline in enumerate((5.0, 7.0, None))
    ]
    for sequence in sequences:
        served.add(sequence)
    advance(served)
    assert served.expired() == ()
    clock.now = 5.0
    assert served.expired() == (sequences[0],)
    clock.now = 8.0
    assert served.expired() == (sequences[0], sequences[1])
