"""The compiled int8 linears against their torch twin and against whole numbers, bit by bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from llm.native.interface import LinearStruct, NativeTeam
from llm.native.loader import kernel_paths
from llm.quantization import (
    GROUP,
    QuantizedLinear,
    plain_codes,
    quantize_linear,
    quantize_rows,
    quantized_linear,
)

PATHS = kernel_paths()
pytestmark = pytest.mark.kernels


def native_linear(linear: QuantizedLinear, x: Tensor, path: str, threads: int = 2) -> Tensor:
    team = NativeTeam(threads, path)
    rows, padded = len(x), len(x) + 32
    groups = linear.inputs // GROUP
    codes = torch.zeros(padded, linear.inputs, dtype=torch.int8)
    scales = torch.zeros(padded, groups)
    corrections = torch.zeros(padded, groups, dtype=torch.int32)
    y = torch.full((rows, linear.outputs), torch.nan)
    struct = LinearStruct(
        linear.codes.data_ptr(), linear.scales.data_ptr(), linear.inputs, linear.outputs
    )
    scratch = (codes.data_ptr(), scales.data_ptr(), corrections.data_ptr())
    team.linear(struct, x.contiguous().data_ptr(), rows, scratch, y.data_ptr())
    team.close()
    return y


def test_the_kernels_were_compiled() -> None:
    assert "portable" in PATHS


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33, 49])
def test_compiled_linears_equal_the_twin_in_every_bit(path: str, rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(7 * 16 + 3, 3 * GROUP, generator=generator)
    x = torch.randn(rows, 3 * GROUP, generator=generator) * 5
    x[rows // 2, GROUP : 2 * GROUP] = 0.0
    linear = quantize_linear(weight)
    assert torch.equal(native_linear(linear, x, path), quantized_linear(linear, x))


@pytest.mark.parametrize("path", PATHS)
def test_the_largest_codes_do_not_saturate(path: str) -> None:
    weight = torch.ones(32, 4 * GROUP) * torch.tensor([1.0, -1.0]).repeat(16)[:, None]
    x = torch.ones(17, 4 * GROUP)
    linear = quantize_linear(weight)
    y = native_linear(linear, x, path)
    assert torch.equal(y, quantized_linear(linear, x))
    assert torch.allclose(y[:, 0], torch.tensor(4.0 * GROUP))


@pytest.mark.parametrize("path", PATHS)
def test_a_row_has_the_same_bits_alone_and_in_any_batch(path: str) -> None:
    generator = torch.Generator().manual_seed(3)
    linear = quantize_linear(torch.randn(160, 2 * GROUP, generator=generator))
    x = torch.randn(50, 2 * GROUP, generator=generator)
    together = native_linear(linear, x, path)
    for row in (0, 5, 15, 16, 31, 49):
        assert torch.equal(
            native_linear(linear, x[row : row + 1], path, threads=1)[0], together[row]
        )


def test_the_twin_equals_a_sum_of_whole_numbers() -> None:
    generator = torch.Generator().manual_seed(1)
    linear = quantize_linear(torch.randn(48, 2 * GROUP, generator=generator))
    x = torch.randn(5, 2 * GROUP, generator=generator)
    codes, scales = quantize_rows(x)
    weight = plain_codes(linear).long()
    wanted = torch.zeros(5, 48)
    for j in range(2):
        part = slice(j * GROUP, (j + 1) * GROUP)
        dots = codes[:, part].long() @ weight[:, part].T
        wanted = wanted + dots.float() * scales[:, j : j + 1]
    assert torch.equal(quantized_linear(linear, x), wanted * linear.scales)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_rounding_moves_a_weight_by_half_a_step_at_most(seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(19, GROUP, generator=generator) * size
    linear = quantize_linear(weight)
    back = plain_codes(linear)[:19].float() * linear.scales[:19, None]
    assert bool(((back - weight).abs() <= linear.scales[:19, None] * 0.5001).all())


def test_inputs_that_are_no_whole_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        quantize_linear(torch.zeros(16, 100))
