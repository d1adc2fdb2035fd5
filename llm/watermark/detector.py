"""Looks for a mark: tokens and keys in, evidence and a p-value out.

A p-value is the chance that a key which did not mark the text would show as much evidence. It says
nothing of who wrote it, and a high one does not say that it is unmarked. Each coin counts once; all
sub-keys, keys and windows that were tried are corrected for. Letters: `k` sub-keys, `n` tokens.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from llm.errors import UndecidableTextError
from llm.watermark.keys import WatermarkKey
from llm.watermark.null_laws import weighted_log_tail, z_score
from llm.watermark.p_values import best_of, fisher_log
from llm.watermark.replay import GrammarReplay, free_positions, reference_log_tail
from llm.watermark.scheme import Scheme, Scores, once_among, sub_keys
from llm.watermark.windows import best_part, parts_of

MAX_TOKENS = 200_000
LEAST_SCORED = 8
_LARGEST_TOKEN = 2**31
_HASHED_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The generated tokens of one reply, in their order, and what is known of their making.

    `is_free` says where more than one token was allowed, `weights` how much each token can tell
    (for instance its entropy under the model): neither may depend on the key. `sub_key` is the
    number in its receipt, if there is one.
    """

    token_ids: tuple[int, ...]
    is_free: tuple[bool, ...] | None = None
    weights: tuple[float, ...] | None = None
    sub_key: int | None = None

    def __post_init__(self) -> None:
        num = len(self.token_ids)
        if num > MAX_TOKENS:
            raise UndecidableTextError(
                f"cannot tell, because the text has {num} tokens and at most {MAX_TOKENS} are read;"
                " give a part of it"
            )
        if num and not 0 <= min(self.token_ids) <= max(self.token_ids) < _LARGEST_TOKEN:
            raise UndecidableTextError(
                "cannot tell, because some tokens are none of the model's; use its own tokenizer"
            )
        for name, values in (("is_free", self.is_free), ("weights", self.weights)):
            if values is not None and len(values) != num:
                raise ValueError(f"{name} has {len(values)} entries for {num} tokens")
        if self.weights is not None and not all(math.isfinite(w) and w >= 0 for w in self.weights):
            raise ValueError("weights must be finite and >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a text says under the key and sub-key that fit it best.

    `log_p_value` (natural) is corrected for everything that was tried, `num_tests` things. `values`
    is the evidence of each token and `is_scored` whether it counts; over a random key a token that
    counts has `mean` on average. `total` and `z_score` are of the tokens from `start` to `stop`.
    `reference_log_p_value` is that of a grammar replay if tokens instead of keys were chance; the
    p-value is the larger of both.
    """

    scheme: str
    key: str
    sub_key: int
    log_p_value: float
    num_tests: int
    num_scored: int
    total: float
    mean: float
    z_score: float
    values: tuple[float, ...]
    is_scored: tuple[bool, ...]
    start: int
    stop: int
    reference_log_p_value: float | None = None

    @property
    def p_value(self) -> float:
        """The p-value; 0 where it is below what a float holds."""
        return math.exp(self.log_p_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDetection:
    """What several replies say together under the key that fits them best; see `Detection`.

    `replies` is each reply by itself under that key.
    """

    scheme: str
    key: str
    log_p_value: float
    num_tests: int
    num_scored: int
    replies: tuple[Detection, ...]

    @property
    def p_value(self) -> float:
        """The p-value; 0 where it is below what a float holds."""
        return math.exp(self.log_p_value)


class Detector:
    """Looks for the marks of one scheme under several keys."""

    def __init__(
        self, scheme: Scheme, keys: Sequence[WatermarkKey], *, least_scored: int = LEAST_SCORED
    ) -> None:
        if not keys:
            raise ValueError("a detector needs at least one key")
        if least_scored < 1:
            raise ValueError(f"least_scored must be >= 1, got {least_scored}")
        self.scheme = scheme
        self.keys = tuple(keys)
        self.least_scored = least_scored
        self._sub_keys = np.concatenate([sub_keys(scheme, key.secret) for key in keys])

    def detect(self, text: Text) -> Detection:
        """Return what the whole text says.

        Raises:
            UndecidableTextError: too few tokens count.
        """
        scores = self._scores(text)
        self._check(scores.counts())
        rows = self._rows(text)
        log_ps = [self._log_p(scores, row, text) for row in rows]
        return self._detection(scores, rows, log_ps)

    def replay(
        self,
        text: Text,
        start_grammar: Callable[[], GrammarReplay],
        vocabulary_size: int,
    ) -> Detection:
        """Return what a reply says that was made under a grammar; forced tokens say nothing.

        Args:
            text: the whole reply.
            start_grammar: gives the grammar at its start, as often as it is called.
            vocabulary_size: the width of the grammar's masks.

        Raises:
            UndecidableTextError: too few tokens count, or the text does not follow the grammar.
        """
        is_free = free_positions(text.token_ids, start_grammar(), vocabulary_size)
        found = self.detect(replace(text, is_free=tuple(is_free.tolist())))
        secret = next(key.secret for key in self.keys if key.name == found.key)
        log_tail = reference_log_tail(
            text.token_ids,
            start_grammar(),
            vocabulary_size,
            self.scheme.start(secret, seed=found.sub_key),
            self.scheme.law,
        )
        reference = best_of(log_tail, found.num_tests)
        return replace(
            found,
            log_p_value=max(found.log_p_value, reference),
            reference_log_p_value=reference,
        )

    def search(self, text: Text) -> Detection:
        """Return what the best part of a long text says, for passages pasted into another text.

        The p-value is corrected for the number of parts by Bonferroni's bound, since they overlap.

        Raises:
            UndecidableTextError: too few tokens count.
        """
        if text.weights is not None:
            raise ValueError("parts of a text are searched without weights")
        scores = self._scores(text)
        self._check(scores.counts())
        rows = self._rows(text)
        parts = parts_of(len(text.token_ids))
        best = [best_part(scores, row, parts, self.scheme.law) for row in rows]
        log_ps = [min(part.log_p + math.log(len(parts)), 0.0) for part in best]
        winner = best[int(np.argmin(log_ps))]
        return self._detection(scores, rows, log_ps, winner.start, winner.stop)

    def detect_conversation(self, texts: Sequence[Text]) -> PooledDetection:
        """Return what several replies say together, each coin counting once among all of them.

        Where the sub-keys of all replies are known, their evidence is added up. Otherwise each
        reply is corrected for those that were tried, and Fisher's method combines the p-values.

        Raises:
            UndecidableTextError: too few tokens count in all of them together.
        """
        each = once_among([self._scores(text) for text in texts])
        if not each:
            raise UndecidableTextError("cannot tell, because there is no reply")
        self._check(np.sum([scores.counts() for scores in each], axis=0))
        log_ps = [self._pooled(each, texts, key) for key in range(len(self.keys))]
        key = int(np.argmin(log_ps))
        replies = []
        for scores, text in zip(each, texts, strict=True):
            rows = self._rows(text, key)
            own = [self._log_p(scores, row, text) for row in rows]
            replies.append(self._detection(scores, rows, own))
        return PooledDetection(
            scheme=self.scheme.label,
            key=self.keys[key].name,
            log_p_value=best_of(log_ps[key], len(log_ps)),
            num_tests=len(log_ps) * max(len(self._rows(text, 0)) for text in texts),
            num_scored=sum(reply.num_scored for reply in replies),
            replies=tuple(replies),
        )

    def _scores(self, text: Text) -> Scores:
        scores = self._all_scores(np.array(text.token_ids, np.int64))
        is_scored = scores.is_scored.copy()
        if text.is_free is not None:
            is_scored &= np.array(text.is_free, np.bool_)
        if text.weights is not None:
            is_scored &= np.array(text.weights, np.float64) > 0
        return replace(scores, is_scored=is_scored)

    def _all_scores(self, token_ids: Int64[np.ndarray, " n"]) -> Scores:
        """Score a few sub-keys at a time, as hashing takes a multiple of what it gives."""
        num = max(_HASHED_AT_ONCE // max(len(token_ids), 1), 1)
        parts = [
            self.scheme.score(token_ids, self._sub_keys[i : i + num])
            for i in range(0, len(self._sub_keys), num)
        ]
        return Scores(
            values=np.concatenate([part.values for part in parts]),
            is_scored=np.concatenate([part.is_scored for part in parts]),
            coins=np.concatenate([part.coins for part in parts]),
        )

    def _check(self, counts: Int64[np.ndarray, " k"]) -> None:
        num = int(counts.max())
        if num < self.least_scored:
            raise UndecidableTextError(
                f"cannot tell, because only {num} tokens of the text can say anything and"
                f" {self.least_scored} are needed; give a longer text or several replies"
            )

    def _rows(self, text: Text, key: int | None = None) -> list[int]:
        """Return the sub-keys that a text may have, of one key or of all."""
        each = self.scheme.num_sub_keys
        numbers = range(each) if text.sub_key is None else [text.sub_key % each]
        keys = range(len(self.keys)) if key is None else [key]
        return [k * each + number for k in keys for number in numbers]

    def _log_p(self, scores: Scores, row: int, text: Text) -> float:
        is_scored = scores.is_scored[row]
        values = scores.values[row, is_scored]
        if text.weights is None:
            return self.scheme.law.log_tail(float(values.sum()), len(values))
        weights = np.array(text.weights, np.float64)[is_scored]
        return weighted_log_tail(self.scheme.law, weights, float((weights * values).sum()))

    def _pooled(self, each: Sequence[Scores], texts: Sequence[Text], key: int) -> float:
        rows = [self._rows(text, key) for text in texts]
        if all(len(tried) == 1 for tried in rows):
            return self._summed(each, texts, [tried[0] for tried in rows])
        log_ps = []
        for scores, text, tried in zip(each, texts, rows, strict=True):
            if scores.counts().max(initial=0):
                best = min(self._log_p(scores, row, text) for row in tried)
                log_ps.append(best_of(best, len(tried)))
        return fisher_log(log_ps)

    def _summed(self, each: Sequence[Scores], texts: Sequence[Text], rows: Sequence[int]) -> float:
        values, weights = [], []
        for scores, text, row in zip(each, texts, rows, strict=True):
            is_scored = scores.is_scored[row]
            values.append(scores.values[row, is_scored])
            known = np.ones(len(is_scored)) if text.weights is None else np.array(text.weights)
            weights.append(known[is_scored])
        x, w = np.concatenate(values), np.concatenate(weights)
        if all(text.weights is None for text in texts):
            return self.scheme.law.log_tail(float(x.sum()), len(x))
        return weighted_log_tail(self.scheme.law, w, float((w * x).sum()))

    def _detection(
        self,
        scores: Scores,
        rows: Sequence[int],
        log_ps: Sequence[float],
        start: int = 0,
        stop: int | None = None,
    ) -> Detection:
        best = int(np.argmin(log_ps))
        row, part = rows[best], slice(start, stop)
        is_scored = scores.is_scored[row]
        total = float(scores.values[row, part][is_scored[part]].sum())
        num = int(is_scored[part].sum())
        law = self.scheme.law
        return Detection(
            scheme=self.scheme.label,
            key=self.keys[row // self.scheme.num_sub_keys].name,
            sub_key=row % self.scheme.num_sub_keys,
            log_p_value=best_of(log_ps[best], len(rows)),
            num_tests=len(rows),
            num_scored=num,
            total=total,
            mean=law.mean,
            z_score=z_score(law, total, num),
            values=tuple(scores.values[row].tolist()),
            is_scored=tuple(is_scored.tolist()),
            start=start,
            stop=len(is_scored) if stop is None else stop,
        )
