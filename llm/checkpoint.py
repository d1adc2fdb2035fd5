"""Weight files to built models: GGUF and safetensors, nothing that could run code.

A decoder comes from one GGUF file or from a folder in Hugging Face's layout (config.json,
*.safetensors, tokenizer.json); an encoder from such a folder. Weights become float32.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from llm.chat_template import FALLBACK_TEMPLATE, ChatTemplate
from llm.config import (
    decoder_config_from_gguf,
    decoder_config_from_json,
    encoder_config_from_json,
)
from llm.encoder import BertEncoder
from llm.errors import CheckpointError, UnsupportedModelError
from llm.gguf import GGUFFile
from llm.model import LlamaModel
from llm.tokenizer import TextTokenizer, tokenizer_from_file, tokenizer_from_gguf

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)

_GGUF_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_GGUF_NAMES = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}

_BERT_LAYER_NAMES = {
    "q_proj": "attention.self.query",
    "k_proj": "attention.self.key",
    "v_proj": "attention.self.value",
    "o_proj": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up_proj": "intermediate.dense",
    "mlp.down_proj": "output.dense",
    "output_norm": "output.LayerNorm",
}
_BERT_NAMES = {
    "word_embeddings": "embeddings.word_embeddings",
    "position_embeddings": "embeddings.position_embeddings",
    "token_type_embeddings": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A decoder with the tokenizer and the chat template it was trained with."""

    model: LlamaModel
    tokenizer: TextTokenizer
    template: ChatTemplate


def load_decoder(path: Path) -> Decoder:
    """Load a decoder from a GGUF file, a folder that holds one, or a Hugging Face folder.

    Raises:
        CheckpointError: files are missing, damaged, or do not fit their own description.
        UnsupportedModelError: an architecture, tensor type or tokenizer that is not implemented.
    """
    if path.is_dir():
        found = sorted(path.glob("*.gguf"))
        if not found:
            return _decoder_from_folder(path)
        path = found[0]
    if not path.is_file():
        raise CheckpointError(f"there is no model at {path}")
    return _decoder_from_gguf(path)


def _decoder_from_gguf(path: Path) -> Decoder:
    file = GGUFFile(path)
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise CheckpointError(f"{path.name} holds no token embeddings")
    config = decoder_config_from_gguf(
        file.metadata,
        vocab_size=embedding.shape[0],
        has_output="output.weight" in file.tensors,
    )

    def read(name: str) -> Tensor:
        tensor = torch.from_numpy(file.tensor(_gguf_name(name)))
        if name.endswith("q_proj.weight"):
            return _pair_halves(tensor, config.num_attention_heads)
        if name.endswith("k_proj.weight"):
            return _pair_halves(tensor, config.num_key_value_heads)
        return tensor

    tokenizer = tokenizer_from_gguf(file.metadata)
    source = file.metadata.get("tokenizer.chat_template", FALLBACK_TEMPLATE)
    return Decoder(
        model=_fill(LlamaModel, config, read, path.name),
        tokenizer=tokenizer,
        template=ChatTemplate(str(source), tokenizer),
    )


def _gguf_name(name: str) -> str:
    module, _, kind = name.rpartition(".")
    if module.startswith("layers."):
        _, number, part = module.split(".", 2)
        return f"blk.{number}.{_GGUF_LAYER_NAMES[part]}.{kind}"
    return f"{_GGUF_NAMES[module]}.{kind}"


def _pair_halves(weight: Tensor, num_heads: int) -> Tensor:
    """Undo GGUF's row order.

    GGUF rotates neighbours (x_2i, x_2i+1), we rotate (x_i, x_i+d/2): the rows of each head move.
    """
    rows, columns = weight.shape
    half = rows // num_heads // 2
    return weight.view(num_heads, half, 2, columns).transpose(1, 2).reshape(rows, columns)


