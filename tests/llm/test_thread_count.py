import pytest

from llm.thread_count import set_threads


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_an_impossible_count_is_refused_with_the_number_of_cores(count: int) -> None:
    with pytest.raises(ValueError, match=r"threads must be in \[1, \d+\]"):
        set_threads(count)
