"""Log-probabilities of tokens in the shape of the OpenAI API."""

from collections.abc import Sequence
from typing import Any

from llm.chat import TokenLogProb

_IMPOSSIBLE = -9999.0  # JSON has no infinity; the OpenAI API says it so


def logprobs_of(tokens: Sequence[TokenLogProb]) -> dict[str, Any]:
    """Return `choices[].logprobs` for some tokens.

    A token may hold part of a character: `token` then shows a replacement, and `bytes` is right. A
    special token has no bytes.
    """
    content = [
        {**_one(token), "top_logprobs": [_one(other) for other in token.top]} for token in tokens
    ]
    return {"content": content, "refusal": None}


def _one(token: TokenLogProb) -> dict[str, Any]:
    return {
        "token": token.data.decode(errors="replace"),
        "logprob": max(token.log_prob, _IMPOSSIBLE),
        "bytes": list(token.data) or None,
    }
