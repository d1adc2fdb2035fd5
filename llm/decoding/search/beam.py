"""Beam search: length penalty, diverse groups, stochastic beams.

Pure: it is told what may follow its live hypotheses and says which continuations live on.
Letters: k candidate tokens of one hypothesis, n of several.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import Float64, Int64

from llm.decoding.elementary import log
from llm.decoding.search.branches import (
    Candidates,
    Child,
    Ended,
    Expansion,
    Finished,
    Hypothesis,
    Reason,
)
from llm.decoding.spec import Search
from llm.philox import Purpose, uniforms

_WHOLE = ("stop", "length")


class _Choice(NamedTuple):
    """A continuation: the `at`-th candidate of a live hypothesis, and what it is worth choosing."""

    row: int
    at: int
    location: float
    worth: float


class _Pool:
    """The best `width` finished texts of one group, best first."""

    def __init__(self, search: Search, *, width: int, max_tokens: int, stochastic: bool) -> None:
        self.texts: list[Finished] = []
        self._alpha = search.length_penalty
        self._width = width
        self._max_tokens = max_tokens
        self._stochastic = stochastic

    def score(self, log_prob: float, num_tokens: int) -> float:
        """Return a log-probability after the length penalty."""
        return log_prob / float(((5 + num_tokens) / 6) ** self._alpha)

    def key(self, text: Finished) -> tuple[bool, float]:
        """Return what texts are ordered by, the best first; equal ones keep their order."""
        worth = text.perturbed if self._stochastic else text.score
        return text.reason not in _WHOLE, -worth

    def holds(self, token_ids: tuple[int, ...]) -> bool:
        """Whether a text has finished, by whatever end token."""
        return any(text.token_ids == token_ids for text in self.texts)

    def add(self, hypothesis: Hypothesis, reason: Reason) -> Finished:
        """Finish a hypothesis, whether or not it is good enough to be kept."""
        finished = Finished(
            token_ids=hypothesis.token_ids,
            log_prob=hypothesis.log_prob,
            score=self.score(hypothesis.log_prob, len(hypothesis.token_ids)),
            reason=reason,
            group=hypothesis.group,
            perturbed=hypothesis.perturbed,
        )
        self.texts = sorted([*self.texts, finished], key=self.key)[: self._width]
        return finished

    def can_take(self, hypothesis: Hypothesis) -> bool:
        """Whether some continuation of a live hypothesis may still be among the best.

        Log-probabilities only fall and the longest text is divided by most, so no continuation
        scores above the hypothesis' own log-probability at `max_tokens` tokens; Gumbels only fall
        too. A tie goes to what finished earlier.
        """
        if len(self.texts) < self._width:
            return True
        bound = hypothesis.perturbed
        if not self._stochastic:
            bound = self.score(min(hypothesis.log_prob, 0.0), self._max_tokens)
        return (False, -bound) < self.key(self.texts[-1])


class BeamSearch:
    """The `width` best hypotheses, step by step; `live` are those to be scored next, in order.

    In each step the `width` best continuations are chosen; those that end make room in the next
    step. So width 1 is greedy decoding, and a width that holds every continuation is exhaustive.
    Ties go to the lower parent, then to the lower token id. With groups, each holds width / groups
    hypotheses of its own, and a token that earlier groups chose n times in this step counts n x
    diversity nats less in choosing (arXiv 1610.02424), never in `log_prob`.

    `stochastic` chooses by Gumbel-top-k over whole texts instead (arXiv 1903.06059): texts are
    drawn without replacement, the first like an ordinary sample, and `best` has the order drawn.
    The noise is a function of `seed` and of the tokens. `early_stop=False` keeps hypotheses that
    can no longer win.
    """

    def __init__(
        self,
        search: Search,
        *,
        max_tokens: int,
        eos_ids: Collection[int],
        stochastic: bool = False,
        seed: int = 0,
        early_stop: bool = True,
    ) -> None:
        if max_tokens < 1:
            raise ValueError(f"max_tokens of a beam must be at least 1, got {max_tokens}")
        if stochastic and search.groups > 1:
            raise ValueError(
                f"a stochastic beam has no groups, got {search.groups}; leave them out"
            )
        self._diversity = search.diversity
        self._max_tokens = max_tokens
        self._eos_ids = frozenset(eos_ids)
        self._width = search.width // search.groups
        self._seed = seed if stochastic else None
        self._early_stop = early_stop
        self._pools = [
            _Pool(search, width=self._width, max_tokens=max_tokens, stochastic=stochastic)
            for _ in range(search.groups)
        ]
        # every group starts from the one empty text
        self._rows: list[list[int]] = [[0] for _ in self._pools]
        self._live = [Hypothesis()]

    @property
    def live(self) -> tuple[Hypothesis, ...]:
        """The hypotheses to be scored next, in order; at first the empty text alone."""
        return tuple(self._live)

    @property
    def done(self) -> bool:
        """Whether nothing is live: all ended, or none can beat what has."""
        return not self._live

    def expand(self, candidates: Sequence[Candidates]) -> Expansion:
        """Continue the live hypotheses, given what may follow each of them.

        A hypothesis that nothing may follow dies without finishing.
        """
        if len(candidates) != len(self._live):
            raise ValueError(
                f"there are {len(self._live)} live hypotheses, got candidates for {len(candidates)}"
            )
        chosen: dict[int, int] = {}  # how often earlier groups took a token
        children: list[tuple[Child, Hypothesis]] = []
        ended: list[Ended] = []
        for group in range(len(self._pools)):
            lived, finished = self._expand_group(group, candidates, chosen)
            children += lived
            ended += finished
        self._set_live([hypothesis for _, hypothesis in children])
        return Expansion(children=tuple(child for child, _ in children), ended=tuple(ended))

    def end(self, indices: Collection[int], reason: Reason = "stop") -> tuple[int, ...]:
        """End live hypotheses as they are (a stop string, a cancel).

        Returns:
            the indices, as they were, of those that live on, in order; a hypothesis that cannot
            beat what has now finished is no longer among them.
        """
        for index in sorted(set(indices)):
            hypothesis = self._live[index]
            self._pools[hypothesis.group].add(hypothesis, reason)
        kept = [
            i for i, live in enumerate(self._live) if i not in indices and self._can_still_win(live)
        ]
        self._set_live([self._live[i] for i in kept])
        return tuple(kept)

    def best(self) -> list[Finished]:
        """Return the finished hypotheses, best first, each text once; those of all groups."""
        ranked = sorted(
            (text for pool in self._pools for text in pool.texts), key=self._pools[0].key
        )
        seen: dict[tuple[int, ...], Finished] = {}
        for text in ranked:
            seen.setdefault(text.token_ids, text)
        return list(seen.values())

    def _set_live(self, live: list[Hypothesis]) -> None:
        self._live = live
        self._rows = [
            [i for i, hypothesis in enumerate(live) if hypothesis.group == group]
            for group in range(len(self._pools))
        ]

    def _can_still_win(self, hypothesis: Hypothesis) -> bool:
        return not self._early_stop or self._pools[hypothesis.group].can_take(hypothesis)

    def _expand_group(
        self, group: int, candidates: Sequence[Candidates], chosen: dict[int, int]
    ) -> tuple[list[tuple[Child, Hypothesis]], list[Ended]]:
        """Choose the continuations of one group; counts its words in `chosen`."""
        pool = self._pools[group]
        lived: list[tuple[Child, Hypothesis]] = []
        ended: list[Ended] = []
        taken: list[int] = []
        for row, at, location, worth in self._ranked(self._rows[group], candidates, chosen):
            if len(lived) + len(ended) == self._width:
                break
            follow, parent = candidates[row], self._live[row]
            token = int(follow.token_ids[at])
            is_eos = token in self._eos_ids
            hypothesis = Hypothesis(
                token_ids=parent.token_ids if is_eos else (*parent.token_ids, token),
                log_prob=parent.log_prob + float(follow.log_probs[at]),
                group=group,
                perturbed=0.0 if self._seed is None else worth,
                location=location,
            )
            if is_eos and pool.holds(hypothesis.token_ids):
                continue  # the same text by another end token
            if is_eos or follow.is_final[at]:
                ended.append(Ended(parent=row, finished=pool.add(hypothesis, "stop")))
            elif len(hypothesis.token_ids) == self._max_tokens:
                ended.append(Ended(parent=row, finished=pool.add(hypothesis, "length")))
            else:
                child = Child(parent=row, token=token, log_prob=hypothesis.log_prob)
                lived.append((child, hypothesis))
            if not is_eos:  # to end is nobody's choice of words
                taken.append(token)
        for token in taken:
            chosen[token] = chosen.get(token, 0) + 1
        return [pair for pair in lived if self._can_still_win(pair[1])], ended

    def _ranked(
        self, rows: Sequence[int], candidates: Sequence[Candidates], chosen: dict[int, int]
    ) -> Iterator[_Choice]:
        """Yield continuations of some live hypotheses, the best to choose first."""
        if not rows:
            return
        worths, locations = [], []
        for row in rows:
            follow, parent = candidates[row], self._live[row]
            location = parent.location + follow.log_probs
            if self._seed is not None and len(location):
                location -= np.logaddexp.reduce(follow.log_probs)
                worth = perturb(parent, location, follow.token_ids, seed=self._seed)
            else:
                worth = location - self._penalties(follow.token_ids, chosen)
            locations.append(location)
            worths.append(worth)
        worth = np.concatenate(worths)
        parents = np.repeat(rows, [len(w) for w in worths])
        tokens = np.concatenate([candidates[row].token_ids for row in rows])
        best = np.arange(len(worth))
        room = self._width + len(self._eos_ids) * len(rows)  # end tokens may be passed over
        if room < len(worth):  # a stochastic beam may look at whole vocabularies
            best = np.flatnonzero(worth >= np.partition(worth, -room)[-room])
        best = best[np.lexsort((tokens[best], parents[best], -worth[best]))]
        starts = dict(zip(rows, np.cumsum([0, *map(len, worths[:-1])]), strict=True))
        location = np.concatenate(locations)
        for i in best.tolist():
            row = int(parents[i])
            at = i - int(starts[row])
            yield _Choice(row, at, float(location[i]), float(worth[i]))

    def _penalties(
        self, token_ids: Int64[np.ndarray, " k"], chosen: dict[int, int]
    ) -> Float64[np.ndarray, " k"]:
        """Return what choosing each token costs because earlier groups chose it."""
        if not chosen:
            return np.zeros(len(token_ids))
        return self._diversity * np.array([chosen.get(token, 0) for token in token_ids.tolist()])


def perturb(
    parent: Hypothesis,
    locations: Float64[np.ndarray, " k"],
    token_ids: Int64[np.ndarray, " k"],
    *,
    seed: int,
) -> Float64[np.ndarray, " k"]:
    """Return a Gumbel for each continuation, at its location, their greatest being the parent's.

    So the Gumbels of whole texts are what they would be if each had been drawn by itself (arXiv
    1903.06059, appendix B.3). The parent's text selects the stream, its length the position.
    """
    stream = crc32(np.array(parent.token_ids, "<i8").tobytes())
    u = uniforms(
        token_ids,
        seed=seed,
        position=len(parent.token_ids),
        stream=stream,
        purpose=Purpose.SEARCH,
    )
    free = locations - log(-log(u))
    with np.errstate(divide="ignore"):  # the greatest: log of 0
        v = parent.perturbed - free + np.log1p(-np.exp(free - free.max()))
    return parent.perturbed - np.maximum(v, 0.0) - np.log1p(np.exp(-np.abs(v)))
