import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm.decoding.draw import draw
from llm.decoding.phases import Survivors
from llm.decoding.speculative import AdaptiveLength, acceptance, residual, verify
from llm.philox import Purpose, uniforms

V = 5
weights = st.lists(st.integers(0, 1000), min_size=V, max_size=V).filter(any)


def distribution(counts: list[int]) -> Survivors:
    """Tokens of some weight, most probable first; not normalised, as after truncation."""
    order = sorted((v for v in range(len(counts)) if counts[v]), key=lambda v: (-counts[v], v))
    logs = [math.log(counts[v]) - 9 for v in order]
    return Survivors(token_ids=np.array(order, np.int64), log_probs=np.array(logs))


def dense(survivors: Survivors) -> np.ndarray:
    p = np.zeros(V)
    p[survivors.token_ids] = np.exp(survivors.log_probs)
    p /= p.sum()
    return p


def outcome(p: Survivors, q: Survivors | None, drafted: int) -> np.ndarray:
    """The distribution of what comes once this token was drafted."""
    stays = acceptance(p, drafted, q=q)
    ids, left = residual(p, drafted, q=q)
    result = np.zeros(V)
    result[ids] = (1 - stays) * left / left.sum()
    result[drafted] += stays
    return result


@given(weights, weights)
def test_what_comes_is_distributed_as_p(p_counts: list[int], q_counts: list[int]) -> None:
    """T16: all drafts enumerated, sum over x of q(x) times the outcome of x is p."""
    p, q = distribution(p_counts), distribution(q_counts)
    given_q = dense(q)
    total = sum(given_q[x] * outcome(p, q, x) for x in q.token_ids.tolist())
    assert 0.5 * np.abs(total - dense(p)).sum() <= 1e-12


@given(weights, weights)
def test_accepted_and_replaced_add_up_to_p(p_counts: list[int], q_counts: list[int]) -> None:
    """T16: min(p, q) + P(rejected) * residual = p."""
    p, q = distribution(p_counts), distribution(q_counts)
    least = np.minimum(dense(p), dense(q))
    stays = np.array(
        [dense(q)[x] * acceptance(p, x, q=q) if x in q.token_ids else 0.0 for x in range(V)]
    )
    assert np.abs(stays - least).max() <= 1e-12
    if least.sum() < 1 - 1e-9:
        ids, left = residual(p, int(q.token_ids[0]), q=q)
        rest = np.zeros(V)
        rest[ids] = left / left.sum()
        assert 0.5 * np.abs(least + (1 - least.sum()) * rest - dense(p)).sum() <= 1e-6


@given(weights, st.integers(0, V - 1))
def test_a_certain_draft_leaves_p_as_it_is(p_counts: list[int], drafted: int) -> None:
    """The q of a drafter that draws nothing is one-hot."""
    p = distribution(p_counts)
    assert 0.5 * np.abs(outcome(p, None, drafted) - dense(p)).sum() <= 1e-12
    if dense(p)[drafted] < 1:
        assert drafted not in residual(p, drafted, q=None)[0]


@given(weights, st.integers(0, V - 1))
def test_no_q_is_a_q_of_one_token(p_counts: list[int], drafted: int) -> None:
    p = distribution(p_counts)
    one_hot = Survivors(token_ids=np.array([drafted]), log_probs=np.zeros(1))
    assert acceptance(p, drafted, q=None) == acceptance(p, drafted, q=one_hot)
    for position in range(5):
        assert verify(p, drafted, q=None, seed=3, position=position) == verify(
            p, drafted, q=one_hot, seed=3, position=position
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p_counts", "q_counts"),
    [
        ([50, 30, 15, 5, 0], [20, 20, 20, 20, 20]),
        ([1, 2, 3, 4, 5], [90, 5, 5, 0, 0]),
        ([10, 0, 0, 10, 80], [0, 50, 50, 0, 0]),  # they share no token
        ([7, 7, 7, 7, 7], [7, 7, 7, 7, 7]),
    ],
)
def test_seeded_verdicts_follow_p(p_counts: list[int], q_counts: list[int]) -> None:
    p, q = distribution(p_counts), distribution(q_counts)
    counts = np.zeros(V)
    stayed = 0
    n = 2000
    for position in range(n):
        drafted = draw(q.token_ids, q.log_probs, seed=11, position=position)
        verdict = verify(p, drafted, q=q, seed=11, position=position)
        assert not verdict.accepted or verdict.token == drafted
        counts[verdict.token] += 1
        stayed += verdict.accepted
    wanted = dense(p)
    assert not counts[wanted == 0].any()
    assert stats.chisquare(counts[wanted > 0], n * wanted[wanted > 0]).pvalue > 1e-4
    overlap = float(np.minimum(wanted, dense(q)).sum())
    assert abs(stayed / n - overlap) <= 4 * math.sqrt(overlap * (1 - overlap) / n)


