import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.draw import draw
from llm.decoding.sampler import DAMAGED, BatchSampler, SamplingRows
from llm.decoding.truncate import truncate
from llm.sampling_params import SamplingParams

V = 37


def made(*temperatures: float) -> SamplingRows:
    rows = SamplingRows(2)
    for i, temperature in enumerate(temperatures):
        rows.join(SamplingParams(temperature=temperature), seed=100 + i, position=i)
    return rows


def temperatures(rows: SamplingRows) -> list[float]:
    n = len(rows)
    asked = [params.temperature for params in rows.params]
    assert rows.arrays.temperature[:n].tolist() == asked
    return asked


def test_rows_join_at_the_end_and_the_arrays_grow() -> None:
    rows = made(0.1, 0.2, 0.3, 0.4, 0.5)
    assert temperatures(rows) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert rows.arrays.seed[:5].tolist() == [100, 101, 102, 103, 104]
    assert rows.positions.tolist() == [0, 1, 2, 3, 4]


def test_those_behind_a_row_that_leaves_move_up() -> None:
    rows = made(0.1, 0.2, 0.3, 0.4)
    rows.leave(1)
    assert temperatures(rows) == [0.1, 0.3, 0.4]
    rows.leave(2)
    assert temperatures(rows) == [0.1, 0.3]
    assert rows.positions.tolist() == [0, 2]
    assert rows.join(SamplingParams(temperature=0.9), seed=1, position=8) == 2
    assert rows.positions.tolist() == [0, 2, 8]


def test_rows_are_kept_in_the_order_asked_for() -> None:
    rows = made(0.1, 0.2, 0.3, 0.4)
    rows.keep([3, 0])
    assert temperatures(rows) == [0.4, 0.1]
    assert rows.positions.tolist() == [3, 0]


def test_a_row_may_be_taken_several_times_and_the_copy_is_independent() -> None:
    rows = made(0.1, 0.2, 0.3)
    drafted = rows.at([2, 2, 0])
    drafted.positions[:] += [0, 1, 0]
    assert temperatures(drafted) == [0.3, 0.3, 0.1]
    assert drafted.positions.tolist() == [2, 3, 0]
    assert rows.positions.tolist() == [0, 1, 2]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=60))
def test_joining_and_leaving_is_that_of_a_list(moves: list[tuple[bool, int]]) -> None:
    rows = SamplingRows(1)
    seeds: list[int] = []
    for joins, number in moves:
        if joins or not seeds:
            rows.join(SamplingParams(), seed=number, position=0)
            seeds.append(number)
        else:
            rows.leave(number % len(seeds))
            del seeds[number % len(seeds)]
        assert rows.arrays.seed[: len(rows)].tolist() == seeds


def test_draws_are_those_of_each_row_alone(rng: np.random.Generator) -> None:
    rows = made(0.0, 0.5, 1.0, 2.0)
    z = rng.normal(size=(4, V)).astype(np.float32)
    tokens = BatchSampler(None).draw(z, rows)
    for i, params in enumerate(rows.params):
        row = truncate(z[i], params)
        assert tokens[i] == draw(row.token_ids, row.log_probs, seed=100 + i, position=i)


def test_a_negative_seed_is_that_of_its_bits(rng: np.random.Generator) -> None:
    z = rng.normal(size=(1, V)).astype(np.float32)
    tokens = []
    for seed in (-5, 2**64 - 5):
        rows = SamplingRows()
        rows.join(SamplingParams(temperature=3.0), seed=seed, position=1)
        tokens.append([BatchSampler(None).draw(z, rows)[0] for rows.positions[0] in range(20)])
    assert tokens[0] == tokens[1]


def test_a_damaged_row_fails_alone(rng: np.random.Generator) -> None:
    z = rng.normal(size=(3, V)).astype(np.float32)
    whole = BatchSampler(None).draw(z, made(1.0, 1.0, 0.0))
    z[1, 4] = np.nan
    tokens = BatchSampler(None).draw(z, made(1.0, 1.0, 0.0))
    assert tokens.tolist() == [whole[0], DAMAGED, whole[2]]


def test_half_precision_logits_are_taken(rng: np.random.Generator) -> None:
    z = rng.normal(size=(2, V)).astype(np.float16)
    sampler = BatchSampler(None)
    rows = made(1.0, 0.0)
    assert np.array_equal(sampler.draw(z, rows), sampler.draw(z.astype(np.float32), rows))


def test_logits_that_do_not_fit_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 37\) do not fit 2 rows"):
        BatchSampler(None).draw(np.zeros((3, V), np.float32), made(1.0, 1.0))
    with pytest.raises(ValueError, match="at most 262144 tokens"):
        BatchSampler(None).draw(np.zeros((1, 2**18 + 1), np.float32), made(1.0))
    survivors = BatchSampler(None).survivors(np.zeros((2, V), np.float32), made(1.0, 1.0))
    with pytest.raises(ValueError, match="2 rows of survivors for 1"):
        BatchSampler(None).draw_from(survivors, made(1.0))


def test_a_stream_of_more_than_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="stream"):
        SamplingRows().join(SamplingParams(), seed=0, position=0, stream=2**32)
    with pytest.raises(ValueError, match="seed"):
        SamplingRows().join(SamplingParams(), seed=2**64, position=0)
