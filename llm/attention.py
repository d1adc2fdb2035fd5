"""Causal attention with grouped key/value heads over a cache (MHA and MQA are special cases).

Letters: `b` batch, `t` query positions, `s` key positions, `h` query heads, `kv` key/value heads,
`d` head width, `c` hidden size. Query head i reads key/value head floor(i * kv / h).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from llm.kv_cache import KVCache
from llm.positional import rotate


class GroupedQueryAttention(nn.Module):
    """Multi-head attention with shared heads of keys and values (arXiv 2305.13245)."""

    def __init__(
        self, *, layer: int, hidden_size: int, num_heads: int, num_kv_heads: int, head_dim: int
    ) -> None:
        super().__init__()
        self.layer = layer
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.head_dim = head_dim
        self.q_proj = nn.Linear(hidden_size, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(hidden_size, num_kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(hidden_size, num_kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(num_heads * head_dim, hidden_size, bias=False)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        cos: Float[Tensor, "t d"],
        sin: Float[Tensor, "t d"],
        kv_cache: KVCache | None,
    ) -> Float[Tensor, "b t c"]:
        """Attend to the cache and causally to `x` itself; without a cache, to `x` alone."""
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.num_kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.num_kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if kv_cache is not None:
            k, v = kv_cache.extend(self.layer, k, v)
        out = attend(q, k, v)  # [b, h, t, d]
        return self.o_proj(out.transpose(1, 2).reshape(b, t, -1))


def attend(
    q: Float[Tensor, "b h t d"], k: Float[Tensor, "b kv s d"], v: Float[Tensor, "b kv s d"]
) -> Float[Tensor, "b h t d"]:
    """Softmax attention of the last t of s positions; query i sees keys up to s - t + i."""
    b, h, t, d = q.shape
    kv, s = k.shape[1], k.shape[2]
    if t == 1:
        # One query per head: fold the group into the query axis, so no key is copied.
        return F.scaled_dot_product_attention(q.view(b, kv, h // kv, d), k, v).view(b, h, 1, d)
    k = k.repeat_interleave(h // kv, dim=1)
    v = v.repeat_interleave(h // kv, dim=1)
    if t == s:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    seen = torch.ones(t, s, dtype=torch.bool, device=q.device).tril(diagonal=s - t)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
