"""The tokens of a model as grammars see them: the bytes of each, and which are special.

Made once for a tokenizer and shared by all grammars. Knows no grammar.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int32
from llguidance import LLTokenizer, TokenizerWrapper

from llm.tokenizer import TextTokenizer

NUM_BYTES = 256
END = NUM_BYTES  # the symbol for "the output ends here"
_FIRST_SPECIAL = END + 1
_KEPT_SPELLINGS = 4096

Mask = Int32[np.ndarray, " words"]


class TokenTrie:
    """A node of the tree of tokens by their bytes."""

    __slots__ = ("children", "tokens")

    def __init__(self) -> None:
        self.children: dict[int, TokenTrie] = {}
        self.tokens: list[int] = []  # those that end here


class Vocabulary:
    """Bytes and symbols of the tokens of one tokenizer.

    Below tokens there are symbols: a byte is the symbol of its value, `END` is the end of the
    output, and each special token has a symbol of its own behind these. A grammar is the same over
    symbols as over tokens, and searched far faster.
    """

    def __init__(self, tokenizer: TextTokenizer, *, size: int | None = None) -> None:
        """Read the tokens; `size` is the width of the logits, where it is larger.

        Raises:
            ValueError: `size` is smaller than the tokenizer's vocabulary, or no token ends a text.
        """
        self.size = tokenizer.vocab_size if size is None else size
        if self.size < tokenizer.vocab_size:
            raise ValueError(
                f"the logits have {self.size} columns and the tokenizer {tokenizer.vocab_size}"
                " tokens; they belong to different models"
            )
        if not tokenizer.eos_ids:
            raise ValueError("no token of the tokenizer ends a text, so no grammar could end")
        self._tokenizer = tokenizer
        self.eos_ids = tokenizer.eos_ids
        self.num_words = (self.size + 31) // 32
        self.token_bytes: tuple[bytes, ...] = tuple(
            tokenizer.token_bytes(i) if i < tokenizer.vocab_size else b"" for i in range(self.size)
        )
        self.special_ids = {text: tokenizer.encode(text)[0] for text in tokenizer.special_tokens}
        self._special_symbols = {
            token: _FIRST_SPECIAL + i for i, token in enumerate(sorted(self.special_ids.values()))
        }
        self._special_tokens = {symbol: token for token, symbol in self._special_symbols.items()}
        self._spelt: dict[tuple[int, ...], tuple[int, ...] | None] = {}
        self.tokenizer = LLTokenizer(
            TokenizerWrapper(_Tokens(self)), eos_token=sorted(self.eos_ids)
        )
        self.byte_tokenizer = LLTokenizer(TokenizerWrapper(_Symbols(self)), eos_token=END)

    def symbols(self, token: int) -> Sequence[int]:
        """Return the symbols of a token: its bytes, or the one of a special token."""
        if token in self.eos_ids:
            return (END,)
        special = self._special_symbols.get(token)
        return self.token_bytes[token] if special is None else (special,)

    @property
    def num_symbols(self) -> int:
        """How many symbols there are."""
        return _FIRST_SPECIAL + len(self._special_symbols)

    @cached_property
    def ids_of_bytes(self) -> dict[bytes, int]:
        """The lowest ordinary token for each string of bytes that a token stands for."""
        found: dict[bytes, int] = {}
        for token, data in enumerate(self.token_bytes):
            if data:
                found.setdefault(data, token)
        return found

    @cached_property
    def trie(self) -> "TokenTrie":
        """All ordinary tokens by their bytes."""
        root = TokenTrie()
        for token, data in enumerate(self.token_bytes):
            node = root
            for byte in data:
                node = node.children.setdefault(byte, TokenTrie())
            if data:
                node.tokens.append(token)
        return root

    def fewest_tokens(self, symbols: Sequence[int]) -> list[int] | None:
        """Return the fewest tokens that spell these symbols; None if no tokens do."""
        length = len(symbols)
        # ways[i]: (number of tokens from i to the end, the first of them, where the next begins)
        ways: list[tuple[int, int, int] | None] = [None] * length + [(0, -1, length)]
        for start in range(length - 1, -1, -1):
            ways[start] = self._best_way(symbols, start, ways)
        found: list[int] = []
        at = 0
        while at < length:
            way = ways[at]
            if way is None:
                return None
            found.append(way[1])
            at = way[2]
        return found

    def spelt(self, symbols: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return what `fewest_tokens` does; the last answers are kept."""
        if symbols in self._spelt:
            return self._spelt[symbols]
        found = self.fewest_tokens(symbols)
        if len(self._spelt) >= _KEPT_SPELLINGS:
            self._spelt.clear()
        tokens = self._spelt[symbols] = None if found is None else tuple(found)
        return tokens

    def count_tokens(self, symbols: tuple[int, ...]) -> int:
        """Return how many tokens `fewest_tokens` takes; the number of symbols if there are none."""
        tokens = self.spelt(symbols)
        return len(symbols) if tokens is None else len(tokens)

    def _best_way(
        self, symbols: Sequence[int], start: int, ways: Sequence[tuple[int, int, int] | None]
    ) -> tuple[int, int, int] | None:
        special = self._special_tokens.get(symbols[start])
        if special is not None:
            rest = ways[start + 1]
            return None if rest is None else (rest[0] + 1, special, start + 1)
        best: tuple[int, int, int] | None = None
        node = self.trie
        for end in range(start, len(symbols)):
            child = node.children.get(symbols[end])
            if child is None:
                break
            node = child
            rest = ways[end + 1]
            if node.tokens and rest is not None and (best is None or rest[0] < best[0]):
                best = (rest[0] + 1, node.tokens[0], end + 1)
        return best

    @cached_property
    def longest_first(self) -> list[bytes]:
        """The bytes of the ordinary tokens, the longest first."""
        return sorted(self.ids_of_bytes, key=lambda data: -len(data))

    @cached_property
    def long_runs(self) -> list[int]:
        """The bytes that occur alone in the longest tokens, such as a token of many spaces."""
        longest: dict[int, int] = {}
        for data in self.token_bytes:
            if data and data == data[:1] * len(data):
                longest[data[0]] = max(longest.get(data[0], 0), len(data))
        return sorted(longest, key=lambda byte: -longest[byte])[:4]

    def certain_tokens(self, data: bytes, *, must_end: bool) -> list[int]:
        """Return the tokenizer's own tokens for bytes that must come, as far as they are certain.

        A token is certain if no token of the vocabulary spells all of the bytes from its start and
        more, since that one might be wanted; where the output must end, nothing can be more.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as cut:
            text, must_end = data[: cut.start].decode(), False
        tokens = self.encode_plain(text)
        if must_end:
            return tokens
        rest = len(data)
        for number, token in enumerate(tokens):
            if self._goes_on(data[len(data) - rest :]):
                return tokens[:number]
            rest -= len(self.token_bytes[token])
        return tokens

    def _goes_on(self, data: bytes) -> bool:
        """Whether a token begins with `data` and has more."""
        node: TokenTrie | None = self.trie
        for byte in data:
            if node is None:
                return False
            node = node.children.get(byte)
        return node is not None and bool(node.children)

    def encode_plain(self, text: str) -> list[int]:
        """Return the tokenizer's own tokens for a text in which no special token is meant."""
        if not any(special in text for special in self.special_ids):
            return self._tokenizer.encode(text)
        return self.fewest_tokens(text.encode()) or []

    def mask_of(self, tokens: Iterable[int]) -> Mask:
        """Return the words in which the bits of these tokens are set."""
        mask = np.zeros(self.num_words, np.int32)
        chosen = np.fromiter(tokens, np.int64)
        if len(chosen):
            bits = np.left_shift(np.uint32(1), (chosen & 31).astype(np.uint32))
            np.bitwise_or.at(mask.view(np.uint32), chosen >> 5, bits)
        return mask


