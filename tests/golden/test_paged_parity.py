"""Paged, chunked and batched steps against the plain model with its contiguous cache."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32
from torch.nn import functional as F

from llm.model import LlamaModel
from llm.model_runner import ModelRunner, Span, batch_of
from llm.native.loader import kernel_paths
from llm.native_runner import NativeRunner
from llm.packed_model import PackedModel, pack
from llm.paged_cache import PagedCache
from llm.positional import RotaryTable
from llm.quantization import QuantizedLinear, quantized_linear
from llm.torch_runner import TorchRunner
from tests.llm.paged import packable_config, random_model, run_chunks, scattered

NUM_BLOCKS = 24
TOKENS = [(7 * i * i + 3 * i) % 259 for i in range(150)]


def torch_runner(model: LlamaModel, *, strict: bool = False) -> TorchRunner:
    cache = PagedCache(model.config, NUM_BLOCKS, dtype=torch.float32)
    cache.values.fill_(torch.nan)  # whatever was there before must not matter
    return TorchRunner(model, cache, strict=strict)


def native_runner(model: PackedModel, path: str, threads: int = 2) -> NativeRunner:
    cache = PagedCache(model.config, NUM_BLOCKS)
    cache.values.fill_(torch.nan)
    return NativeRunner(model, cache, threads=threads, path=path)


def contiguous(model: LlamaModel, token_ids: list[int]) -> Float32[np.ndarray, "t v"]:
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([token_ids]), model.new_cache())[0]
        return logits.numpy()


@pytest.fixture(scope="module")
def model() -> LlamaModel:
    return random_model(packable_config())


@pytest.fixture(scope="module")
def packed(model: LlamaModel) -> PackedModel:
    return pack(model)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cuts", [[], [1], [16], [40, 41, 100], list(range(1, 150, 13))])
def test_paged_steps_equal_the_contiguous_cache(
    model: LlamaModel, cuts: list[int], *, strict: bool
) -> None:
    runner = torch_runner(model, strict=strict)
    paged = run_chunks(runner, TOKENS, cuts, scattered(150, NUM_BLOCKS, 5))
    assert np.abs(paged - contiguous(model, TOKENS)).max() < 1e-4


def twin_logits(packed: PackedModel, token_ids: list[int]) -> Float32[np.ndarray, "t v"]:
    """The int8 model spelt out: no cache, no batch, torch twins of the linears, halves for keys."""
    config = packed.config
    d, kv, h = config.head_dim, config.num_key_value_heads, config.num_attention_heads
    t = len(token_ids)
    cos, sin = (
        torch.from_numpy(np.concatenate([a, a], 1))[:, None]
        for a in RotaryTable(d, config.rope_theta, 512).rows(np.arange(t, dtype=np.int32))
    )

    def turn(x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    def norm(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, gain.shape, gain, config.rms_norm_eps)

    def linear(weights: QuantizedLinear, x: torch.Tensor) -> torch.Tensor:
        return quantized_linear(weights, x.contiguous())

    x = packed.embedding[torch.tensor(token_ids)].float()
    for layer in packed.layers:
        qkv = linear(layer.qkv, norm(x, layer.input_norm))
        q, k, v = torch.split(qkv[:, : (h + 2 * kv) * d], [h * d, kv * d, kv * d], dim=1)
        q, k, v = turn(q.view(t, h, d)), turn(k.view(t, kv, d)), v.view(t, kv, d)
        k, v = (each.half().float().repeat_interleave(h // kv, 1) for each in (k, v))
        out = F.scaled_dot_product_attention(
            q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), is_causal=True
        )
        x = x + linear(layer.out, out.transpose(0, 1).reshape(t, h * d))
        pairs = linear(layer.gate_up, norm(x, layer.mlp_norm)).view(t, -1, 2, 16)
        gate, up = pairs[:, :, 0].reshape(t, -1), pairs[:, :, 1].reshape(t, -1)
        x = x + linear(layer.down, F.silu(gate) * up)
    return linear(packed.head, norm(x, packed.final_norm))[:, : config.vocab_size].numpy()


@pytest.mark.parametrize("path", kernel_paths())
def test_compiled_steps_agree_with_the_model_spelt_out(packed: PackedModel, path: str) -> None:
    """A last bit in a norm can move a code by one, so the bound is a code's worth."""
    runner = native_runner(packed, path)
    got = run_chunks(runner, TOKENS, [64], scattered(150, NUM_BLOCKS, 1))
    wanted = twin_logits(packed, TOKENS)
    assert np.abs(got - wanted).max() < 0.02 * np.abs(wanted).max()
    assert np.mean(np.abs(got - wanted)) < 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("path", kernel_paths())
