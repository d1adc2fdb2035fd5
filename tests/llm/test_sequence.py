import pytest

from llm.block_manager import CacheDomain
from llm.sequence import Sequence, SequenceState, Window

DOMAIN = CacheDomain(model="m")


def test_a_sequence_needs_a_prompt_and_a_token_to_generate() -> None:
    with pytest.raises(ValueError, match="a prompt needs at least one token"):
        Sequence(number=0, token_ids=[], domain=DOMAIN, max_tokens=1)
    with pytest.raises(ValueError, match="max_tokens must be >= 1, got 0"):
        Sequence(number=0, token_ids=[1], domain=DOMAIN, max_tokens=0)


def test_a_sequence_does_not_change_the_list_it_was_given() -> None:
    prompt = [1, 2, 3]
    sequence = Sequence(number=0, token_ids=prompt, domain=DOMAIN, max_tokens=2)
    sequence.token_ids.append(4)
    assert prompt == [1, 2, 3]
    assert sequence.num_generated == 1
    assert sequence.max_positions == 4
    assert sequence.state is SequenceState.WAITING
    assert repr(sequence) == "Sequence(0, waiting, 0 of 4 tokens computed)"


def test_prefilling_ends_before_the_newest_token() -> None:
    sequence = Sequence(number=0, token_ids=[1, 2, 3], domain=DOMAIN, max_tokens=2)
    assert sequence.is_prefilling
    sequence.num_computed = 2
    assert not sequence.is_prefilling


def test_the_lower_priority_then_the_earlier_arrival_goes_first() -> None:
    def rank(number: int, priority: int, arrival: float) -> tuple[int, float, int]:
        sequence = Sequence(
            number=number,
            token_ids=[1],
            domain=DOMAIN,
            max_tokens=1,
            priority=priority,
            arrival=arrival,
        )
        return sequence.rank

    assert rank(3, 0, 9.0) < rank(0, 1, 1.0) < rank(1, 1, 2.0) < rank(2, 1, 2.0)


def test_a_window_needs_a_size() -> None:
    with pytest.raises(ValueError, match="size of a window must be >= 1, got 0"):
        Window(sinks=0, size=0)
    with pytest.raises(ValueError, match="sinks must be >= 0, got -1"):
        Window(sinks=-1, size=1)


@pytest.mark.parametrize("block_size", [1, 3, 16])
@pytest.mark.parametrize("sinks", [0, 4, 16])
@pytest.mark.parametrize("size", [1, 2, 7, 33])
def test_a_window_never_covers_more_blocks_than_it_says(
    block_size: int, sinks: int, size: int
) -> None:
    window = Window(sinks=sinks, size=size)
    most = 0
    for position in range(200):
        first = window.first_kept(position)
        seen = {i for i in range(position + 1) if i < sinks or position - i < size}
        assert seen == {*range(min(sinks, position + 1)), *range(first, position + 1)}
        most = max(most, len({i // block_size for i in seen}))
    assert most <= window.num_blocks(block_size) <= most + 1
