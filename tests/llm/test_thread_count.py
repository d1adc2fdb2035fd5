import time

import pytest
import torch

from llm.thread_count import _fastest, fastest_decode_threads, set_threads
from tests.llm.tiny_model import tiny_decoder


def test_the_count_that_is_faster_is_chosen_and_the_old_one_set_again() -> None:
    before = torch.get_num_threads()

    def step() -> None:
        time.sleep(0.001 if torch.get_num_threads() == 1 else 0.01)

    assert _fastest(step, (1, 2)) == 1
    assert _fastest(lambda: time.sleep(0.01 / torch.get_num_threads()), (1, 2)) == 2
    assert torch.get_num_threads() == before


def test_one_thread_needs_no_measurement() -> None:
    assert fastest_decode_threads(tiny_decoder().model, 1) == 1


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_an_impossible_count_is_refused_with_the_number_of_cores(count: int) -> None:
    with pytest.raises(ValueError, match=r"threads must be in \[1, \d+\]"):
        set_threads(count)
