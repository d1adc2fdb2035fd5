import numpy as np
import pytest
from scipy.special import log_softmax

from llm.decoding.account import Account
from llm.decoding.phases import RawLogits
from llm.decoding.truncate import truncate
from llm.sampling_params import SamplingParams

V = 23


def test_the_three_kinds_are_those_of_the_definitions(rng: np.random.Generator) -> None:
    z = (rng.normal(size=V) * 3).astype(np.float32)
    z[[2, 19]] = -np.inf
    allowed = rng.random(V) < 0.6
    allowed[4] = True
    narrowed = np.where(allowed, z, -np.inf).astype(np.float32)
    params = SamplingParams(temperature=0.7, top_k=4, logprobs_mode="final")
    survivors = truncate(narrowed, params)
    token = int(survivors.token_ids[1])
    account = Account(RawLogits(z))
    told = account.of(token, allowed=allowed, survivors=survivors, mode="final", num_top=3)
    raw = log_softmax(z.astype(np.float64))
    assert told.raw == pytest.approx(raw[token], abs=1e-9)
    feasible = log_softmax(narrowed.astype(np.float64))
    assert told.feasible == pytest.approx(feasible[token], abs=1e-9)
    final = log_softmax(survivors.log_probs)
    assert told.final == told.log_prob == pytest.approx(final[1], abs=1e-9)
    assert [v for v, _ in told.top] == survivors.token_ids[:3].tolist()
    p = np.exp(raw[np.isfinite(raw)])
    assert told.entropy == pytest.approx(-(p * np.log(p)).sum(), abs=1e-9)
    for mode, expected in (("raw", raw), ("feasible", feasible)):
        told = account.of(
            token,
            allowed=allowed,
            survivors=None,
            mode=mode,  # type: ignore[arg-type]
            num_top=5,
        )
        assert told.final is None
        assert told.log_prob == pytest.approx(expected[token], abs=1e-9)
        best = np.argsort(-expected, kind="stable")[:5]
        assert [v for v, _ in told.top] == best.tolist()
        assert [x for _, x in told.top] == pytest.approx(expected[best].tolist(), abs=1e-9)


def test_equal_tokens_are_listed_by_their_ids_and_impossible_ones_not_at_all() -> None:
    z = np.array([1.0, 2.0, 2.0, 1.0, -np.inf], np.float32)
    account = Account(RawLogits(z))

    def top(count: int) -> list[int]:
        told = account.of(1, allowed=None, survivors=None, mode="raw", num_top=count)
        return [v for v, _ in told.top]

    assert top(0) == []
    assert top(3) == [1, 2, 0]
    assert top(5) == top(20) == [1, 2, 0, 3]


def test_the_account_keeps_the_row_as_it_was() -> None:
    z = np.array([1.0, 2.0, 0.0], np.float32)
    account = Account(RawLogits(z))
    z[:] = -np.inf
    told = account.of(1, allowed=None, survivors=None, mode="raw", num_top=1)
    assert told.top == ((1, told.raw),)