def _decoder_from_folder(folder: Path) -> Decoder:
    config = decoder_config_from_json(read_json(folder / "config.json"))
    settings = read_json(folder / "tokenizer_config.json")
    tokenizer = tokenizer_from_file(folder / "tokenizer.json", settings)
    template = folder / "chat_template.jinja"
    source = (
        template.read_text() if template.is_file() else settings.get("chat_template")
    ) or FALLBACK_TEMPLATE
    with SafetensorsFolder(folder) as weights:

        def read(name: str) -> Tensor:
            return weights.tensor(name if name.startswith("lm_head") else f"model.{name}")

        model = _fill(LlamaModel, config, read, folder.name)
    return Decoder(model=model, tokenizer=tokenizer, template=ChatTemplate(str(source), tokenizer))


def load_encoder(folder: Path) -> BertEncoder:
    """Load a BERT-family encoder from a folder in Hugging Face's layout.

    Raises:
        CheckpointError: files are missing, damaged, or do not fit their own description.
        UnsupportedModelError: another architecture.
    """
    config = encoder_config_from_json(read_json(folder / "config.json"))
    with SafetensorsFolder(folder) as weights:
        prefix = "bert." if weights.has("bert.embeddings.word_embeddings.weight") else ""

        def read(name: str) -> Tensor:
            return weights.tensor(prefix + _bert_name(name))

        return _fill(BertEncoder, config, read, folder.name)


def _bert_name(name: str) -> str:
    module, _, kind = name.rpartition(".")
    if module.startswith("layers."):
        _, number, part = module.split(".", 2)
        return f"encoder.layer.{number}.{_BERT_LAYER_NAMES[part]}.{kind}"
    return f"{_BERT_NAMES[module]}.{kind}"


class SafetensorsFolder:
    """The tensors of all *.safetensors files of a folder, as float32."""

    def __init__(self, folder: Path) -> None:
        """Open; raises `CheckpointError` where there is none or one is damaged."""
        self._folder = folder
        self._where: dict[str, Any] = {}
        self._files = ExitStack()
        for path in sorted(folder.glob("*.safetensors")):
            try:
                file: Any = self._files.enter_context(safe_open(str(path), framework="pt"))
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path.name} cannot be read: {error}") from error
            self._where.update(dict.fromkeys(file.keys(), file))
        if not self._where:
            raise CheckpointError(f"{folder.name} holds neither a *.gguf nor a *.safetensors file")

    def __enter__(self) -> "SafetensorsFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def has(self, name: str) -> bool:
        """Tell whether a tensor of this name exists."""
        return name in self._where

    def tensor(self, name: str) -> Tensor:
        """Return a tensor; raises `CheckpointError` where it is missing or no number."""
        if name not in self._where:
            raise CheckpointError(f"{self._folder.name} has no tensor {name!r}")
        tensor: Tensor = self._where[name].get_tensor(name)
        if not tensor.is_floating_point():
            raise UnsupportedModelError(
                f"tensor {name!r} is of type {tensor.dtype}; floating-point weights are read"
            )
        return tensor.float()


def read_json(path: Path) -> Mapping[str, Any]:
    """Return a JSON object from a file; raises `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing from {path.parent.name}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path.name} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} must hold a JSON object")
    return value


def _fill(
    kind: Callable[[Config], Model], config: Config, read: Callable[[str], Tensor], origin: str
) -> Model:
    """Build a model without initialising it, then give it its weights, checked one by one."""
    with torch.device("meta"):
        model = kind(config)
    weights: dict[str, Tensor] = {}
    for name, wanted in model.state_dict().items():
        tensor = read(name)
        if tensor.shape != wanted.shape:
            raise CheckpointError(
                f"{origin}: {name} has shape {tuple(tensor.shape)}, the configuration says"
                f" {tuple(wanted.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{origin}: {name} holds NaN or infinite weights")
        weights[name] = tensor
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(requires_grad=False)
