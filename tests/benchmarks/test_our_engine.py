import numpy as np
import pytest

from benchmarks.our_engine import OurEngine
from llm.engine_statistics import EngineLimits
from tests.llm.tiny_engine import tiny_engine

PROMPTS = [[11, 12, 13, 14, 15], [21, 22, 23, 24, 25], [31, 32, 33, 34, 35]]


def test_a_prompt_is_read_and_nothing_is_left() -> None:
    ours = OurEngine(tiny_engine())
    assert ours.prefill(PROMPTS[0]) > 0
    assert not ours.engine.has_work
    assert ours.kernels in ours.about


def test_steps_are_counted_from_when_all_have_begun() -> None:
    """With 4 rows a step the first prompt is ahead of the last by some tokens."""
    ours = OurEngine(tiny_engine(limits=EngineLimits(max_rows=4)))
    decoded = ours.decode(PROMPTS, 7)
    assert decoded.num_tokens == 21
    assert not ours.engine.has_work


def test_a_prompt_from_the_cache_is_an_error() -> None:
    ours = OurEngine(tiny_engine())
    prompt = list(range(3, 40))
    ours.prefill(prompt)
    with pytest.raises(RuntimeError, match="tokens of a prompt came from the cache"):
        ours.prefill(prompt)


def test_steps_without_a_token_for_each_request_are_an_error() -> None:
    ours = OurEngine(tiny_engine(limits=EngineLimits(max_rows=2)))
    with pytest.raises(RuntimeError, match="each should get one a step"):
        ours.decode(PROMPTS, 7)


def test_logits_do_not_depend_on_what_was_read_before() -> None:
    ours = OurEngine(tiny_engine())
    first = ours.logits(PROMPTS[0])
    ours.logits(PROMPTS[1])
    assert first.shape[0] == 5
    assert np.array_equal(first, ours.logits(PROMPTS[0]))