def test_seeded_verdicts_on_certain_drafts_follow_p() -> None:
    p = distribution([50, 30, 15, 5, 0])
    counts = np.zeros(V)
    for position in range(2000):
        counts[verify(p, 1, q=None, seed=2, position=position, stream=3).token] += 1
    assert stats.chisquare(counts[:4], 2000 * dense(p)[:4]).pvalue > 1e-4
    assert counts[4] == 0


def test_a_wrong_q_is_noticed_by_these_tests() -> None:
    """Drafts that were not drawn from the q that is told give another distribution."""
    p, q = distribution([50, 30, 15, 5, 1]), distribution([5, 5, 5, 5, 80])
    drawn_from = dense(distribution([20, 20, 20, 20, 20]))
    total = sum(drawn_from[x] * outcome(p, q, x) for x in range(V))
    assert 0.5 * np.abs(total - dense(p)).sum() > 0.05


def test_the_noise_of_a_verdict_is_not_that_of_a_draw() -> None:
    """Acceptance and residual have noise of their own, by seed, position, stream and token."""
    p = distribution([50, 30, 15, 5, 3])
    x = np.array([2])
    for position in range(200):
        coin = uniforms(x, seed=9, position=position, stream=4, purpose=Purpose.ACCEPTANCE)[0]
        verdict = verify(p, 2, q=None, seed=9, position=position, stream=4)
        assert verdict.accepted == (coin < acceptance(p, 2, q=None))
        if not verdict.accepted:
            ids, left = residual(p, 2, q=None)
            u = uniforms(ids, seed=9, position=position, stream=4, purpose=Purpose.RESIDUAL)
            assert verdict.token == ids[np.argmax(np.log(left) - np.log(-np.log(u)))]


def test_verdicts_are_pinned() -> None:
    """Not a bit of what leads to them depends on the machine."""
    p, q = distribution([50, 30, 15, 5, 2]), distribution([1, 1, 1, 1, 1])
    verdicts = [verify(p, i % V, q=q, seed=2**40 + 7, position=i, stream=1) for i in range(10)]
    assert [v.token for v in verdicts] == [0, 1, 2, 0, 0, 0, 1, 1, 0, 0]
    assert [v.accepted for v in verdicts] == [v.token == i % V for i, v in enumerate(verdicts)]


def test_a_token_that_p_does_not_hold_never_stays() -> None:
    p = distribution([1, 1, 0, 0, 0])
    assert not any(verify(p, 3, q=None, seed=1, position=i).accepted for i in range(50))


def test_a_draft_that_q_does_not_hold_is_refused() -> None:
    p = distribution([1, 1, 0, 0, 0])
    with pytest.raises(ValueError, match="no probability in q"):
        verify(p, 0, q=distribution([0, 1, 0, 0, 0]), seed=1, position=0)


