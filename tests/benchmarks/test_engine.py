from collections.abc import Sequence

import pytest

from benchmarks.engine import DECODE_TARGETS, NEW_TOKENS, PREFILL_TOKENS, Prompts, tasks_over
from benchmarks.rounds import Decoded
from tests.llm.tiny_model import tiny_tokenizer

TEXT = " ".join(f"word{i} and {i * 7919 % 1009}" for i in range(2_000))


class Recorder:
    def __init__(self) -> None:
        self.prompts: list[list[int]] = []

    def prefill(self, token_ids: Sequence[int]) -> float:
        self.prompts.append(list(token_ids))
        return 0.5

    def decode(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Decoded:
        self.prompts.extend(map(list, prompts))
        return Decoded(seconds=2.0, num_tokens=new_tokens * len(prompts))


def test_all_contenders_get_the_same_prompts_in_a_round_and_others_in_the_next() -> None:
    tasks = tasks_over(Prompts(tiny_tokenizer(), TEXT))
    one, two, later = Recorder(), Recorder(), Recorder()
    for task in tasks:
        for contender, number in ((one, 0), (two, 0), (later, 1)):
            task.run(contender, number)
    assert one.prompts == two.prompts
    beginnings = [tuple(prompt[:8]) for prompt in one.prompts + later.prompts]
    assert len(set(beginnings)) == len(beginnings) == 2 * (1 + sum(DECODE_TARGETS))


def test_speeds_are_tokens_a_second() -> None:
    prefill, *decode = tasks_over(Prompts(tiny_tokenizer(), TEXT))
    assert prefill.run(Recorder(), 0) == PREFILL_TOKENS / 0.5
    for task, batch in zip(decode, DECODE_TARGETS, strict=True):
        assert task.run(Recorder(), 0) == batch * NEW_TOKENS / 2


def test_a_text_without_new_beginnings_is_refused() -> None:
    with pytest.raises(ValueError, match="too short for another prompt of 9"):
        Prompts(tiny_tokenizer(), "a").of_round("x", 0, 1, 9)
    same = Prompts(tiny_tokenizer(), "a " * 300)
    with pytest.raises(ValueError, match="too short for another prompt"):
        same.of_round("x", 0, 30, 9)
