"""The compiled sampler against its numpy twin: same tokens, same survivors, same bits."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32
from scipy import stats

from llm.decoding.draw import draw, purposed
from llm.decoding.sampler import DAMAGED, BatchSampler, SamplingRows
from llm.decoding.truncate import truncate
from llm.native.loader import load_library
from llm.native.sampling import NativeSampler, RowArrays, SamplingStruct
from llm.philox import Purpose
from llm.sampling_params import SamplingParams

PATHS = ("portable", "avx2", "avx512")
pytestmark = pytest.mark.kernels
V = 4099  # no multiple of a block
CORNERS = (
    SamplingParams(),
    SamplingParams(temperature=9e-6),
    SamplingParams(temperature=1.1e-5),
    SamplingParams(temperature=1e-4),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=10.0),
    SamplingParams(temperature=1e-4, top_p=0.9),
    SamplingParams(temperature=0.7, top_p=0.9),
    SamplingParams(temperature=10.0, top_p=0.5),
    SamplingParams(temperature=1.0, top_p=0.9999999),
    SamplingParams(temperature=1.0, top_p=float(np.nextafter(1, 0))),
    SamplingParams(temperature=1.0, top_p=1e-12),
    SamplingParams(temperature=1.0, top_p=5e-324),
    SamplingParams(temperature=1.0, top_k=1),
    SamplingParams(temperature=1.0, top_k=2),
    SamplingParams(temperature=1.0, top_k=40),
    SamplingParams(temperature=2.0, top_k=V // 2),
    SamplingParams(temperature=1.0, top_k=V - 1),
    SamplingParams(temperature=1.0, top_k=V),
    SamplingParams(temperature=1.0, top_k=2**40),
    SamplingParams(temperature=1.0, min_p=1.0),
    SamplingParams(temperature=10.0, min_p=0.05),
    SamplingParams(temperature=1.0, min_p=1e-9),
    SamplingParams(temperature=1.0, min_p=1e-30),
    SamplingParams(temperature=1.0, min_p=1e-300),
    SamplingParams(temperature=1.0, top_k=500, top_p=0.95, min_p=0.001),
    SamplingParams(temperature=3.0, top_k=100, top_p=0.999, min_p=1e-4),
)
KINDS = (
    "flat", "normal", "wide", "peaked", "ties", "equal", "masked", "one_left", "zeros", "tiny",
    "huge", "plateau",
)  # fmt: skip


def logits_of(kind: str, v: int, rng: np.random.Generator) -> Float32[np.ndarray, " v"]:
    z = rng.normal(size=v)
    one = rng.integers(v)
    tall = np.zeros(v)
    tall[rng.integers(0, v, 20)] = rng.gamma(2, 4, 20)
    masked = np.where(rng.random(v) < 0.9, -np.inf, z * 3)
    masked[one] = 0
    made = {
        "flat": z * 0.01,
        "normal": z,
        "wide": z * 30,
        "peaked": z * 2 - 8 + tall,  # as a language model's: a far body and a few tall tokens
        "ties": np.round(z * 2),
        "equal": np.full(v, 1.25),
        "masked": masked,
        "one_left": np.where(np.arange(v) == one, -3.5, -np.inf),
        "zeros": rng.choice([0.0, -0.0, -1e-45, -1.0], v),
        "tiny": z * 1e-40,
        "huge": z * 1e37,
        # many logits that differ by less than their distance from the peak can tell
        "plateau": np.where(np.arange(v) == one, 5, z * 1e-30),
    }
    return made[kind].astype(np.float32)


@pytest.fixture(params=PATHS)
def native(request: pytest.FixtureRequest) -> BatchSampler:
    return sampler_for(request.param)


def compiled() -> ctypes.CDLL:
    library = load_library()
    if library is None:
        pytest.skip("the kernels were not compiled: install with a C++ compiler")
    return library


def sampler_for(path: str) -> BatchSampler:
    try:
        return BatchSampler(compiled(), path=path)
    except ValueError as error:
        pytest.skip(str(error))


def seed_of(row: int) -> int:
    return pow(7, row, 2**64)


def batch(params: tuple[SamplingParams, ...]) -> SamplingRows:
    rows = SamplingRows()
    for i, one in enumerate(params):
        rows.join(one, seed=seed_of(i), position=3 + i, stream=i % 3)
    return rows


def assert_equal_to_the_twin(
    native: BatchSampler, z: Float32[np.ndarray, "r v"], rows: SamplingRows
) -> None:
    twin = BatchSampler(None)
    expected, got = twin.survivors(z, rows), native.survivors(z, rows)
    assert np.array_equal(got.row_ptr, expected.row_ptr)
    assert np.array_equal(got.token_ids, expected.token_ids)
    assert np.array_equal(got.log_probs, expected.log_probs)  # not nearly: exactly
    tokens = twin.draw(z, rows)
    assert np.array_equal(native.draw(z, rows), tokens)
    assert np.array_equal(native.draw_from(got, rows), tokens)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("v", [1, 5, 64, 131, V])
def test_tokens_and_survivors_are_those_of_the_twin(
    native: BatchSampler, kind: str, v: int, rng: np.random.Generator
) -> None:
    z = np.stack([logits_of(kind, v, rng) for _ in CORNERS])
    assert_equal_to_the_twin(native, z, batch(CORNERS))


def test_a_real_vocabulary_gives_the_tokens_of_the_twin(
    native: BatchSampler, rng: np.random.Generator
) -> None:
    params = (
        SamplingParams(),
        SamplingParams(temperature=0.7),
        SamplingParams(temperature=0.7, top_p=0.9),
        SamplingParams(temperature=1.5, top_p=0.97, min_p=1e-4),
        SamplingParams(temperature=1.0, top_k=50),
        SamplingParams(temperature=1.0, top_k=20_000),
        SamplingParams(temperature=10.0, top_p=0.9),
    )
    for kind in ("normal", "peaked", "ties"):
        z = np.stack([logits_of(kind, 49_152, rng) for _ in params])
        assert_equal_to_the_twin(native, z, batch(params))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_row_under_any_cuts_gives_what_the_twin_gives(data: st.DataObject) -> None:
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, -np.inf])
    row = data.draw(st.lists(finite | few, min_size=1, max_size=150))
    z = np.array([row], np.float32)
    if np.isneginf(z).all():
        z[0, 0] = 0
    params = SamplingParams(
        temperature=data.draw(st.floats(0, 10)),
        top_k=data.draw(st.integers(0, 200)),
        top_p=data.draw(st.floats(0, 1, exclude_min=True)),
        min_p=data.draw(st.floats(0, 1)),
    )
    rows = SamplingRows()
    rows.join(
        params,
        seed=data.draw(st.integers(-(2**63), 2**64 - 1)),
        position=purposed(
            data.draw(st.integers(0, 2**32 - 1)), data.draw(st.sampled_from(Purpose))
        ),
        stream=data.draw(st.integers(0, 2**32 - 1)),
    )
    for path in PATHS:
        assert_equal_to_the_twin(sampler_for(path), z, rows)


def test_many_draws_without_cuts_are_those_of_the_twin(
    native: BatchSampler, rng: np.random.Generator
) -> None:
    """The bound that spares the compiled code most logarithms hides no winner."""
    row = logits_of("peaked", 1009, rng)
    for temperature in (0.3, 1.0, 4.0):
        params = (SamplingParams(temperature=temperature),) * 400
        rows = batch(params)
        z = np.broadcast_to(row, (len(params), len(row)))
        assert np.array_equal(native.draw(z, rows), BatchSampler(None).draw(z, rows))


@pytest.mark.parametrize("cut", [{}, {"top_p": 0.8}, {"top_k": 4}])
def test_draws_follow_the_distribution(native: BatchSampler, cut: dict[str, float]) -> None:
    p = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    n = 20_000
    params = SamplingParams(temperature=2.0, **cut)  # type: ignore[arg-type]
    rows = SamplingRows(n)
    for position in range(n):
        rows.join(params, seed=11, position=position)
    z = np.broadcast_to(2 * np.log(p).astype(np.float32), (n, len(p)))
    counts = np.bincount(native.draw(z, rows), minlength=len(p))
    kept = truncate(z[0], params).token_ids
    assert counts.sum() == counts[kept].sum() == n
    expected = p[kept] / p[kept].sum()
    assert stats.chisquare(counts[kept], n * expected).pvalue > 1e-4


@pytest.mark.parametrize("damage", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("where", [0, 63, 64, 130])
def test_a_damaged_row_fails_alone(
    native: BatchSampler, damage: float, where: int, rng: np.random.Generator
) -> None:
    params = CORNERS[3:8]
    rows = batch(params)
    z = np.stack([logits_of("normal", 131, rng) for _ in params])
    whole = native.draw(z, rows)
    z[1, where] = damage
    z[3] = -np.inf
    for sampler in (native, BatchSampler(None)):
        tokens = sampler.draw(z, rows)
        assert tokens[[1, 3]].tolist() == [DAMAGED, DAMAGED]
        assert np.array_equal(tokens[[0, 2, 4]], whole[[0, 2, 4]])
        survivors = sampler.survivors(z, rows)
        assert np.diff(survivors.row_ptr)[[1, 3]].tolist() == [0, 0]
        assert np.array_equal(sampler.draw_from(survivors, rows), tokens)


def test_a_mark_may_change_the_survivors_before_the_draw(
    native: BatchSampler, rng: np.random.Generator
) -> None:
    params = (SamplingParams(temperature=1.0, top_p=0.9),) * 5
    rows = batch(params)
    survivors = native.survivors(np.stack([logits_of("normal", V, rng) for _ in params]), rows)
    survivors.log_probs[::2] += 2.0
    survivors.log_probs[7] = -np.inf
    assert np.array_equal(
        native.draw_from(survivors, rows), BatchSampler(None).draw_from(survivors, rows)
    )


def test_rows_may_lie_apart_in_memory(native: BatchSampler, rng: np.random.Generator) -> None:
    params = CORNERS[4:8]
    wide = rng.normal(size=(len(params), 200)).astype(np.float32)
    part = wide[:, 9:140]
    assert np.array_equal(native.draw(part, batch(params)), native.draw(part.copy(), batch(params)))


def test_rows_may_be_spread_over_threads(rng: np.random.Generator) -> None:
    library = compiled()
    z = np.stack([logits_of("normal", V, rng) for _ in CORNERS])

    def run(struct: SamplingStruct, count: int) -> int:
        def part(begin: int) -> int:
            end = min(begin + 4, count)
            low, high = ctypes.c_int64(begin), ctypes.c_int64(end)
            return int(library.causerie_sample(ctypes.byref(struct), low, high))

        with ThreadPoolExecutor(3) as pool:
            return max(pool.map(part, range(0, count, 4)))

    rows = batch(CORNERS)
    spread = BatchSampler(library, run=run)
    for _ in range(5):
        assert np.array_equal(spread.draw(z, rows), BatchSampler(library).draw(z, rows))


def test_what_the_compiled_code_cannot_do_is_refused() -> None:
    library = compiled()
    with pytest.raises(ValueError, match="'abacus' cannot run"):
        BatchSampler(library, path="abacus")
    sampler, rows = NativeSampler(library), RowArrays.zeros(2)
    with pytest.raises(ValueError, match="float32 with contiguous rows, got float64"):
        sampler.sample(np.zeros((2, 5)), rows)
    with pytest.raises(ValueError, match="float32 with contiguous rows"):
        sampler.sample(np.zeros((5, 2), np.float32).T, rows)
    with pytest.raises(ValueError, match="3 rows of logits, but 2 of knobs"):
        sampler.sample(np.zeros((3, 5), np.float32), rows)
    with pytest.raises(ValueError, match="1 to 262144 tokens, got 262145"):
        sampler.sample(np.zeros((1, 2**18 + 1), np.float32), rows)


def test_a_row_does_not_depend_on_its_batch(native: BatchSampler, rng: np.random.Generator) -> None:
    z = np.stack([logits_of("peaked", V, rng) for _ in CORNERS])
    rows = batch(CORNERS)
    whole = native.draw(z, rows)
    for i in range(len(CORNERS)):
        alone = native.draw(z[i : i + 1], rows.at([i]))
        row = truncate(z[i], CORNERS[i])
        again = draw(row.token_ids, row.log_probs, seed=seed_of(i), position=3 + i, stream=i % 3)
        assert alone[0] == whole[i] == again
