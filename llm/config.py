"""Model shapes in Hugging Face's field names.

Does not know where the numbers come from (`llm/gguf.py`, `config.json`) nor what is built of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.errors import CheckpointError, UnsupportedModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """Llama 3's stretching of the rotary wavelengths (`rope_type: llama3`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"rope factor must be >= 1, got {self.factor}")
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor {self.high_freq_factor} must exceed low_freq_factor"
                f" {self.low_freq_factor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The shape of a Llama-family decoder."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = False
    rope_scaling: RopeScaling | None = None

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "max_position_embeddings",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} must be a multiple of"
                f" num_key_value_heads {self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(f"rotary positions need an even head_dim, got {self.head_dim}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The shape of a BERT-family text encoder."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of num_attention_heads"
                f" {self.num_attention_heads}"
            )


def decoder_config_from_json(raw: Mapping[str, Any]) -> ModelConfig:
    """Read a Hugging Face `config.json` of a Llama-family model.

    Raises:
        UnsupportedModelError: another architecture, or an option of it that is not implemented.
        CheckpointError: a field is missing.
    """
    if raw.get("model_type") != "llama":
        raise UnsupportedModelError(
            f"model_type {raw.get('model_type')!r} is not implemented; the decoder reads 'llama'"
        )
    for option in ("attention_bias", "mlp_bias"):
        if raw.get(option):
            raise UnsupportedModelError(f"{option}: true is not implemented for Llama models")
    if raw.get("hidden_act", "silu") != "silu":
        raise UnsupportedModelError(f"hidden_act {raw['hidden_act']!r} is not implemented")
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    try:
        heads = int(raw["num_attention_heads"])
        return ModelConfig(
            vocab_size=int(raw["vocab_size"]),
            hidden_size=int(raw["hidden_size"]),
            intermediate_size=int(raw["intermediate_size"]),
            num_hidden_layers=int(raw["num_hidden_layers"]),
            num_attention_heads=heads,
            num_key_value_heads=int(raw.get("num_key_value_heads") or heads),
            head_dim=int(raw.get("head_dim") or int(raw["hidden_size"]) // heads),
            max_position_embeddings=int(raw["max_position_embeddings"]),
            rope_theta=float(raw.get("rope_theta") or rope.get("rope_theta") or 10_000.0),
            rms_norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
            tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
            rope_scaling=_rope_scaling(rope),
        )
    except KeyError as missing:
        raise CheckpointError(f"config.json lacks the field {missing}") from missing


def _rope_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return None
    if kind != "llama3":
        raise UnsupportedModelError(f"rope_type {kind!r} is not implemented; 'llama3' is")
    return RopeScaling(
        factor=float(rope["factor"]),
        low_freq_factor=float(rope["low_freq_factor"]),
        high_freq_factor=float(rope["high_freq_factor"]),
        original_max_position_embeddings=int(rope["original_max_position_embeddings"]),
    )


def decoder_config_from_gguf(
    metadata: Mapping[str, Any], *, vocab_size: int, has_output: bool
) -> ModelConfig:
    """Read the metadata of a GGUF file; `has_output` tells whether it holds a head of its own.

    Raises:
        UnsupportedModelError: another architecture than `llama`, or scaled rotary positions.
        CheckpointError: a field is missing.
    """
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise UnsupportedModelError(
            f"GGUF architecture {architecture!r} is not implemented; the decoder reads 'llama'"
        )
    if metadata.get("llama.expert_count"):
        raise UnsupportedModelError("a mixture of experts (llama.expert_count) is not implemented")
    scaling = metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise UnsupportedModelError(f"llama.rope.scaling.type {scaling!r} is not implemented")
    try:
        heads = int(metadata["llama.attention.head_count"])
        hidden = int(metadata["llama.embedding_length"])
        head_dim = int(metadata.get("llama.attention.key_length") or hidden // heads)
        rotary = int(metadata.get("llama.rope.dimension_count") or head_dim)
        if rotary != head_dim:
            raise UnsupportedModelError(
                f"rotary positions on {rotary} of {head_dim} dimensions are not implemented"
            )
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden,
            intermediate_size=int(metadata["llama.feed_forward_length"]),
            num_hidden_layers=int(metadata["llama.block_count"]),
            num_attention_heads=heads,
            num_key_value_heads=int(metadata.get("llama.attention.head_count_kv") or heads),
            head_dim=head_dim,
            max_position_embeddings=int(metadata["llama.context_length"]),
            rope_theta=float(metadata.get("llama.rope.freq_base", 10_000.0)),
            rms_norm_eps=float(metadata["llama.attention.layer_norm_rms_epsilon"]),
            tie_word_embeddings=not has_output,
        )
    except KeyError as missing:
        raise CheckpointError(f"the GGUF metadata lack {missing}") from missing


def encoder_config_from_json(raw: Mapping[str, Any]) -> EncoderConfig:
    """Read a Hugging Face `config.json` of a BERT-family encoder.

    Raises:
        UnsupportedModelError: another architecture, or an option of it that is not implemented.
        CheckpointError: a field is missing.
    """
    if raw.get("model_type") != "bert":
        raise UnsupportedModelError(
            f"model_type {raw.get('model_type')!r} is not implemented; the encoder reads 'bert'"
        )
    if raw.get("position_embedding_type", "absolute") != "absolute":
        raise UnsupportedModelError(
            f"position_embedding_type {raw['position_embedding_type']!r} is not implemented"
        )
    if raw.get("hidden_act", "gelu") != "gelu":
        raise UnsupportedModelError(f"hidden_act {raw['hidden_act']!r} is not implemented")
    try:
        return EncoderConfig(
            vocab_size=int(raw["vocab_size"]),
            hidden_size=int(raw["hidden_size"]),
            intermediate_size=int(raw["intermediate_size"]),
            num_hidden_layers=int(raw["num_hidden_layers"]),
            num_attention_heads=int(raw["num_attention_heads"]),
            max_position_embeddings=int(raw["max_position_embeddings"]),
            type_vocab_size=int(raw.get("type_vocab_size", 2)),
            layer_norm_eps=float(raw.get("layer_norm_eps", 1e-12)),
        )
    except KeyError as missing:
        raise CheckpointError(f"config.json lacks the field {missing}") from missing
