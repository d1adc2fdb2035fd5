"""A decoder of two layers with random weights and a byte-level tokenizer, made in milliseconds."""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llm.chat_template import FALLBACK_TEMPLATE, ChatTemplate
from llm.checkpoint import Decoder
from llm.config import ModelConfig
from llm.model import LlamaModel
from llm.tokenizer import TextTokenizer


def tiny_config(**changes: object) -> ModelConfig:
    """Sizes are mutually prime where the mathematics allows it."""
    sizes = {
        "vocab_size": 259,
        "hidden_size": 33,
        "intermediate_size": 47,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 10,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
    }
    return ModelConfig(**{**sizes, **changes})  # type: ignore[arg-type]


def tiny_tokenizer() -> TextTokenizer:
    return TextTokenizer(raw_tokenizer(), eos_tokens=["<|im_end|>"])


def raw_tokenizer() -> Tokenizer:
    """Return what `tokenizer.json` of the tiny model would hold."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    return tokenizer


def tiny_decoder(seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    model = LlamaModel(tiny_config()).eval().requires_grad_(requires_grad=False)
    model.embed_tokens.weight.mul_(0.1)  # tied to the head: else one token takes all probability
    tokenizer = tiny_tokenizer()
    return Decoder(
        model=model, tokenizer=tokenizer, template=ChatTemplate(FALLBACK_TEMPLATE, tokenizer)
    )
