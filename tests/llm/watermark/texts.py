"""Small texts and a mark's way through them, for the tests of `llm.watermark`."""

import numpy as np

from llm.decoding.draw import draw
from llm.decoding.phases import Survivors
from llm.watermark.scheme import Scheme, TextMark

SECRET = bytes(range(16))
VOCABULARY = 5000


def human_like(num: int, seed: int = 0) -> np.ndarray:
    """Return tokens of a Zipf law, so that many repeat."""
    ranks = np.random.default_rng(seed).zipf(1.3, num)
    return np.minimum(ranks, VOCABULARY - 1).astype(np.int64)


def repetitive(num: int) -> np.ndarray:
    """Return a loop of seven tokens."""
    return np.resize(np.array([11, 12, 13, 14, 15, 16, 17], np.int64), num)


def step(rng: np.random.Generator, *, num: int = 40, spread: float = 0.3) -> Survivors:
    """Return what may be drawn at some position, most probable first."""
    probs = np.sort(rng.dirichlet(np.full(num, spread)))[::-1]
    ids = rng.choice(VOCABULARY, num, replace=False).astype(np.int64)
    return Survivors(token_ids=ids, log_probs=np.log(np.maximum(probs, 1e-12)))


def choose(
    mark: TextMark, survivors: Survivors, *, seed: int, position: int, stream: int = 0
) -> int:
    """Do P6 and P7 for one token."""
    marked = mark.reweight(survivors)
    noise = mark.noise(survivors.token_ids)
    if noise is None:
        return draw(marked.token_ids, marked.log_probs, seed=seed, position=position, stream=stream)
    return int(marked.token_ids[(marked.log_probs + noise).argmax()])


def marked_text(
    scheme: Scheme, num: int, *, seed: int = 5, secret: bytes = SECRET, law: int = 3
) -> list[int]:
    """Return tokens drawn under a mark; `law` chooses the distributions, `seed` the draw."""
    rng = np.random.default_rng(law)
    mark = scheme.start(secret, seed=seed)
    tokens = []
    for position in range(num):
        token = choose(mark, step(rng), seed=seed, position=position)
        mark.take(token)
        tokens.append(token)
    return tokens
