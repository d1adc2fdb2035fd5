"""A byte-level vocabulary of some 300 tokens with merges that cross the borders of JSON."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llm.decoding.vocabulary import Vocabulary
from llm.tokenizer import TextTokenizer

_PIECES = (
    *('{"', '":', '":"', '","', '"}', '"]', "[]", "{}", "na", "name", "ta", "tag", "tags", "ag"),
    *("age", "12", "00", "  ", " \n", "true", "null", "ab", "abc", "the", " the", "é", "éé", "<|"),
)
_SPECIALS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def small_tokenizer() -> TextTokenizer:
    """Return a tokenizer whose merges make the pieces from left to right."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for piece in _PIECES:
        spelled = byte_level.pre_tokenize_str(piece)[0][0]
        done = spelled[0]
        for character in spelled[1:]:
            if done + character not in vocabulary:
                merges.append((done, character))
                vocabulary.append(done + character)
            done += character
    tokenizer = Tokenizer(
        models.BPE(vocab={piece: i for i, piece in enumerate(vocabulary)}, merges=merges)
    )
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIALS])
    return TextTokenizer(tokenizer, eos_tokens=["<|im_end|>"])


def small_vocabulary() -> Vocabulary:
    """Return its vocabulary, with logits a little wider than it."""
    tokenizer = small_tokenizer()
    return Vocabulary(tokenizer, size=tokenizer.vocab_size + 5)
