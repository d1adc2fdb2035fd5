"""The BERT-family text encoder (arXiv 1810.04805): token ids to one vector a token.

Written for inference: no dropout, no pooling head. Letters: `b` batch, `t` positions, `c` hidden
size, `h` heads, `d` head width.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from llm.config import EncoderConfig
from llm.layers import MLP


class EncoderLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)): BERT normalises after the sum."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        c = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.q_proj = nn.Linear(c, c)
        self.k_proj = nn.Linear(c, c)
        self.v_proj = nn.Linear(c, c)
        self.o_proj = nn.Linear(c, c)
        self.attention_norm = nn.LayerNorm(c, eps=config.layer_norm_eps)
        self.mlp = MLP(c, config.intermediate_size)
        self.output_norm = nn.LayerNorm(c, eps=config.layer_norm_eps)

    def forward(
        self, x: Float[Tensor, "b t c"], attn_mask: Bool[Tensor, "b 1 1 t"] | None
    ) -> Float[Tensor, "b t c"]:
        """Apply the layer; False in `attn_mask` marks padding."""
        b, t, c = x.shape
        heads = (b, t, self.num_heads, c // self.num_heads)
        q = self.q_proj(x).view(heads).transpose(1, 2)
        k = self.k_proj(x).view(heads).transpose(1, 2)
        v = self.v_proj(x).view(heads).transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        out = self.o_proj(out.transpose(1, 2).reshape(b, t, c))
        x = self.attention_norm(x + out)
        return self.output_norm(x + self.mlp(x))


class BertEncoder(nn.Module):
    """Embeddings and layers of BERT."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        c = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, c)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, c)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, c)
        self.embedding_norm = nn.LayerNorm(c, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self, input_ids: Int[Tensor, "b t"], is_token: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t c"]:
        """Return the last layer's vectors; rows where `is_token` is False mean nothing."""
        _, t = input_ids.shape
        x = (
            self.word_embeddings(input_ids)
            + self.position_embeddings(torch.arange(t))
            + self.token_type_embeddings.weight[0]
        )
        x = self.embedding_norm(x)
        attn_mask = None if bool(is_token.all()) else is_token[:, None, None, :]
        for layer in self.layers:
            x = layer(x, attn_mask)
        return x


def mean_pool(x: Float[Tensor, "b t c"], is_token: Bool[Tensor, "b t"]) -> Float[Tensor, "b c"]:
    """Average the vectors of real tokens."""
    weight = is_token.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(dim=1) / weight.sum(dim=1)
