"""Masks, best candidates and totals of rows: the compiled code gives the twin's bits."""

import itertools

import numpy as np
import pytest

from llm.decoding.logit_rows import TWIN, LogitRows
from llm.decoding.steer import log_sum
from llm.native.loader import load_library

pytestmark = pytest.mark.kernels
PATHS = ("portable", "avx2", "avx512")
SIZES = (1, 31, 32, 63, 64, 65, 1_000, 49_152)
RAREST = np.float32(-3.4e38)


def compiled(path: str) -> LogitRows:
    library = load_library()
    if library is None or not hasattr(library, "causerie_best"):
        pytest.skip("the kernels are not compiled here, or before these functions were written")
    try:
        return LogitRows(library, path=path)
    except ValueError:
        pytest.skip(f"this processor cannot run {path}")


def logits(rng: np.random.Generator, size: int, kind: str) -> np.ndarray:
    z = rng.normal(0, 4, size).astype(np.float32)
    if kind == "ties":
        z = np.round(z)
        z[rng.random(size) < 0.2] = -0.0
    if kind == "holes":
        z[rng.random(size) < 0.4] = -np.inf
    if kind == "far":
        z *= np.float32(1e30)
        z[rng.integers(size)] = RAREST
    if not np.isfinite(z).any():
        z[0] = 1.5
    return z


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["plain", "ties", "holes", "far"])
def test_the_best_and_the_total_have_the_twins_bits(
    rng: np.random.Generator, path: str, kind: str
) -> None:
    rows = compiled(path)
    for size, k in itertools.product(SIZES, (1, 20, 200, 5_000)):
        z = logits(rng, size, kind)
        found, wanted = rows.best(z, k), TWIN.best(z, k)
        assert found.token_ids.tolist() == wanted.token_ids.tolist()
        assert found.logits.tobytes() == wanted.logits.tobytes()
        assert found.log_total == wanted.log_total


@pytest.mark.parametrize("path", PATHS)
def test_a_mask_has_the_twins_bits(rng: np.random.Generator, path: str) -> None:
    rows = compiled(path)
    for size in SIZES:
        z = logits(rng, size, "holes")
        mask = rng.integers(-(2**31), 2**31, (size + 31) // 32).astype(np.int32)
        one, other = z.copy(), z.copy()
        assert rows.forbid(one, mask)
        assert TWIN.forbid(other, mask)
        assert one.tobytes() == other.tobytes()
        assert rows.forbid(z, None)


@pytest.mark.parametrize("path", ["twin", *PATHS])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, None])
def test_a_damaged_row_is_seen_wherever_the_damage_lies(
    rng: np.random.Generator, path: str, bad: float | None
) -> None:
    """A token that the mask forbids counts as well: the model is broken all the same."""
    rows = TWIN if path == "twin" else compiled(path)
    mask = np.array([1, 0, 0], np.int32)
    for place in (0, 1, 64, 69):
        z = rng.normal(size=70).astype(np.float32)
        if bad is None:
            z[:] = -np.inf
        else:
            z[place] = bad
        with pytest.raises(ValueError, match="no logit is finite"):
            rows.best(z, 5)
        assert not rows.forbid(z, mask)


@pytest.mark.parametrize("spread", [0.0, 0.1, 3.0, 30.0])
def test_a_total_is_right_to_a_millionth(rng: np.random.Generator, spread: float) -> None:
    for shift in (-40.0, 0.0, 25.0):
        z = (rng.normal(0, spread, 49_152) + shift).astype(np.float32)
        assert TWIN.log_total(z) == pytest.approx(log_sum(z.astype(np.float64)), abs=3e-6)
