"""Our face of the `tokenizers` library: text to ids, ids to bytes.

A tokenizer is made from a `tokenizer.json` or from the vocabulary and merges inside a GGUF file.
Byte-level BPE writes each byte as one printable character; `token_bytes` undoes that, so that text
can be assembled from bytes and no half character ever leaves.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from llm.errors import CheckpointError, UnsupportedModelError

_CONTROL = 3  # GGUF token type of special tokens
_USER_DEFINED = 4

_GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@cache
def _byte_of_character() -> dict[str, int]:
    """Return GPT-2's table: printable bytes stand for themselves, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    table.update({chr(0x100 + i): byte for i, byte in enumerate(others)})
    return table


class TextTokenizer:
    """Encodes text, and tells the bytes of each token.

    `special_ids` are control tokens, which have no bytes; `special_tokens` their spellings;
    `eos_ids` those that end a reply.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, eos_tokens: Sequence[str], bos_token: str | None = None
    ) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        self.special_tokens = tuple(
            sorted((t.content for t in added.values() if t.special), key=len, reverse=True)
        )
        self.vocab_size = tokenizer.get_vocab_size(with_added_tokens=True)
        found = [tokenizer.token_to_id(token) for token in eos_tokens]
        self.eos_ids = frozenset(i for i in found if i is not None)
        self.eos_token = next(iter(eos_tokens), "")
        self.bos_token = bos_token
        self._added_text = {i: token.content for i, token in added.items()}

    def encode(self, text: str) -> list[int]:
        """Return token ids; spellings of special tokens become those tokens."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes a token stands for; none for a special one."""
        if token_id in self.special_ids:
            return b""
        if token_id in self._added_text:
            return self._added_text[token_id].encode()
        piece = self._tokenizer.id_to_token(token_id)
        if piece is None:
            return b""  # padding rows of the embedding matrix have no spelling
        table = _byte_of_character()
        return bytes(table[character] for character in piece)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of complete ids; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, token_ids)).decode("utf-8", errors="replace")


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> TextTokenizer:
    """Build the byte-level BPE tokenizer that a GGUF file carries.

    Raises:
        UnsupportedModelError: another tokenizer model or pre-tokenizer than those implemented.
        CheckpointError: the vocabulary is missing.
    """
    kind = metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise UnsupportedModelError(
            f"GGUF tokenizer model {kind!r} is not implemented; byte-level BPE ('gpt2') is"
        )
    try:
        tokens: list[str] = metadata["tokenizer.ggml.tokens"]
        merges: list[str] = metadata["tokenizer.ggml.merges"]
        types: list[int] = metadata.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    except KeyError as missing:
        raise CheckpointError(f"the GGUF metadata lack {missing}") from missing
    bpe = models.BPE(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[_merge(line) for line in merges],
    )
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = _pre_tokenizer(str(metadata.get("tokenizer.ggml.pre", "default")))
    tokenizer.decoder = decoders.ByteLevel()
    for kind_id, special in ((_CONTROL, True), (_USER_DEFINED, False)):
        named = [
            AddedToken(token, special=special, normalized=False)
            for token, type_id in zip(tokens, types, strict=True)
            if type_id == kind_id
        ]
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add(named)
    ends = [
        tokens[int(metadata[key])]
        for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
        if key in metadata
    ]
    bos = metadata.get("tokenizer.ggml.bos_token_id")
    return TextTokenizer(
        tokenizer, eos_tokens=ends, bos_token=None if bos is None else tokens[int(bos)]
    )


def _merge(line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    return left, right


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def split(pattern: str) -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.Split(Regex(pattern), behavior="isolated")

    if name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, split(_GPT2_SPLIT), by_bytes])
    if name in ("gpt-2", "default"):
        return pre_tokenizers.Sequence([split(_GPT2_SPLIT), by_bytes])
    if name == "llama-bpe":
        return pre_tokenizers.Sequence([split(_LLAMA3_SPLIT), by_bytes])
    raise UnsupportedModelError(
        f"GGUF pre-tokenizer {name!r} is not implemented; smollm, gpt-2 and llama-bpe are"
    )


def tokenizer_from_file(path: Path, config: Mapping[str, Any]) -> TextTokenizer:
    """Load a `tokenizer.json`; `config` is the content of `tokenizer_config.json`.

    Raises:
        CheckpointError: the file is missing or damaged.
        UnsupportedModelError: the tokenizer is not byte-level.
    """
    tokenizer = raw_tokenizer(path)
    if not isinstance(tokenizer.decoder, decoders.ByteLevel):
        raise UnsupportedModelError(
            f"{path.name} is no byte-level tokenizer, which the decoder needs"
        )
    eos = _token_text(config.get("eos_token"))
    if not eos:
        raise CheckpointError("tokenizer_config.json names no eos_token, so replies would not end")
    return TextTokenizer(
        tokenizer, eos_tokens=[eos], bos_token=_token_text(config.get("bos_token")) or None
    )


def raw_tokenizer(path: Path) -> Tokenizer:
    """Load a `tokenizer.json` of any kind; raises `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing from {path.parent.name}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}") from error


def _token_text(token: Any) -> str:
    if isinstance(token, Mapping):
        return str(token.get("content", ""))
    return str(token or "")