def tokens_of(mask: Mask) -> list[int]:
    """Return the tokens whose bits are set."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    found: list[int] = np.flatnonzero(bits).tolist()
    return found


def set_only(mask: Mask, token: int) -> None:
    """Leave one token alone in a mask."""
    mask.fill(0)
    mask.view(np.uint32)[token >> 5] = 1 << (token & 31)


class _Tokens:
    """The vocabulary in the form that llguidance asks for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        spelling = {token: text.encode() for text, token in vocabulary.special_ids.items()}
        self.eos_token_id = min(vocabulary.eos_ids)
        self.bos_token_id = None
        self.tokens = [spelling.get(i, data) for i, data in enumerate(vocabulary.token_bytes)]
        self.special_token_ids = sorted(spelling)
        self._vocabulary = vocabulary

    def __call__(self, text: bytes | str) -> list[int]:
        spelled = text.decode() if isinstance(text, bytes) else text
        return self._vocabulary.encode_plain(spelled)


class _Symbols:
    """A vocabulary of symbols in the form that llguidance asks for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        spelled = sorted(vocabulary.special_ids.items(), key=lambda item: item[1])
        self.eos_token_id = END
        self.bos_token_id = None
        self.tokens = [bytes([i]) for i in range(NUM_BYTES)]
        self.tokens += [b"<end of output>", *(text.encode() for text, _ in spelled)]
        self.special_token_ids = list(range(END, len(self.tokens)))

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())
