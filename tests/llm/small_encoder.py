"""An encoder of random weights, small enough for a test of milliseconds."""

import torch

from llm.config import EncoderConfig
from llm.encoder import BertEncoder

VOCABULARY = 101
LONGEST = 73


def small_encoder(
    *, hidden: int = 128, heads: int = 4, mlp: int = 192, seed: int = 0
) -> BertEncoder:
    torch.manual_seed(seed)
    config = EncoderConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=2,
        num_attention_heads=heads,
        max_position_embeddings=LONGEST,
    )
    encoder = BertEncoder(config)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return encoder


def some_texts(*lengths: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(VOCABULARY, (length,), generator=generator).tolist() for length in lengths
    ]
