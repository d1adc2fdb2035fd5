import numpy as np
import pytest
from scipy import stats

from llm.philox import Purpose, gumbels, philox, uniform, uniforms


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(
    counter: tuple[int, ...], key: tuple[int, int], words: str
) -> None:
    got = philox(np.array([counter], np.uint32), key)
    assert " ".join(f"{word:08x}" for word in got[0]) == words


def test_a_number_does_not_depend_on_what_else_is_asked_for() -> None:
    values = np.arange(1000, dtype=np.int64)
    whole = uniforms(values, seed=7, position=11)
    some = np.array([998, 3, 512], dtype=np.int64)
    assert np.array_equal(uniforms(some, seed=7, position=11), whole[some])


def test_one_number_is_that_among_many() -> None:
    values = np.array([0, 1, 2, 3, 70_001, 2**31 + 6], dtype=np.int64)
    for seed in (0, 5, 2**64 - 3, -4):
        for purpose in Purpose:
            place = {"seed": seed, "position": 2**33 + 12, "stream": 9}
            many = uniforms(values, **place, purpose=purpose)
            assert [uniform(int(v), **place, purpose=purpose) for v in values] == many.tolist()


def test_seed_position_stream_and_purpose_each_change_the_numbers() -> None:
    values = np.arange(64, dtype=np.int64)
    base = uniforms(values, seed=1, position=2)
    assert not np.array_equal(base, uniforms(values, seed=1 + 2**33, position=2))
    assert not np.array_equal(base, uniforms(values, seed=1, position=3))
    assert not np.array_equal(base, uniforms(values, seed=1, position=2, stream=1))
    assert not np.array_equal(
        base, uniforms(values, seed=1, position=2, purpose=Purpose.ACCEPTANCE)
    )


def test_uniforms_are_uniform_and_gumbels_are_gumbel() -> None:
    values = np.arange(20_000, dtype=np.int64)
    assert stats.kstest(uniforms(values, seed=5, position=0), "uniform").pvalue > 1e-3
    assert stats.kstest(gumbels(values, seed=5, position=1), "gumbel_r").pvalue > 1e-3
