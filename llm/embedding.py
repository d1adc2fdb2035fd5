"""Texts to unit vectors: pooling, windows for long queries, batches by length, a fingerprint.

BERT-family models run on our own encoder; any other goes through sentence-transformers, which is
imported only then. Letters: `n` texts, `d` vector width.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from tokenizers import Tokenizer

from llm.checkpoint import load_encoder, read_json
from llm.encoder_choice import choose_encoder
from llm.encoder_runner import EncoderRunner
from llm.errors import CheckpointError, UnsupportedModelError
from llm.precision import Precision
from llm.tokenizer import raw_tokenizer

logger = logging.getLogger(__name__)

_FIRST_BYTES = 1 << 20


class TextEncoder:
    """The in-house encoder behind rag's `Embedder` port; safe to call from several threads."""

    def __init__(
        self,
        runner: EncoderRunner,
        tokenizer: Tokenizer,
        *,
        name: str,
        fingerprint: str,
        max_tokens: int,
        runs_as: str = "as given",
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dim = runner.hidden_size
        self.max_tokens = max_tokens
        self.runs_as = runs_as
        self._runner = runner
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._num_special = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]

    def encode(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> Float32[np.ndarray, "n d"]:
        """Return one unit row per text, in order; see `rag.embedder.Embedder`.

        Raises:
            ValueError: a passage is longer than `max_tokens`; it would have to be cut in silence.
        """
        rows: list[list[int]] = []
        owners: list[int] = []
        for i, encoding in enumerate(self._tokenizer.encode_batch(list(texts))):
            for window in self._windows(encoding.ids, kind, i):
                rows.append(window)
                owners.append(i)
        vectors = self._encode_ids(rows)
        if len(rows) == len(texts):
            return vectors
        merged = np.zeros((len(texts), self.dim), np.float32)
        np.add.at(merged, owners, vectors)
        return merged / np.linalg.norm(merged, axis=1, keepdims=True)

    def token_vectors(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> list[Float32[np.ndarray, "t d"]]:
        """Return a unit row for each token of each text; see `rag.late_interaction.TokenEncoder`.

        Raises:
            ValueError: a passage is longer than `max_tokens`.
        """
        out: list[Float32[np.ndarray, "t d"]] = []
        for i, encoding in enumerate(self._tokenizer.encode_batch(list(texts))):
            with self._lock:
                states = self._runner.states(self._windows(encoding.ids, kind, i))
            found = np.concatenate(states)
            out.append(found / np.linalg.norm(found, axis=1, keepdims=True))
        return out

    def _windows(self, token_ids: list[int], kind: str, i: int) -> list[list[int]]:
        if len(token_ids) <= self.max_tokens:
            return [token_ids]
        if kind == "passage":
            raise ValueError(
                f"text {i} has {len(token_ids)} tokens; {self.name} reads at most"
                f" {self.max_tokens}: split it"
            )
        # [CLS] and [SEP] stand around the whole text; each window gets its own pair.
        first, last = token_ids[0], token_ids[-1]
        inner = token_ids[1:-1]
        size = self.max_tokens - self._num_special
        return [[first, *inner[at : at + size], last] for at in range(0, len(inner), size)]

    def _encode_ids(self, rows: list[list[int]]) -> Float32[np.ndarray, "rows d"]:
        out = np.empty((len(rows), self.dim), np.float32)
        # Sorted by length, so that a batch holds little padding.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        at = 0
        while at < len(order):
            size = self._batch_size(rows, order, at)
            picked = order[at : at + size]
            with self._lock:
                out[picked] = self._runner.vectors([rows[i] for i in picked])
            at += size
        return out

    def _batch_size(self, rows: list[list[int]], order: list[int], at: int) -> int:
        """Return how many of the next rows fit, padded, into the token budget."""
        size, most = 1, self._runner.batch_tokens
        while at + size < len(order) and len(rows[order[at + size]]) * (size + 1) <= most:
            size += 1
        return size


class SentenceTransformerEncoder:
    """Any other local model, through sentence-transformers; never fetches anything."""

    def __init__(self, folder: Path, *, name: str, fingerprint: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.name = name
        self.fingerprint = fingerprint
        self._model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self.dim = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 512)
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        encoded = self._model.tokenizer(list(texts), truncation=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def encode(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> Float[np.ndarray, "n d"]:
        """Return one unit row per text; a text that the model would cut is a `ValueError`."""
        for i, count in enumerate(self.count_tokens(texts)):
            if count > self.max_tokens:
                raise ValueError(
                    f"text {i} has {count} tokens; {self.name} reads at most {self.max_tokens}:"
                    " split it"
                )
        call = self._model.encode_query if kind == "query" else self._model.encode_document
        with self._lock:
            vectors = call(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def load_text_encoder(
    folder: Path, *, name: str, precision: Precision = "auto", notes: Path | None = None
) -> TextEncoder | SentenceTransformerEncoder:
    """Load an embedding model from a folder, on our encoder where it can run it.

    `precision` and `notes` are those of `llm.encoder_choice`, whose choice the log says in one
    line. Vectors that may not stand beside float32's have a fingerprint of their own.

    Raises:
        CheckpointError: files are missing or damaged.
        UnsupportedModelError: int8 was asked for, and the kernels cannot run this model.
    """
    fingerprint = _fingerprint(folder, name)
    try:
        _require_mean_pooling(folder)
        encoder = load_encoder(folder)
    except UnsupportedModelError as error:
        if precision == "int8":
            raise UnsupportedModelError(f"the int8 encoder cannot run {name}: {error}") from error
        return SentenceTransformerEncoder(folder, name=name, fingerprint=fingerprint)
    settings = folder / "sentence_bert_config.json"
    longest = encoder.config.max_position_embeddings
    stated = read_json(settings).get("max_seq_length") if settings.is_file() else None
    tokenizer = raw_tokenizer(folder / "tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    chosen = choose_encoder(
        encoder,
        precision=precision,
        threads=torch.get_num_threads(),
        tokens_of=lambda text: list(tokenizer.encode(text).ids),
        name=fingerprint,
        notes=notes,
    )
    logger.info("the encoder runs as %s", chosen.reason)
    return TextEncoder(
        chosen.runner,
        tokenizer,
        name=name,
        fingerprint=fingerprint if chosen.is_compatible else f"{fingerprint}:int8",
        max_tokens=min(longest, int(stated)) if stated else longest,
        runs_as=chosen.reason,
    )


def _require_mean_pooling(folder: Path) -> None:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        raise UnsupportedModelError(f"{folder.name} does not state how its vectors are pooled")
    pooling = read_json(path)
    wanted = [
        key for key, is_on in pooling.items() if key.startswith("pooling_mode_") and is_on is True
    ]
    if wanted != ["pooling_mode_mean_tokens"]:
        raise UnsupportedModelError(f"pooling {wanted} is not implemented; mean pooling is")


def _fingerprint(folder: Path, name: str) -> str:
    """Hash what decides the vectors; of the weights, their size and both ends suffice."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors")):
        digest.update(json.dumps([path.name, path.stat().st_size]).encode())
        with path.open("rb") as file:
            digest.update(file.read(_FIRST_BYTES))
            if path.stat().st_size > 2 * _FIRST_BYTES:
                file.seek(-_FIRST_BYTES, 2)
                digest.update(file.read())
    if not any(folder.rglob("*.safetensors")):
        raise CheckpointError(f"{folder.name} holds no *.safetensors file")
    return f"{name}:{digest.hexdigest()}"
