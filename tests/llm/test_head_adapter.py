"""Low-rank changes of the state before the head."""

import numpy as np
import pytest

from llm.errors import HeadError
from llm.head_adapter import HeadAdapter


def adapter(seed: int = 0) -> HeadAdapter:
    rng = np.random.default_rng(seed)
    return HeadAdapter(
        down=rng.normal(size=(3, 16)).astype(np.float32),
        up=rng.normal(size=(16, 3)).astype(np.float32),
    )


def test_the_change_is_up_times_down_times_the_state() -> None:
    one = adapter()
    hidden = np.random.default_rng(5).normal(size=16).astype(np.float32)
    assert (one.hidden_size, one.rank) == (16, 3)
    assert np.allclose(one.nudge(hidden), (one.up @ one.down) @ hidden, atol=1e-5)
    assert one.nudge(hidden).dtype == np.float32


def test_an_adapter_never_changes() -> None:
    one = adapter()
    with pytest.raises(ValueError, match="read-only"):
        one.up[0, 0] = 1


def test_an_adapter_survives_its_arrays_in_half_precision() -> None:
    one = adapter()
    tensors = one.tensors()
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
    again = HeadAdapter.of(tensors)
    assert np.allclose(again.down, one.down, atol=2e-3)
    assert np.array_equal(HeadAdapter.of(again.tensors()).up, again.up)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"down": np.zeros((3, 16))},
        {"down": np.zeros((3, 16)), "up": np.zeros((3, 16))},
        {"down": np.zeros(16), "up": np.zeros(16)},
        {"down": np.full((3, 16), np.nan), "up": np.zeros((16, 3))},
    ],
)
def test_damaged_arrays_are_refused(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(HeadError, match="no head adapter"):
        HeadAdapter.of(tensors)