@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16},
        {"num_attention_heads": 7, "num_key_value_heads": 1, "head_dim": 64},
        {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 96},
        {"hidden_size": 192, "tie_word_embeddings": False, "vocab_size": 131},
    ],
)
def test_compiled_steps_agree_for_other_shapes(path: str, changes: dict[str, object]) -> None:
    packed = pack(random_model(packable_config(**changes)))
    ids = [token % 131 for token in TOKENS[:70]]
    got = run_chunks(native_runner(packed, path), ids, [33], scattered(70, NUM_BLOCKS, 1))
    wanted = twin_logits(packed, ids)
    assert np.abs(got - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.kernels
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 149), max_size=6), st.integers(0, 99), st.integers(1, 3))
def test_cuts_blocks_and_threads_change_no_bit(cuts: list[int], seed: int, threads: int) -> None:
    packed = _shared_packed()
    path = kernel_paths()[0]
    whole = run_chunks(native_runner(packed, path), TOKENS, [], list(range(10)))
    runner = native_runner(packed, path, threads)
    again = run_chunks(runner, TOKENS, cuts, scattered(150, NUM_BLOCKS, seed))
    assert np.array_equal(whole, again)


def _shared_packed() -> PackedModel:
    return pack(random_model(packable_config()))


@pytest.mark.parametrize("path", [*kernel_paths(), "torch"])
def test_a_row_has_the_same_bits_whoever_is_beside_it(
    model: LlamaModel, packed: PackedModel, path: str
) -> None:
    def fresh() -> ModelRunner:
        if path == "torch":
            return torch_runner(model, strict=True)
        return native_runner(packed, path)

    prompts = [TOKENS[i : i + 20 + 3 * i] for i in range(5)]
    tables = [[4 * i + j for j in range(4)] for i in range(5)]
    alone = []
    for prompt, table in zip(prompts, tables, strict=True):
        runner = fresh()
        runner.forward(batch_of([Span(token_ids=prompt[:-1], start=0, blocks=table)]))
        last = Span(token_ids=prompt[-1:], start=len(prompt) - 1, blocks=table)
        alone.append(runner.forward(batch_of([last])).logits[0].copy())
    runner = fresh()
    spans = [
        Span(token_ids=prompt, start=0, blocks=table)
        for prompt, table in zip(prompts, tables, strict=True)
    ]
    together = runner.forward(batch_of(spans)).logits
    for one, row in zip(alone, together, strict=True):
        assert np.array_equal(one, row)


