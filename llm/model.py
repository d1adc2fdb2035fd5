"""The Llama-family decoder: embeddings, layers, logits (arXiv 2302.13971).

Parameter names are Hugging Face's. Knows nothing of files, tokens' text or sampling. Letters: `b`
batch, `t` positions, `c` hidden size, `v` vocabulary.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from llm.attention import GroupedQueryAttention
from llm.config import ModelConfig
from llm.kv_cache import KVCache
from llm.layers import GatedMLP, RMSNorm
from llm.positional import RotaryEmbedding


class DecoderLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = GroupedQueryAttention(
            layer=layer,
            hidden_size=config.hidden_size,
            num_heads=config.num_attention_heads,
            num_kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
        )
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        cos: Float[Tensor, "t d"],
        sin: Float[Tensor, "t d"],
        kv_cache: KVCache | None,
    ) -> Float[Tensor, "b t c"]:
        """Apply the layer."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, kv_cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    """Token ids to logits, with or without a cache."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            DecoderLayer(config, layer) for layer in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self._rotary: RotaryEmbedding | None = None

    @property
    def decoder_layers(self) -> tuple[DecoderLayer, ...]:
        """The layers, typed."""
        return tuple(cast(DecoderLayer, layer) for layer in self.layers)

    def new_cache(self) -> KVCache:
        """Return an empty cache of this model's depth."""
        return KVCache(self.config.num_hidden_layers)

    def forward(
        self,
        input_ids: Int[Tensor, "b t"],
        kv_cache: KVCache | None = None,
        *,
        last_only: bool = False,
    ) -> Float[Tensor, "b p v"]:
        """Return logits for all t positions (p = t), or with `last_only` for the last (p = 1).

        With a cache the ids continue what it holds, and it is advanced by t.
        """
        start = 0 if kv_cache is None else kv_cache.length
        _, t = input_ids.shape
        positions = torch.arange(start, start + t)
        cos, sin = self._tables().tables(positions)
        x = self.embed_tokens(input_ids)  # [b, t, c]
        for layer in self.layers:
            x = layer(x, cos, sin, kv_cache)
        if kv_cache is not None:
            kv_cache.advance(t)
        x = self.norm(x[:, -1:] if last_only else x)
        return F.linear(x, self.head_weight)

    @property
    def head_weight(self) -> Float[Tensor, "v c"]:
        """The weight that turns hidden states into logits: often the embedding's."""
        return self.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def _tables(self) -> RotaryEmbedding:
        # Built on first use: a model made on torch's meta device has nowhere to put them.
        if self._rotary is None:
            self._rotary = RotaryEmbedding(
                self.config.head_dim,
                self.config.rope_theta,
                self.config.max_position_embeddings,
                self.config.rope_scaling,
            )
        return self._rotary
