"""Text to the tokens that a model would have written it with, and back to pieces for the eye."""

import codecs
import itertools
import re
import unicodedata
from collections.abc import Sequence

from llm.errors import UndecidableTextError
from llm.tokenizer import TextTokenizer

MAX_CHARS = 1_000_000
_MOST_STRANGE = 0.05  # share of characters that no text has
_STRANGE = {"Cc", "Cn", "Co", "Cs"}
_WHITE = "\t\n\r\f\v"


def tokens_of(text: str, tokenizer: TextTokenizer) -> tuple[int, ...]:
    """Return the tokens of a reply; the spelling of a special token is text like any other.

    Raises:
        UndecidableTextError: the text is empty, too long or no text.
    """
    _check(text)
    specials = [name for name in tokenizer.special_tokens if len(name) > 1]
    found = re.finditer("|".join(map(re.escape, specials)), text) if specials else ()
    cuts = [0, *(match.start() + 1 for match in found), len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(cuts)]
    return tuple(token for part in parts for token in tokenizer.encode(part))


def pieces_of(token_ids: Sequence[int], tokenizer: TextTokenizer) -> list[str]:
    """Return the text of each token; a character is with the token that completes it."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    last = len(token_ids) - 1
    return [
        decoder.decode(tokenizer.token_bytes(token), final=i == last)
        for i, token in enumerate(token_ids)
    ]


def _check(text: str) -> None:
    if not text.strip():
        raise UndecidableTextError("cannot tell, because the text is empty")
    if len(text) > MAX_CHARS:
        raise UndecidableTextError(
            f"cannot tell, because the text has {len(text):,} characters and at most"
            f" {MAX_CHARS:,} are read; give a part of it"
        )
    strange = sum(
        c == "\ufffd" or (unicodedata.category(c) in _STRANGE and c not in _WHITE) for c in text
    )
    if strange > _MOST_STRANGE * len(text):
        raise UndecidableTextError(
            f"cannot tell, because {strange:,} of {len(text):,} characters are none that a text"
            " has; give text, not the bytes of a file"
        )