def rolling_logits(
    model: LlamaModel, token_ids: list[int], sinks: int, window: int
) -> Float32[np.ndarray, "t v"]:
    """Every query on its own over the keys it sees, all at their places within the cache."""
    config = model.config
    h, kv, d = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    t = len(token_ids)
    cos, sin = RotaryTable(d, config.rope_theta, 512).rows(np.arange(t, dtype=np.int32))

    def turn(x: torch.Tensor, places: list[int]) -> torch.Tensor:
        c, s = (torch.from_numpy(np.concatenate([a, a], 1)[places])[:, None] for a in (cos, sin))
        first, second = x.chunk(2, -1)
        return x * c + torch.cat([-second, first], -1) * s

    with torch.inference_mode():
        x = model.embed_tokens(torch.tensor(token_ids))
        for layer in model.decoder_layers:
            a, normed = layer.self_attn, layer.input_layernorm(x)
            q = a.q_proj(normed).view(t, h, d)
            k, v = (p(normed).view(t, kv, d) for p in (a.k_proj, a.v_proj))
            outs = []
            for p in range(t):
                seen = [j for j in range(p + 1) if j < sinks or j > p - window]
                keys = turn(k[seen], list(range(len(seen)))).repeat_interleave(h // kv, 1)
                query = turn(q[p : p + 1], [len(seen) - 1])[0]
                weights = (torch.einsum("hd,shd->hs", query, keys) * d**-0.5).softmax(-1)
                mixed = torch.einsum("hs,shd->hd", weights, v[seen].repeat_interleave(h // kv, 1))
                outs.append(mixed.reshape(-1))
            x = x + a.o_proj(torch.stack(outs))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        logits: torch.Tensor = model.norm(x) @ model.head_weight.T
        return logits.numpy()


@pytest.mark.parametrize(("sinks", "window"), [(4, 40), (4, 17), (0, 33), (20, 50), (4, 500)])
def test_a_rolling_cache_equals_recomputing_at_cache_positions(
    model: LlamaModel, packed: PackedModel, sinks: int, window: int
) -> None:
    wanted = np.asarray(rolling_logits(model, TOKENS, sinks, window))
    got = run_chunks(
        torch_runner(model), TOKENS, [30, 77], list(range(10)), sinks=sinks, window=window
    )
    assert np.abs(got - wanted).max() < 1e-4
    strict = run_chunks(
        torch_runner(model, strict=True), TOKENS, [30], list(range(10)), sinks=sinks, window=window
    )
    assert np.abs(strict - wanted).max() < 1e-4
    for path in kernel_paths():
        native = run_chunks(
            native_runner(packed, path), TOKENS, [64], list(range(10)), sinks=sinks, window=window
        )
        error = np.abs(native - wanted)
        assert error.mean() < 0.02 * np.abs(wanted).max()
        if window > len(TOKENS):
            plain = run_chunks(native_runner(packed, path), TOKENS, [], list(range(10)))
            assert np.array_equal(native, plain)


@pytest.mark.parametrize("path", [*kernel_paths(), "torch"])
def test_blocks_behind_the_window_need_not_exist(
    model: LlamaModel, packed: PackedModel, path: str
) -> None:
    runner = torch_runner(model) if path == "torch" else native_runner(packed, path)
    blocks = list(range(10))
    full = run_chunks(runner, TOKENS, [149], blocks, sinks=4, window=40)[-1]
    holes = [0, *[-1] * 5, 6, 7, 8, 9]  # the last query sees 110..149 and the first four
    last = Span(token_ids=TOKENS[149:], start=149, blocks=holes, sinks=4, window=40)
    assert np.array_equal(runner.forward(batch_of([last])).logits[0], full)


@pytest.mark.kernels
def test_copied_blocks_hold_the_same_keys_and_values(packed: PackedModel) -> None:
    runner = native_runner(packed, kernel_paths()[0])
    run_chunks(runner, TOKENS[:40], [], [0, 1, 2])
    runner.copy_blocks([(2, 9)])
    one, other = (
        runner.forward(
            batch_of([Span(token_ids=TOKENS[40:41], start=40, blocks=[0, 1, block])])
        ).logits.copy()
        for block in (2, 9)
    )
    assert np.array_equal(one, other)


@pytest.mark.kernels
def test_a_poisoned_row_poisons_no_other(packed: PackedModel) -> None:
    """A row whose activations overflow is NaN, and so may be what it leaves in its blocks."""
    weight = packed.embedding.clone()
    weight[258] = torch.inf
    poisoned = pack(random_model(packable_config()))
    object.__setattr__(poisoned, "embedding", weight)
    runner = native_runner(poisoned, kernel_paths()[0])
    good = Span(token_ids=TOKENS[:20], start=0, blocks=[0, 1])
    alone = runner.forward(batch_of([good])).logits[0].copy()
    bad = Span(token_ids=[258] * 20, start=0, blocks=[2, 3])
    both = runner.forward(batch_of([bad, good])).logits
    assert np.isnan(both[0]).all()
    assert np.array_equal(both[1], alone)
    reused = runner.forward(batch_of([Span(token_ids=TOKENS[:20], start=0, blocks=[3, 2])])).logits
    assert np.array_equal(reused[0], alone)
