"""A toy model that is a table: what follows each prefix, and where a text may end."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from llm.decoding.search.branches import Candidates

EOS = 0
Prefix = tuple[int, ...]


@dataclass
class TableModel:
    """`Branches` over random rows of `size` tokens, token 0 being the end.

    Every row is a function of (seed, prefix). A text may end where its tokens sum to a multiple of
    `accept_every`; `stop` is a pair of tokens that ends a text.
    """

    size: int
    seed: int = 0
    sharpness: float = 1.0
    accept_every: int = 1
    stop: Prefix = ()
    cut: int | None = None
    texts: dict[int, Prefix] = field(default_factory=lambda: {0: ()})
    rows: dict[Prefix, np.ndarray] = field(default_factory=dict)
    num_scored: int = 0
    most_branches: int = 1

    def row(self, prefix: Prefix) -> np.ndarray:
        """Return the log-probabilities of all tokens, which sum to one."""
        if prefix in self.rows:
            return self.rows[prefix]
        logits = self.sharpness * np.random.default_rng([self.seed, *prefix]).normal(size=self.size)
        self.rows[prefix] = logits - np.logaddexp.reduce(logits)
        return self.rows[prefix]

    def accepts(self, prefix: Prefix) -> bool:
        """Whether a text may end here."""
        return sum(prefix) % self.accept_every == 0

    def feasible(self, prefix: Prefix) -> list[int]:
        """Return the tokens that may follow."""
        return list(range(0 if self.accepts(prefix) else 1, self.size))

    def candidates(self, prefix: Prefix) -> Candidates:
        """Return the most probable feasible tokens, and the end."""
        row = self.row(prefix)
        ids = sorted(self.feasible(prefix), key=lambda token: -row[token])
        if self.cut is not None:
            ids = [t for i, t in enumerate(ids) if i < self.cut or t == EOS]
        return Candidates(
            token_ids=np.array(ids, np.int64),
            log_probs=row[ids],
            is_final=np.zeros(len(ids), np.bool_),
        )

    def fork(self, branch: int) -> int:
        """See `Branches`."""
        new = max(self.texts) + 1
        self.texts[new] = self.texts[branch]
        self.most_branches = max(self.most_branches, len(self.texts))
        return new

    def step(self, branch: int, token: int) -> bool:
        """See `Branches`."""
        self.texts[branch] = (*self.texts[branch], token)
        return bool(self.stop) and self.texts[branch][-len(self.stop) :] == self.stop

    def score(self, branches: Sequence[int]) -> list[Candidates]:
        """See `Branches`."""
        self.num_scored += len(branches)
        return [self.candidates(self.texts[branch]) for branch in branches]

    def drop(self, branch: int) -> None:
        """See `Branches`."""
        del self.texts[branch]

    def all_texts(self, max_tokens: int, prefix: Prefix = ()) -> Iterator[tuple[Prefix, float]]:
        """Yield every finished text and its log-probability, however improbable."""
        row = self.row(prefix)
        before = self.log_prob(prefix)
        for token in self.feasible(prefix):
            log_prob = before + float(row[token])
            if token == EOS:
                yield prefix, log_prob
            elif len(prefix) + 1 == max_tokens or (*prefix, token)[-2:] == self.stop:
                yield (*prefix, token), log_prob
            else:
                yield from self.all_texts(max_tokens, (*prefix, token))

    def log_prob(self, prefix: Prefix) -> float:
        """Return the log-probability of a beginning."""
        return math.fsum(float(self.row(prefix[:i])[token]) for i, token in enumerate(prefix))


def worth(log_prob: float, num_tokens: int, length_penalty: float) -> float:
    """Return the score of a finished text, by the formula of the paper."""
    return float(log_prob / ((5 + num_tokens) ** length_penalty / 6**length_penalty))
