"""A text encoder's weights as the kernels read them: int8 linears, one scale an output.

    y[t, o] = s_o * (a_t * sum of q_ok p_tk + low_t * sum of q_ok) + b_o

with p = round((x / m - low_t) / a_t) in [0, 255], one range [low_t, low_t + 255 a_t] a token, and q
the weights times m, rounded to multiples of s_o. The factors m move what is always large in some
columns of x into the weights (SmoothQuant, arXiv 2211.10438, at one half); how large a column gets
is read off the norm before it, so no text is needed. Letters: `t` tokens, `o` outputs, `k` inputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int8
from torch import Tensor, nn

from llm.config import EncoderConfig
from llm.encoder import BertEncoder, EncoderLayer

_TOP = 127
_DEVIATIONS = 3.0  # of a normed column: seldom more
_SMALLEST = 1e-5
_PANEL = 64
_LANES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLinear:
    """Codes in the order of an ordinary weight; `spread` is 1 / m."""

    codes: Int8[Tensor, "o k"]
    scales: Float32[Tensor, " o"]
    bias: Float32[Tensor, " o"]
    spread: Float32[Tensor, " k"]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.codes.nbytes + self.scales.nbytes + self.bias.nbytes + self.spread.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedNorm:
    """A LayerNorm's gain and bias."""

    gain: Float32[Tensor, " c"]
    bias: Float32[Tensor, " c"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedEncoderLayer:
    """One layer: four linears, two norms; queries leave `qkv` scaled by 1 / sqrt(d)."""

    qkv: PackedLinear
    out: PackedLinear
    attention_norm: PackedNorm
    up: PackedLinear
    down: PackedLinear
    output_norm: PackedNorm


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedEncoder:
    """All layers, and the embeddings in float32; a position's row has the type's added."""

    config: EncoderConfig
    layers: tuple[PackedEncoderLayer, ...]
    words: Float32[Tensor, "v c"]
    positions: Float32[Tensor, "p c"]
    embedding_norm: PackedNorm

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        linears = [
            linear
            for layer in self.layers
            for linear in (layer.qkv, layer.out, layer.up, layer.down)
        ]
        return self.words.nbytes + self.positions.nbytes + sum(part.nbytes for part in linears)


def why_not_packed_encoder(config: EncoderConfig) -> str | None:
    """Return what about an encoder's sizes the kernels cannot do; None where they can."""
    width = config.hidden_size // config.num_attention_heads
    if width % _LANES:
        return f"the head width {width} is no multiple of {_LANES}"
    for name, size in (("hidden size", config.hidden_size), ("MLP", config.intermediate_size)):
        if size % _PANEL:
            return f"the {name} {size} is no multiple of {_PANEL}"
    return None


@torch.inference_mode()
def pack_encoder(encoder: BertEncoder) -> PackedEncoder:
    """Quantise an encoder; the original is left as it is.

    Raises:
        ValueError: sizes that the kernels cannot do.
    """
    config = encoder.config
    if (reason := why_not_packed_encoder(config)) is not None:
        raise ValueError(f"the int8 path cannot run this encoder: {reason}; use precision float32")
    before = encoder.embedding_norm
    layers: list[PackedEncoderLayer] = []
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        layers.append(_pack_layer(layer, before))
        before = layer.output_norm
    types = encoder.token_type_embeddings.weight[0]
    return PackedEncoder(
        config=config,
        layers=tuple(layers),
        words=encoder.word_embeddings.weight.detach(),
        positions=(encoder.position_embeddings.weight + types).contiguous(),
        embedding_norm=_norm(encoder.embedding_norm),
    )


def _pack_layer(layer: EncoderLayer, before: nn.LayerNorm) -> PackedEncoderLayer:
    parts = (layer.q_proj, layer.k_proj, layer.v_proj)
    # The values' weights decide: what is lost in them counts, queries and keys hardly do.
    qkv = quantize_encoder_linear(
        torch.cat([part.weight for part in parts]),
        torch.cat([part.bias for part in parts]),
        _evening(before, layer.v_proj.weight),
    )
    c = layer.q_proj.out_features
    shrink = (c // layer.num_heads) ** -0.5
    qkv.scales[:c] *= shrink
    qkv.bias[:c] *= shrink
    up, down = layer.mlp.up_proj, layer.mlp.down_proj
    return PackedEncoderLayer(
        qkv=qkv,
        out=quantize_encoder_linear(layer.o_proj.weight, layer.o_proj.bias),
        attention_norm=_norm(layer.attention_norm),
        up=quantize_encoder_linear(up.weight, up.bias, _evening(layer.attention_norm, up.weight)),
        down=quantize_encoder_linear(down.weight, down.bias),
        output_norm=_norm(layer.output_norm),
    )


def quantize_encoder_linear(
    weight: Float[Tensor, "o k"], bias: Float[Tensor, " o"], m: Float[Tensor, " k"] | None = None
) -> PackedLinear:
    """Round a weight, its columns times `m` (None: ones), to int8."""
    m = torch.ones(weight.shape[1]) if m is None else m
    even = weight * m
    scales = even.abs().amax(dim=1) / _TOP
    codes = (even / torch.where(scales > 0, scales, 1.0)[:, None]).round().to(torch.int8)
    return PackedLinear(
        codes=codes.contiguous(), scales=scales, bias=bias.detach().clone(), spread=1 / m
    )


def _evening(norm: nn.LayerNorm, weight: Float[Tensor, "o k"]) -> Float[Tensor, " k"]:
    """Return the factors that make a normed column and its weights about as large as each other."""
    sizes = _DEVIATIONS * norm.weight.abs() + norm.bias.abs()
    return (sizes.clamp(min=_SMALLEST) / weight.abs().amax(dim=0).clamp(min=_SMALLEST)).sqrt()


def _norm(norm: nn.LayerNorm) -> PackedNorm:
    return PackedNorm(gain=norm.weight.detach().clone(), bias=norm.bias.detach().clone())
