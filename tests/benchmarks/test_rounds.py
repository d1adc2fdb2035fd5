from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Contender, Decoded, Race, Task, race


@dataclass
class Steady:
    """Needs `seconds` for a prompt, and says when it was asked."""

    name: str
    seconds: float
    diary: list[str] = field(default_factory=list)

    def prefill(self, token_ids: Sequence[int]) -> float:
        self.diary.append(self.name)
        return self.seconds * len(token_ids) / 7

    def decode(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Decoded:
        return Decoded(seconds=self.seconds, num_tokens=new_tokens * len(prompts))


def prefill_speed(contender: Contender, number: int) -> float:
    return 7 / contender.prefill([number] * 7)


def decode_speed(contender: Contender, number: int) -> float:
    decoded = contender.decode([[number]] * 3, 5)
    return decoded.num_tokens / decoded.seconds


PREFILL = Task(name="prefill", run=prefill_speed, target=2.0)
DECODE = Task(name="decode", run=decode_speed)


def test_medians_and_ratios_come_from_the_rounds_after_the_warm_up() -> None:
    numbers: list[int] = []
    (found,) = race(
        [PREFILL],
        Steady("ours", 0.5),
        {"a": Steady("a", 1.0), "b": Steady("b", 1.1)},
        num_rounds=3,
        on_round=numbers.append,
    )
    assert found.ours == (14.0,) * 3
    assert found.fastest() == "a"
    assert found.fastest(lambda name: name == "b") == "b"
    assert found.fastest(lambda name: name == "c") is None
    assert found.ratio("a") == pytest.approx(2.0)
    assert found.ratio_extremes("b") == pytest.approx((2.2, 2.2))
    assert numbers == [-1, 0, 1, 2, 3]


def test_who_comes_first_changes_from_round_to_round() -> None:
    diary: list[str] = []
    names = ("ours", "a", "b")
    ours, a, b = (Steady(name, 1.0, diary) for name in names)
    race([PREFILL], ours, {"a": a, "b": b}, num_rounds=1)
    assert diary == ["ours", "a", "b", "a", "b", "ours", "b", "ours", "a"]


def test_a_clearly_slower_rival_is_left_out_of_its_grade_only() -> None:
    rivals = {
        "near 1": Steady("", 2.0),
        "near 2": Steady("", 2.4),
        "near 3": Steady("", 2.6),
        "far 1": Steady("", 1.0),
        "far 2": Steady("", 1.3),
    }
    (found,) = race(
        [DECODE], Steady("", 1.0), rivals, num_rounds=1, grade=lambda name: name.split()[0]
    )
    assert list(found.rivals) == ["near 1", "near 2", "far 1"]


def test_without_rivals_only_ours_is_measured() -> None:
    prefill, decode = race([PREFILL, DECODE], Steady("ours", 0.5), {}, num_rounds=2)
    assert prefill.fastest() is None
    assert decode.ours == (30.0, 30.0)


def test_no_round_and_no_token_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        race([PREFILL], Steady("", 1.0), {}, num_rounds=0)
    with pytest.raises(ValueError, match="0 tokens in 1"):
        Decoded(seconds=1.0, num_tokens=0)


speeds = st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3).map(tuple)


@given(ours=speeds, theirs=speeds)
def test_the_ratio_of_medians_lies_between_the_extremes_of_medians(
    ours: tuple[float, ...], theirs: tuple[float, ...]
) -> None:
    found = Race(task=PREFILL, ours=ours, rivals={"a": theirs})
    low, high = found.ratio_extremes("a")
    assert low <= high
    assert min(ours) / max(theirs) * 0.999 <= found.ratio("a") <= max(ours) / min(theirs) * 1.001
