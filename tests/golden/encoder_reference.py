"""The int8 encoder in plain torch, in float64 but for the codes: one text at a time."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llm.packed_encoder import PackedEncoder, PackedLinear, PackedNorm


def quantised(x: Tensor, linear: PackedLinear) -> Tensor:
    """The linear on each row's codes: 256 steps between its least and its greatest value."""
    x = x.float() * linear.spread
    low, high = x.amin(dim=-1, keepdim=True), x.amax(dim=-1, keepdim=True)
    codes = ((x - low) * (255 / (high - low))).round().double()
    weight = linear.codes.double()
    rows = (high - low).double() / 255 * (codes @ weight.T) + low.double() * weight.sum(dim=1)
    return rows * linear.scales.double() + linear.bias.double()


def normed(x: Tensor, norm: PackedNorm, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], norm.gain.double(), norm.bias.double(), eps)


def reference_states(encoder: PackedEncoder, token_ids: list[int]) -> Tensor:
    config = encoder.config
    heads, c, t = config.num_attention_heads, config.hidden_size, len(token_ids)
    x = (encoder.words[token_ids] + encoder.positions[:t]).double()
    x = normed(x, encoder.embedding_norm, config.layer_norm_eps)
    for layer in encoder.layers:
        q, k, v = (
            part.view(t, heads, c // heads).transpose(0, 1)
            for part in torch.split(quantised(x, layer.qkv), c, dim=-1)
        )
        mixed = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        out = quantised(mixed.transpose(0, 1).reshape(t, c), layer.out)
        x = normed(x + out, layer.attention_norm, config.layer_norm_eps)
        inner = F.gelu(quantised(x, layer.up))
        x = normed(x + quantised(inner, layer.down), layer.output_norm, config.layer_norm_eps)
    return x


def reference_vector(encoder: PackedEncoder, token_ids: list[int]) -> Tensor:
    return F.normalize(reference_states(encoder, token_ids).mean(dim=0), dim=0)
