import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats

from llm.decoding.draft_model import DraftModel, DraftNoise, NextLogits
from llm.decoding.drafters import CombinedDrafter, PredictedOutput, PromptLookup
from llm.decoding.draw import draw
from llm.decoding.phases import Drafter, Survivors
from llm.decoding.speculative import verify
from llm.decoding.truncate import truncate
from llm.kv_cache import KVCache
from llm.model import LlamaModel
from llm.sampling_params import SamplingParams
from tests.llm.tiny_model import tiny_decoder

V = 3
SAMPLED = SamplingParams(temperature=1.0)


class Table:
    """A model whose distribution depends on the last token."""

    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        self.logits = np.log(np.array(rows, np.float32))

    def next_logits(self, token_ids: Sequence[int]) -> np.ndarray:
        row: np.ndarray = self.logits[token_ids[-1]]
        return row

    def fork(self) -> "Table":
        return self


LARGE = Table([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]])
SMALL = Table([[0.4, 0.4, 0.2], [0.3, 0.3, 0.4], [0.3, 0.4, 0.3]])


class CachedModel:
    """A decoder that keeps what it computed of the common beginning."""

    def __init__(self, model: LlamaModel) -> None:
        self.model = model
        self.held: list[int] = []
        self.cache: KVCache = model.new_cache()
        self.computed = 0

    def next_logits(self, token_ids: Sequence[int]) -> np.ndarray:
        pairs = zip(self.held, token_ids, strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        start = min(same, len(token_ids) - 1)
        self.cache.truncate(start)
        self.held = list(token_ids)
        self.computed += len(token_ids) - start
        with torch.inference_mode():
            fresh = torch.tensor([self.held[start:]])
            logits = self.model(fresh, self.cache, last_only=True)[0, 0].numpy()
        assert isinstance(logits, np.ndarray)
        return logits

    def fork(self) -> "CachedModel":
        return CachedModel(self.model)


def noise(seed: int, params: SamplingParams = SAMPLED, **changes: int) -> DraftNoise:
    return DraftNoise(params=params, seed=seed, **changes)


def drawn(model: NextLogits, text: Sequence[int], params: SamplingParams, seed: int) -> int:
    p = truncate(model.next_logits(text), params)
    return draw(p.token_ids, p.log_probs, seed=seed, position=len(text))


def plain(
    model: NextLogits, prompt: list[int], count: int, params: SamplingParams, seed: int
) -> list[int]:
    text = list(prompt)
    while len(text) < len(prompt) + count:
        text.append(drawn(model, text, params, seed))
    return text[len(prompt) :]


def rejecting_step(model: NextLogits, drafter: DraftModel, text: list[int], seed: int) -> None:
    """One step of rejection sampling: some drafted tokens and one more."""
    draft = drafter.propose(2)
    for x, q in zip(draft, list(drafter.distributions), strict=True):
        p = truncate(model.next_logits(text), SAMPLED)
        verdict = verify(p, x, q=q, seed=seed, position=len(text))
        text.append(verdict.token)
        drafter.take(verdict.token)
        if not verdict.accepted:
            return
    text.append(drawn(model, text, SAMPLED, seed))
    drafter.take(text[-1])


def test_texts_written_by_rejection_are_distributed_as_without() -> None:
    """The law of whole texts: drafts, replacements and bonus tokens follow one another."""
    n = 600
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(n):
        text = [0]
        drafter = DraftModel(SMALL, text, noise(seed))
        while len(text) < 4:
            rejecting_step(LARGE, drafter, text, seed)
        counts[tuple(text[1:4])] = counts.get(tuple(text[1:4]), 0) + 1
    p = np.exp(LARGE.logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    texts = list(itertools.product(range(V), repeat=3))
    wanted = np.array([n * p[0, a] * p[a, b] * p[b, c] for a, b, c in texts])
    observed = np.array([counts.get(text, 0) for text in texts])
    rare = wanted < 6
    assert (
        stats.chisquare(
            [*observed[~rare], observed[rare].sum()], [*wanted[~rare], wanted[rare].sum()]
        ).pvalue
        > 1e-4
    )


def exactly(
    model: NextLogits, drafter: Drafter, prompt: list[int], count: int, seed: int
) -> tuple[list[int], int]:
    """The text by exact verification, and how many forwards of several rows it took."""
    text, steps = list(prompt), 0
    while len(text) < len(prompt) + count:
        steps += 1
        for x in [*drafter.propose(5), None]:
            token = drawn(model, text, SAMPLED, seed)
            text.append(token)
            drafter.take(token)
            if token != x:
                break
    return text[len(prompt) : len(prompt) + count], steps


def drafters(prompt: list[int], seed: int) -> dict[str, Drafter]:
    model = DraftModel(SMALL, prompt, noise(seed))
    lookup = PromptLookup(prompt)
    prediction = PredictedOutput(plain(LARGE, prompt, 40, SAMPLED, seed))
    both = CombinedDrafter({"prediction": prediction.fork(), "prompt": lookup.fork()})
    return {"model": model, "prompt": lookup, "prediction": prediction, "both": both}


@pytest.mark.parametrize("name", ["model", "prompt", "prediction", "both"])
def test_a_text_written_by_exact_verification_is_that_without_drafts(name: str) -> None:
    for seed in range(6):
        prompt = [0, 1, 2, 1, 2, 0]
        text, steps = exactly(LARGE, drafters(prompt, seed)[name], prompt, 40, seed)
        assert text == plain(LARGE, prompt, 40, SAMPLED, seed)
        assert steps < 40
        if name == "prediction":
            assert steps == math.ceil(40 / 6)


def test_a_small_model_with_the_same_noise_agrees_as_often_as_computed() -> None:
    p, q = np.exp(LARGE.logits[0]), np.exp(SMALL.logits[0])
    n = 800
    agreed = sum(
        DraftModel(SMALL, [0], noise(seed)).propose(1) == [drawn(LARGE, [0], SAMPLED, seed)]
        for seed in range(n)
    )
    rate = sum(1 / np.maximum(p / p[k], q / q[k]).sum() for k in range(V))
    distance = 0.5 * np.abs(p - q).sum()
    assert abs(agreed / n - rate) <= 4 * math.sqrt(rate * (1 - rate) / n)
    assert agreed / n > (1 - distance) / (1 + distance) - 0.04


@pytest.mark.parametrize("params", [SAMPLED, SamplingParams(temperature=0.7, top_p=0.8)])
def test_a_model_drafts_its_own_text_for_itself(params: SamplingParams) -> None:
    """With the same temperature, cuts and noise every token is the one that would be drawn."""
    model = tiny_decoder().model
    assert isinstance(model, LlamaModel)
    prompt = [5, 17, 3, 99]
    drafter = DraftModel(CachedModel(model), prompt, noise(8, params, num_candidates=300))
    expected = plain(CachedModel(model), prompt, 12, params, 8)
    assert drafter.propose(12) == expected
    for token in expected[:5]:
        drafter.take(token)
    assert drafter.propose(7) == expected[5:]
    assert drafter.fork().propose(7) == expected[5:]


def test_greedy_drafts_are_greedy() -> None:
    drafter = DraftModel(LARGE, [0], noise(1, SamplingParams()))
    assert drafter.propose(4) == [0, 0, 0, 0]


def test_a_decoder_computes_no_token_twice() -> None:
    model = tiny_decoder().model
    assert isinstance(model, LlamaModel)
    small = CachedModel(model)
    assert isinstance(small, NextLogits)
    drafter = DraftModel(small, list(range(40)), noise(8))
    draft = drafter.propose(4)
    assert small.computed == 40 + 3
    for token in [*draft, 7]:  # all accepted, and the bonus token
        drafter.take(token)
    drafter.propose(4)
    assert small.computed == 40 + 3 + 2 + 3


def test_what_a_token_was_drawn_from_is_told() -> None:
    drafter = DraftModel(SMALL, [0], noise(4))
    draft = drafter.propose(3)
    for before, q in zip([0, *draft], drafter.distributions, strict=False):
        expected = truncate(SMALL.logits[before], SAMPLED)
        assert isinstance(q, Survivors)
        assert q.token_ids.tolist() == expected.token_ids.tolist()
        assert q.log_probs.tolist() == expected.log_probs.tolist()
    assert len(drafter.distributions) == 3


def test_only_the_highest_logits_are_drawn_from() -> None:
    logits = np.array([[0.1, 3.0, 2.0, 0.1, 4.0, 2.0]] * 6)
    wide = Table(np.exp(logits).tolist())
    drafter = DraftModel(wide, [0], noise(4, num_candidates=3))
    drafter.propose(1)
    (q,) = drafter.distributions
    assert q.token_ids.tolist()[:2] == [4, 1]
    assert len(q.token_ids) == 3
    assert np.exp(q.log_probs).sum() == pytest.approx(1)


def test_a_fork_draws_with_the_noise_of_its_branch() -> None:
    drafter = DraftModel(SMALL, [0], noise(4))
    assert drafter.fork().propose(20) == drafter.propose(20)
    assert drafter.fork(stream=2).propose(20) != drafter.propose(20)
    assert drafter.fork(stream=2).propose(20) == DraftModel(SMALL, [0], noise(4, stream=2)).propose(
        20
    )


def test_a_damaged_model_ends_its_draft() -> None:
    damaged = Table([[0.5, 0.25, 0.25], [math.nan] * 3, [math.nan] * 3])
    drafter = DraftModel(damaged, [0], noise(4))
    draft = drafter.propose(50)
    assert len(draft) < 50
    assert len(drafter.distributions) == len(draft)


@pytest.mark.parametrize("bad", [{"seed": 2**64}, {"stream": -1}, {"num_candidates": 0}])
def test_noise_that_is_none_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"draft|stream"):
        DraftNoise(params=SAMPLED, **{"seed": 1, **bad})
