"""Dynamic int8 linears: weights with one scale an output, activations with one a row and group.

    y[r, o] = s_o * sum_j a_rj * (sum over the 64 columns of group j of q_ok * p_rk)

with q = round(w / s_o), s_o = max|w_o| / 127 and p = round(x / a_rj), a_rj = max|x_rj| / 127. One
activation scale for a whole row costs 3 to 4 % of perplexity on the default model, one for 64
columns half a percent (docs/log.md). A row's result does not depend on the rows beside it, and
every path - these twins, each build of `llm/native/` - gives the same bits: sums within a group are
whole numbers below 2^24, and groups are added in their order.

Letters: `r` rows, `o` outputs, `k` inputs, `j` groups.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8
from torch import Tensor

GROUP = 64
OUTPUTS = 16  # outputs that stand together in memory, four inputs of each at a time
_FOUR = 4
_TOP = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedLinear:
    """The weights of a linear without bias, as the kernels read them.

    `codes` are [outputs/16, inputs/4, 16, 4] whole numbers in [-127, 127], `scales` one an output.
    `outputs` is rounded up to a multiple of 16; what was added is zero.
    """

    codes: Int8[Tensor, "tiles fours 16 4"]
    scales: Float[Tensor, " o"]

    def __post_init__(self) -> None:
        tiles, fours, _, _ = self.codes.shape
        if self.scales.shape != (tiles * OUTPUTS,) or fours * _FOUR % GROUP:
            raise ValueError(
                f"codes {tuple(self.codes.shape)} and scales {tuple(self.scales.shape)} do not"
                f" belong together: whole groups of {GROUP} inputs, a scale for each output"
            )
        if not (self.codes.is_contiguous() and self.scales.is_contiguous()):
            raise ValueError("codes and scales must be contiguous")

    @property
    def inputs(self) -> int:
        """Columns of the weight."""
        return self.codes.shape[1] * _FOUR

    @property
    def outputs(self) -> int:
        """Rows of the weight, padding included."""
        return self.codes.shape[0] * OUTPUTS

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.codes.nbytes + self.scales.nbytes


def quantize_linear(weight: Float[Tensor, "o k"]) -> QuantizedLinear:
    """Round a weight to int8, one scale an output.

    Raises:
        ValueError: the inputs are no multiple of 64.
    """
    o, k = weight.shape
    if k % GROUP:
        raise ValueError(f"a quantised linear needs a multiple of {GROUP} inputs, got {k}")
    scales = weight.abs().amax(dim=1) / _TOP
    codes = (weight / torch.where(scales > 0, scales, 1.0)[:, None]).round_().to(torch.int8)
    if missing := -o % OUTPUTS:
        codes = torch.cat([codes, codes.new_zeros(missing, k)])
        scales = torch.cat([scales, scales.new_zeros(missing)])
    packed = codes.view(-1, OUTPUTS, k // _FOUR, _FOUR).transpose(1, 2).contiguous()
    return QuantizedLinear(codes=packed, scales=scales)


def plain_codes(linear: QuantizedLinear) -> Int8[Tensor, "o k"]:
    """Return the codes in the order of an ordinary weight."""
    return linear.codes.transpose(1, 2).reshape(linear.outputs, linear.inputs)


def quantize_rows(x: Float[Tensor, "r k"]) -> tuple[Int8[Tensor, "r k"], Float[Tensor, "r j"]]:
    """Return codes and scales of the rows; halves are rounded to even."""
    r, k = x.shape
    groups = x.view(r, k // GROUP, GROUP)
    top = groups.abs().amax(dim=-1, keepdim=True)
    inverse = torch.where(top > 0, _TOP / top, 0.0)
    codes = (groups * inverse).round_().to(torch.int8)
    return codes.view(r, k), (top / _TOP).view(r, k // GROUP)


def quantized_linear(linear: QuantizedLinear, x: Float[Tensor, "r k"]) -> Float[Tensor, "r o"]:
    """Return what the kernels return, bit by bit.

    Whole numbers below 2^24 are exact in float32 however they are summed, so a product of float
    matrices stands for the integer one.
    """
    codes, scales = quantize_rows(x)
    weight = plain_codes(linear)
    total = torch.zeros(x.shape[0], linear.outputs)
    for j in range(linear.inputs // GROUP):
        part = slice(j * GROUP, (j + 1) * GROUP)
        dots = codes[:, part].float() @ weight[:, part].float().T
        total = total + dots * scales[:, j : j + 1]
    return total * linear.scales
