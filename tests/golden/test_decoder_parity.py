"""Our decoder against `transformers`: same weights, same logits."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from llm.checkpoint import load_decoder
from llm.model_store import ModelStore
from tests.llm.tiny_model import tiny_tokenizer

# fp32 on both sides; the sums are ordered alike, so the difference is rounding alone
TOLERANCE = 1e-4


def save_reference(folder: Path, *, tied: bool, kv_heads: int, **rope: object) -> Any:
    torch.manual_seed(11)
    reference: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=259,
            hidden_size=42,
            intermediate_size=55,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=kv_heads,
            head_dim=10,
            max_position_embeddings=512,
            rms_norm_eps=1e-5,
            tie_word_embeddings=tied,
            rope_parameters={"rope_type": "default", "rope_theta": 5000.0, **rope},
        )
    )
    reference.eval()
    for name, weight in reference.named_parameters():
        if name.endswith("norm.weight"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    reference.save_pretrained(folder)
    tiny_tokenizer()._tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    return reference


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [6, 2, 1])
def test_logits_on_random_weights_equal_the_reference(
    tmp_path: Path, tied: bool, kv_heads: int
) -> None:
    reference = save_reference(tmp_path, tied=tied, kv_heads=kv_heads)
    ours = load_decoder(tmp_path).model
    input_ids = torch.randint(0, 259, (2, 37))
    with torch.inference_mode():
        difference = (ours(input_ids) - reference(input_ids).logits).abs().max()
    assert difference < TOLERANCE


def test_logits_with_llama3_scaling_equal_the_reference(tmp_path: Path) -> None:
    reference = save_reference(
        tmp_path,
        tied=True,
        kv_heads=2,
        rope_type="llama3",
        factor=4.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    )
    ours = load_decoder(tmp_path).model
    input_ids = torch.randint(0, 259, (2, 301))
    with torch.inference_mode():
        difference = (ours(input_ids) - reference(input_ids).logits).abs().max()
    assert difference < TOLERANCE


@pytest.mark.parametrize("cuts", [[1] * 23, [7, 1, 15], [22, 1], [23]])
def test_cached_logits_equal_uncached_ones(tmp_path: Path, cuts: list[int]) -> None:
    save_reference(tmp_path, tied=True, kv_heads=2)
    ours = load_decoder(tmp_path).model
    input_ids = torch.randint(0, 259, (2, 23))
    kv_cache = ours.new_cache()
    with torch.inference_mode():
        whole = ours(input_ids)
        parts = [ours(piece, kv_cache) for piece in torch.split(input_ids, cuts, dim=1)]
    assert (torch.cat(parts, dim=1) - whole).abs().max() < TOLERANCE


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the reference's own
def test_logits_and_tokens_on_the_real_weights_equal_the_reference(
    models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = models.path("smollm2-135m-instruct")
    folder = gguf.parent
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reference = AutoModelForCausalLM.from_pretrained(
        os.fspath(folder), gguf_file=gguf.name, dtype=torch.float32
    )
    their_tokenizer = AutoTokenizer.from_pretrained(os.fspath(folder), gguf_file=gguf.name)
    ours = load_decoder(gguf)
    text = (
        "The 'with' statement\n\nIt's 1984: naïve façade, 你好, 🙂!  def f(x=[]):\n\treturn x[0]\n"
        "Whitespace   runs, CamelCase and 12,345.67 are cut alike."
    )
    token_ids = ours.tokenizer.encode(text)
    assert token_ids == their_tokenizer(text).input_ids
    assert ours.tokenizer.decode(token_ids) == text
    input_ids = torch.tensor([token_ids])
    kv_cache = ours.model.new_cache()
    with torch.inference_mode():
        theirs = reference(input_ids).logits
        assert (ours.model(input_ids) - theirs).abs().max() < 1e-3
        ours.model(input_ids[:, :-1], kv_cache)
        last = ours.model(input_ids[:, -1:], kv_cache)
    assert (last[0, -1] - theirs[0, -1]).abs().max() < 1e-3
