"""A decoder's weights as the kernels read them: int8 linears, fused where one input feeds several.

Query, key and value are one linear, gate and up another, their outputs alternating in sixteens, so
that the gate can be applied while both are at hand. Letters: `c` hidden size, `v` vocabulary.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float16
from torch import Tensor

from llm.config import ModelConfig
from llm.model import DecoderLayer, LlamaModel
from llm.quantization import GROUP, QuantizedLinear, quantize_linear
from llm.unembedding import Unembedding

_LANES = 16
_WIDEST_HEAD = 256
_MOST_SHARED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLayer:
    """One layer: two norms' gains and four linears."""

    input_norm: Float[Tensor, " c"]
    qkv: QuantizedLinear
    out: QuantizedLinear
    mlp_norm: Float[Tensor, " c"]
    gate_up: QuantizedLinear
    down: QuantizedLinear


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedModel:
    """All layers, the token embedding in half precision, the final norm and the head."""

    config: ModelConfig
    layers: tuple[PackedLayer, ...]
    embedding: Float16[Tensor, "v c"]
    final_norm: Float[Tensor, " c"]
    head: QuantizedLinear

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        linears = [
            linear
            for layer in self.layers
            for linear in (layer.qkv, layer.out, layer.gate_up, layer.down)
        ]
        return self.embedding.nbytes + sum(linear.nbytes for linear in (*linears, self.head))

    @property
    def unembedding(self) -> Unembedding:
        """The rows of the output matrix: in half precision where it is the embedding too."""
        if self.config.tie_word_embeddings:
            return Unembedding.of_weight(self.embedding)
        return Unembedding.of_linear(self.head, self.config.vocab_size)


def why_not_packed(config: ModelConfig) -> str | None:
    """Return what about a model's sizes the kernels cannot do; None where they can."""
    heads = config.num_attention_heads * config.head_dim
    for name, size in (
        ("hidden size", config.hidden_size),
        ("MLP width", config.intermediate_size),
        ("width of all heads", heads),
    ):
        if size % GROUP:
            return f"the {name} {size} is no multiple of {GROUP}"
    if config.head_dim % _LANES or config.head_dim > _WIDEST_HEAD:
        return f"the head width {config.head_dim} is no multiple of {_LANES} up to {_WIDEST_HEAD}"
    if config.num_attention_heads // config.num_key_value_heads > _MOST_SHARED:
        return f"more than {_MOST_SHARED} query heads share a key head"
    return None


def pack(model: LlamaModel) -> PackedModel:
    """Quantise a model; the original is left as it is.

    Raises:
        ValueError: sizes that the kernels cannot do.
    """
    config = model.config
    if (reason := why_not_packed(config)) is not None:
        raise ValueError(f"the int8 path cannot run this model: {reason}; use precision float32")
    embedding = model.embed_tokens.weight
    return PackedModel(
        config=config,
        layers=tuple(_pack_layer(layer) for layer in model.decoder_layers),
        embedding=embedding.half(),
        final_norm=model.norm.weight.clone(),
        head=quantize_linear(model.head_weight),
    )


def _pack_layer(layer: DecoderLayer) -> PackedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    qkv = torch.cat([p.weight for p in (attention.q_proj, attention.k_proj, attention.v_proj)])
    return PackedLayer(
        input_norm=layer.input_layernorm.weight.clone(),
        qkv=quantize_linear(qkv),
        out=quantize_linear(attention.o_proj.weight),
        mlp_norm=layer.post_attention_layernorm.weight.clone(),
        gate_up=quantize_linear(alternate(mlp.gate_proj.weight, mlp.up_proj.weight)),
        down=quantize_linear(mlp.down_proj.weight),
    )


def alternate(gate: Float[Tensor, "f c"], up: Float[Tensor, "f c"]) -> Float[Tensor, "f2 c"]:
    """Return sixteen rows of `gate`, sixteen of `up`, and so on."""
    f, c = gate.shape
    pairs = torch.stack([gate.view(f // _LANES, _LANES, c), up.view(f // _LANES, _LANES, c)], dim=1)
    return pairs.reshape(2 * f, c)
