"""Spans over scattered blocks, and models whose sizes the kernels can do, for tests of runners."""

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32

from llm.config import ModelConfig
from llm.model import LlamaModel
from llm.model_runner import EVERYTHING, ModelRunner, Span, batch_of
from llm.paged_cache import BLOCK
from tests.llm.tiny_model import tiny_config


def packable_config(**changes: object) -> ModelConfig:
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
    }
    return tiny_config(**{**sizes, **changes})


def random_model(config: ModelConfig, seed: int = 0) -> LlamaModel:
    torch.manual_seed(seed)
    model = LlamaModel(config).eval().requires_grad_(requires_grad=False)
    model.embed_tokens.weight.mul_(0.1)  # tied to the head: else one token takes all
    return model


def scattered(num_tokens: int, num_blocks: int, seed: int) -> list[int]:
    """Return enough blocks for so many tokens, in no order."""
    blocks = list(range(num_blocks))
    random.Random(seed).shuffle(blocks)
    return blocks[: -(-num_tokens // BLOCK)]


def run_chunks(
    runner: ModelRunner,
    token_ids: Sequence[int],
    cuts: Sequence[int],
    blocks: Sequence[int],
    *,
    sinks: int = 0,
    window: int = int(EVERYTHING),
) -> Float32[np.ndarray, "t v"]:
    """Return the logits of all positions, computed chunk by chunk."""
    edges = [0, *sorted(set(cuts)), len(token_ids)]
    logits = []
    for start, stop in pairwise(edges):
        span = Span(
            token_ids=token_ids[start:stop],
            start=start,
            blocks=blocks,
            wants="all",
            sinks=sinks,
            window=window,
        )
        logits.append(runner.forward(batch_of([span])).logits.copy())
    return np.concatenate(logits)
