"""A chat model's tokenizer without its weights: what reading tokens needs, in a second."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import CheckpointError
from llm.gguf import GGUFFile
from llm.tokenizer import TextTokenizer, tokenizer_from_file, tokenizer_from_gguf


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerOfModel:
    """A tokenizer and `size`, how many logits its model gives: at least as many as tokens."""

    tokenizer: TextTokenizer
    size: int


def load_tokenizer(path: Path) -> TokenizerOfModel:
    """Read it from a GGUF file, a folder that holds one, or a Hugging Face folder.

    Raises:
        CheckpointError: a file is missing or damaged.
        UnsupportedModelError: a tokenizer that is not implemented.
    """
    if not path.is_dir():
        return _from_gguf(path)
    found = sorted(path.glob("*.gguf"))
    return _from_gguf(found[0]) if found else _from_folder(path)


def _from_gguf(path: Path) -> TokenizerOfModel:
    if not path.is_file():
        raise CheckpointError(f"there is no model at {path}")
    file = GGUFFile(path)
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise CheckpointError(f"{path.name} holds no token embeddings")
    return TokenizerOfModel(
        tokenizer=tokenizer_from_gguf(file.metadata), size=int(embedding.shape[0])
    )


def _from_folder(folder: Path) -> TokenizerOfModel:
    config = _json(folder / "config.json")
    tokenizer = tokenizer_from_file(
        folder / "tokenizer.json", _json(folder / "tokenizer_config.json")
    )
    size = config.get("vocab_size")
    if not isinstance(size, int) or size < tokenizer.vocab_size:
        raise CheckpointError(
            f"config.json of {folder.name} says vocab_size {size!r}, and the tokenizer has"
            f" {tokenizer.vocab_size} tokens; they belong to different models"
        )
    return TokenizerOfModel(tokenizer=tokenizer, size=size)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} must hold a JSON object")
    return value
