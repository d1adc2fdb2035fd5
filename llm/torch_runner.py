"""Steps in plain torch: where there are no compiled kernels, on a GPU, and as their slow twin.

In float32 (or bfloat16 and float16 on a GPU, not run here) with the weights as they were loaded.
`strict` makes a row's bits independent of the batch: linears in tiles of 16 rows, attention one
query at a time over tiles of 32 keys in their order. Letters: `r` rows, `h` query heads, `kv`
key/value heads, `d` head width, `s` keys of one sequence, `c` hidden size.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from llm.model import DecoderLayer, LlamaModel
from llm.model_runner import EVERYTHING, Batch, StepOutput, cache_positions, checked_exit
from llm.paged_cache import BLOCK, PagedCache
from llm.positional import RotaryTable
from llm.unembedding import Unembedding

_TILE_ROWS = 16
_TILE_KEYS = 32


class TorchRunner:
    """A `ModelRunner` of one model as torch modules."""

    def __init__(self, model: LlamaModel, cache: PagedCache, *, strict: bool = False) -> None:
        """Run `model` where its weights are; the cache must be on the same device."""
        self._model = model
        self._cache = cache
        self._strict = strict
        weight = model.embed_tokens.weight
        self._device, self._dtype = weight.device, weight.dtype
        config = model.config
        self._rotary = RotaryTable(
            config.head_dim,
            config.rope_theta,
            config.max_position_embeddings,
            config.rope_scaling,
        )

    @property
    def kernels(self) -> str:
        """`torch-float32` and the like."""
        return f"torch-{str(self._dtype).removeprefix('torch.')}"

    @property
    def num_blocks(self) -> int:
        """Blocks of the cache."""
        return self._cache.num_blocks

    @property
    def unembedding(self) -> Unembedding:
        """The rows of the output matrix."""
        return Unembedding.of_weight(self._model.head_weight)

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copy whole blocks of the cache."""
        self._cache.copy(copies)

    @torch.inference_mode()
    def forward(self, batch: Batch) -> StepOutput:
        """Compute the rows of a step.

        Raises:
            ValueError: the model has no layer `exit_layer`.
        """
        exit_layer = checked_exit(batch.exit_layer, len(self._model.layers))
        outputs = torch.from_numpy(batch.output_rows).long().to(self._device)
        exit_hidden: np.ndarray | None = None
        spans = list(_spans(batch))
        turns = self._angles(batch.positions)
        sink_turns = turns
        if (batch.windows != EVERYTHING).any():
            sink_turns = self._angles(cache_positions(batch))
        x = self._model.embed_tokens(torch.from_numpy(batch.token_ids).to(self._device))  # [r, c]
        for index, layer in enumerate(self._model.decoder_layers):
            x = x + self._attention(layer, index, x, batch, spans, (turns, sink_turns))
            x = x + self._mlp(layer, layer.post_attention_layernorm(x))
            if index == exit_layer:
                exit_hidden = self._model.norm(x[outputs]).float().cpu().numpy()
        hidden = self._model.norm(x[outputs])
        logits = self._linear(self._model.head_weight, hidden)
        return StepOutput(
            logits=logits.float().cpu().numpy(),
            hidden=hidden.float().cpu().numpy(),
            exit_hidden=exit_hidden,
        )

    def _linear(self, weight: Float[Tensor, "o k"], x: Float[Tensor, "r k"]) -> Tensor:
        if not self._strict or not len(x):
            return F.linear(x, weight)
        # Kernels of another shape round otherwise: every product has the same sixteen rows.
        padded = F.pad(x, (0, 0, 0, -len(x) % _TILE_ROWS))
        tiles = [F.linear(tile, weight) for tile in torch.split(padded, _TILE_ROWS)]
        return torch.cat(tiles)[: len(x)]

    def _mlp(self, layer: DecoderLayer, x: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
        gate = self._linear(layer.mlp.gate_proj.weight, x)
        up = self._linear(layer.mlp.up_proj.weight, x)
        return self._linear(layer.mlp.down_proj.weight, F.silu(gate) * up)

    def _attention(
        self,
        layer: DecoderLayer,
        index: int,
        x: Float[Tensor, "r c"],
        batch: Batch,
        spans: list["_SpanRows"],
        turns: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> Float[Tensor, "r c"]:
        attention = layer.self_attn
        normed = layer.input_layernorm(x)
        d = attention.head_dim
        q = self._linear(attention.q_proj.weight, normed).view(-1, attention.num_heads, d)
        k = self._linear(attention.k_proj.weight, normed).view(-1, attention.num_kv_heads, d)
        v = self._linear(attention.v_proj.weight, normed).view(-1, attention.num_kv_heads, d)
        recent, sink = (_rotate(q, *angles) for angles in turns)
        self._write(index, _rotate(k, *turns[0]), v, spans)
        out = torch.empty_like(q)
        for span in spans:
            keys, values = self._read(index, span)
            mask, sink_mask = span.masks(batch, keys.shape[0])
            for rows in self._row_groups(span):
                here = slice(rows.start - span.start, rows.stop - span.start)
                out[rows] = self._attend(
                    (recent[rows], sink[rows]), (keys, values), mask[here], sink_mask[here]
                )
        return self._linear(attention.o_proj.weight, out.reshape(len(x), -1))

    def _row_groups(self, span: "_SpanRows") -> Iterator[slice]:
        step = 1 if self._strict else span.stop - span.start
        for row in range(span.start, span.stop, step):
            yield slice(row, row + step)

    def _write(
        self,
        index: int,
        keys: Float[Tensor, "r kv d"],
        values: Float[Tensor, "r kv d"],
        spans: list["_SpanRows"],
    ) -> None:
        blocks = torch.cat([span.row_blocks for span in spans]).to(self._device)
        slots = torch.cat([span.row_slots for span in spans]).to(self._device)
        self._cache.keys[index, blocks, :, :, slots] = keys.to(self._cache.keys.dtype)
        self._cache.values[index, blocks, :, slots] = values.to(self._cache.values.dtype)

    def _read(
        self, index: int, span: "_SpanRows"
    ) -> tuple[Float[Tensor, "s kv d"], Float[Tensor, "s kv d"]]:
        table = span.table.clamp(min=0).to(self._device)  # holes are masked
        keys = self._cache.keys[index, table].permute(0, 3, 1, 2).flatten(0, 1)
        values = self._cache.values[index, table].permute(0, 2, 1, 3).flatten(0, 1)
        if (span.table < 0).any():  # zero times what another owner left there may be NaN
            holes = (span.table < 0).repeat_interleave(BLOCK).to(self._device)
            values = values.masked_fill(holes[:, None, None], 0.0)
        return keys[: span.length].to(self._dtype), values[: span.length].to(self._dtype)

    def _attend(
        self,
        queries: tuple[Float[Tensor, "r h d"], Float[Tensor, "r h d"]],
        cached: tuple[Float[Tensor, "s kv d"], Float[Tensor, "s kv d"]],
        mask: Tensor,
        sink_mask: Tensor,
    ) -> Float[Tensor, "r h d"]:
        keys, values = cached
        share = queries[0].shape[1] // keys.shape[1]
        keys, values = (each.repeat_interleave(share, dim=1) for each in (keys, values))
        scale = queries[0].shape[-1] ** -0.5
        if self._strict:
            return _tiled(queries, (keys, values), (mask, sink_mask), scale)
        scores = torch.einsum("rhd,shd->hrs", queries[0], keys)
        if sink_mask.any():
            scores = torch.where(
                sink_mask.to(keys.device), torch.einsum("rhd,shd->hrs", queries[1], keys), scores
            )
        seen = (mask | sink_mask).to(keys.device)
        weights = (scores * scale).masked_fill(~seen, float("-inf")).softmax(dim=-1)
        return torch.einsum("hrs,shd->rhd", weights, values)

    def _angles(self, positions: Int[np.ndarray, " r"]) -> tuple[Tensor, Tensor]:
        cosines, sines = self._rotary.rows(positions)
        return tuple(
            torch.from_numpy(np.concatenate([a, a], axis=1)).to(self._device, self._dtype)[:, None]
            for a in (cosines, sines)
        )  # type: ignore[return-value]


def _tiled(
    queries: tuple[Tensor, Tensor],
    cached: tuple[Tensor, Tensor],
    masks: tuple[Tensor, Tensor],
    scale: float,
) -> Float[Tensor, "r h d"]:
    """One query over fixed tiles of keys with a running softmax: the same sums in any batch."""
    keys, values = (each.transpose(0, 1) for each in cached)  # [h, s, d]
    _, s, d = keys.shape
    h = keys.shape[0]
    best = torch.full((h, 1), -1e30)
    total, out = torch.zeros(h, 1), torch.zeros(h, d)
    for query, mask in ((queries[1], masks[1]), (queries[0], masks[0])):
        for start in range(0, s, _TILE_KEYS):
            seen = mask[0, start : start + _TILE_KEYS]
            if not seen.any():
                continue
            tile = _padded(keys[:, start : start + _TILE_KEYS])
            scores = (tile @ query[0][:, :, None])[..., 0] * scale  # [h, tile]
            scores = scores.masked_fill(~F.pad(seen, (0, _TILE_KEYS - len(seen))), -1e30)
            top = torch.maximum(best, scores.amax(dim=1, keepdim=True))
            weights = torch.where(scores > -1e30, (scores - top).exp(), 0.0)
            shrink = (best - top).exp()
            total = total * shrink + weights.sum(dim=1, keepdim=True)
            mixed = (weights[:, None] @ _padded(values[:, start : start + _TILE_KEYS]))[:, 0]
            out = out * shrink + mixed
            best = top
    return (out / total)[None]


def _padded(tile: Float[Tensor, "h s d"]) -> Float[Tensor, "h 32 d"]:
    return F.pad(tile, (0, 0, 0, _TILE_KEYS - tile.shape[1]))


def _rotate(x: Float[Tensor, "r h d"], cos: Tensor, sin: Tensor) -> Float[Tensor, "r h d"]:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class _SpanRows:
    """The rows of one span, with its table as tensors."""

    def __init__(self, batch: Batch, index: int) -> None:
        self.index = index
        self.start, self.stop = (int(at) for at in batch.span_starts[index : index + 2])
        self.positions = torch.from_numpy(batch.positions[self.start : self.stop]).long()
        self.length = int(self.positions[-1]) + 1
        self.table = torch.from_numpy(batch.block_tables[index]).long()[: -(-self.length // BLOCK)]
        self.row_blocks = self.table[self.positions // BLOCK]
        self.row_slots = self.positions % BLOCK

    def masks(self, batch: Batch, num_keys: int) -> tuple[Tensor, Tensor]:
        """Return which keys each row sees, those apart that it meets as sinks beyond a gap."""
        sinks, window = int(batch.sinks[self.index]), int(batch.windows[self.index])
        keys = torch.arange(num_keys)[None]
        rows = self.positions[:, None]
        gap = rows - window >= sinks
        recent = (keys <= rows) & ((keys > rows - window) | ~gap)
        return recent, (keys < sinks) & gap


def _spans(batch: Batch) -> Iterator[_SpanRows]:
    for index in range(len(batch.sinks)):
        yield _SpanRows(batch, index)