def shared_noise_rate(p: np.ndarray, q: np.ndarray) -> float:
    """How often two draws with the same noise agree."""
    both = [k for k in range(len(p)) if p[k] > 0 and q[k] > 0]
    return float(sum(1 / np.maximum(p / p[k], q / q[k]).sum() for k in both))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p_counts", "q_counts"),
    [
        ([50, 30, 15, 5, 3], [45, 32, 14, 8, 2]),
        ([50, 30, 15, 5, 3], [20, 30, 30, 10, 10]),
        ([80, 10, 5, 5, 0], [5, 5, 5, 10, 75]),
    ],
)
def test_drafts_with_the_same_noise_agree_as_often_as_computed(
    p_counts: list[int], q_counts: list[int]
) -> None:
    p, q = distribution(p_counts), distribution(q_counts)
    n = 2500
    agreed = sum(
        draw(p.token_ids, p.log_probs, seed=5, position=i)
        == draw(q.token_ids, q.log_probs, seed=5, position=i)
        for i in range(n)
    )
    rate = shared_noise_rate(dense(p), dense(q))
    distance = 0.5 * float(np.abs(dense(p) - dense(q)).sum())
    assert abs(agreed / n - rate) <= 4 * math.sqrt(rate * (1 - rate) / n)
    assert (1 - distance) / (1 + distance) - 1e-12 <= rate <= 1 - distance + 1e-12


def tokens_per_cost(rate: float, cost: float, drafted: int) -> float:
    return sum(rate**i for i in range(drafted + 1)) / (1 + cost * drafted)


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), max_size=30),
    st.floats(0, 2),
    st.integers(1, 32),
)
def test_the_length_gives_most_tokens_per_cost(
    noted: list[tuple[int, int]], cost: float, most: int
) -> None:
    length = AdaptiveLength(row_cost=cost)
    for drafted, accepted in noted:
        length.note(drafted, min(drafted, accepted))
    chosen = length.next_length(most)
    best = max(tokens_per_cost(length.rate, cost, k) for k in range(most + 1))
    assert 0 <= chosen <= most
    assert tokens_per_cost(length.rate, cost, chosen) == pytest.approx(best, rel=1e-9)


def test_good_drafts_grow_and_bad_ones_shrink() -> None:
    good, bad = AdaptiveLength(), AdaptiveLength()
    start = good.next_length(32)
    for _ in range(40):
        good.note(8, 8)
        bad.note(8, 0)
    assert bad.next_length(32) == 0 < start < good.next_length(32) == 32


def test_dear_rows_are_not_drafted() -> None:
    length = AdaptiveLength()
    assert length.next_length(8, row_cost=0.9) == 0 < length.next_length(8)


def test_a_drafter_without_luck_is_asked_again_later_and_later() -> None:
    length = AdaptiveLength()
    for _ in range(60):
        length.note(8, 0)
    asked = []
    for step in range(600):
        drafted = length.next_length(8)
        assert drafted in (0, 1)
        if drafted:
            asked.append(step)
            length.note(drafted, 0)
    gaps = np.diff(asked).tolist()
    assert len(asked) >= 8
    assert gaps == sorted(gaps)
    assert gaps[-1] == 65


def test_one_hit_brings_drafts_back() -> None:
    length = AdaptiveLength()
    for _ in range(60):
        length.note(8, 0)
    while not length.next_length(8):
        pass
    length.note(1, 1)
    assert length.next_length(8) >= 1


def test_lengths_are_a_function_of_what_was_noted_and_copies_part() -> None:
    def run(length: AdaptiveLength, steps: range) -> list[int]:
        lengths = []
        for i in steps:
            lengths.append(length.next_length(8))
            length.note(lengths[-1], (i * i) % (lengths[-1] + 1) if i % 3 else 0)
        return lengths

    assert run(AdaptiveLength(), range(80)) == run(AdaptiveLength(), range(80))
    length = AdaptiveLength()
    run(length, range(40))
    copy = length.fork()
    assert run(copy, range(40, 80)) == run(length, range(40, 80))


def test_nothing_drafted_says_nothing() -> None:
    length = AdaptiveLength()
    rate = length.rate
    length.note(0, 0)
    assert length.rate == rate
    assert length.next_length(0) == 0


@pytest.mark.parametrize("cost", [-0.1, math.inf, math.nan])
def test_a_cost_that_is_none_is_refused(cost: float) -> None:
    with pytest.raises(ValueError, match="cost of a row"):
        AdaptiveLength(row_cost=cost)
