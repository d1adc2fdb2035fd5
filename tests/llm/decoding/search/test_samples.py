import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.search.samples import (
    Sample,
    can_stop_early,
    ensemble,
    parse_answers,
    select,
    votes,
)
from llm.decoding.spec import Search, SearchMethod, UtilityName
from llm.decoding.utilities import UTILITIES

MBR = Search(method="mbr")
EXACT = Search(method="mbr", utility="exact")
CONSISTENT = Search(method="self_consistency")
NAMES = st.sampled_from(["exact", "token_f1", "chrf", "slot_f1"])
Drawn = tuple[str, float, float]
# samples are made of these within tests: a strategy must not meet the checks of the shape lane
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a b", "ab c", "c c a", '{"a": 1}', '{"a": 1, "b": 2}']),
        st.floats(-5, 0),
        st.sampled_from([0.5, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=8,
)


def made(drawn: list[Drawn]) -> list[Sample]:
    return [Sample(text=text, mean_log_prob=mean, weight=weight) for text, mean, weight in drawn]


def samples(*texts: str, mean_log_prob: float = 0.0, weight: float = 1.0) -> list[Sample]:
    return [Sample(text=text, mean_log_prob=mean_log_prob, weight=weight) for text in texts]


@pytest.mark.parametrize("method", ["best_of", "mbr", "self_consistency"])
def test_one_sample_is_the_best(method: SearchMethod) -> None:
    (ranked,) = select(Search(method=method), samples("text", mean_log_prob=-2.0))
    assert ranked.index == 0
    assert ranked.value == (-2.0 if method == "best_of" else 1.0)


@given(drawn=SAMPLES, name=NAMES, seed=st.integers(0, 100))
def test_the_order_of_the_samples_changes_neither_texts_nor_values(
    drawn: list[Drawn], name: UtilityName, seed: int
) -> None:
    pool = made(drawn)
    order = np.random.default_rng(seed).permutation(len(pool))
    shuffled = [pool[i] for i in order]
    for search in (Search(method="mbr", utility=name), Search(method="best_of")):
        ways = [(other, select(search, other)) for other in (pool, shuffled)]
        # among samples of equal value and log-probability the first may be another
        first, second = (
            (found[0].value, other[found[0].index].mean_log_prob) for other, found in ways
        )
        assert first == second
        values, others = (
            sorted((other[ranked.index].text, ranked.value) for ranked in found)
            for other, found in ways
        )
        assert values == others


@given(drawn=SAMPLES)
def test_the_utility_of_equality_is_the_majority(drawn: list[Drawn]) -> None:
    pool = made(drawn)
    assert select(EXACT, pool) == select(CONSISTENT, pool)
    heaviest = max(sum(s.weight for s in pool if s.text == text) for text in {s.text for s in pool})
    best = select(EXACT, pool)[0]
    assert sum(s.weight for s in pool if s.text == pool[best.index].text) == heaviest


@given(drawn=SAMPLES, name=NAMES, times=st.integers(2, 3))
def test_a_repeated_sample_weighs_as_often(
    drawn: list[Drawn], name: UtilityName, times: int
) -> None:
    """Whether a text comes several times or once with their weight makes no difference."""
    pool = made(drawn)
    search = Search(method="mbr", utility=name)
    first = pool[0]
    heavy = Sample(text=first.text, mean_log_prob=first.mean_log_prob, weight=times * first.weight)
    once = select(search, [heavy, *pool[1:]])
    often = select(search, [first] * times + pool[1:])
    assert once[0].value == pytest.approx(often[0].value, rel=1e-12)
    assert {r.index + times - 1 for r in once if r.index} == {
        r.index for r in often if r.index >= times
    }
    values = {r.index: r.value for r in often}
    for ranked in once:
        shifted = ranked.index + times - 1 if ranked.index else 0
        assert ranked.value == pytest.approx(values[shifted], rel=1e-12)


@given(drawn=SAMPLES, name=NAMES)
def test_values_are_mean_utilities(drawn: list[Drawn], name: UtilityName) -> None:
    pool = made(drawn)
    whole = sum(s.weight for s in pool)
    for ranked in select(Search(method="mbr", utility=name), pool):
        text = pool[ranked.index].text
        mean = sum(s.weight * UTILITIES[name](text, s.text) for s in pool) / whole
        assert ranked.value == pytest.approx(mean, rel=1e-12)


@given(drawn=SAMPLES, more=SAMPLES, name=NAMES)
def test_more_candidates_never_raise_the_risk(
    drawn: list[Drawn], more: list[Drawn], name: UtilityName
) -> None:
    """Against the same references: candidates of no weight are no references."""
    pool = made(drawn)
    search = Search(method="mbr", utility=name)
    mere = [Sample(text=sample.text, weight=0.0) for sample in made(more)]
    before, after = select(search, pool)[0], select(search, pool + mere)[0]
    assert after.value >= before.value - 1e-12


def test_best_of_takes_the_likeliest_or_what_a_scorer_likes() -> None:
    pool = [Sample(text="long text", mean_log_prob=-1.0), Sample(text="short", mean_log_prob=-0.5)]
    search = Search(method="best_of")
    assert [r.index for r in select(search, pool)] == [1, 0]
    ranked = select(search, pool, scorer=lambda sample: float(len(sample.text)))
    assert [(r.index, r.value) for r in ranked] == [(0, 9.0), (1, 5.0)]


def test_the_answer_of_most_wins_and_its_likeliest_text_is_taken() -> None:
    search = Search(method="self_consistency", answer_regex=r"is (\w+)")
    pool = [
        Sample(text="It is 7.", mean_log_prob=-0.1),
        Sample(text="Surely it is Forty, I think.", mean_log_prob=-0.9),
        Sample(text="The answer is forty", mean_log_prob=-0.5),
        Sample(text="  FORTY "),
    ]
    assert parse_answers(search, pool) == ["7", "forty", "forty", "forty"]
    ranked = select(search, pool)
    assert [r.index for r in ranked] == [3, 2, 1, 0]
    assert [r.value for r in ranked] == [0.75, 0.75, 0.75, 0.25]


def test_ties_of_votes_go_to_the_likelier_then_to_the_earlier() -> None:
    pool = [
        Sample(text="a", mean_log_prob=-2.0),
        Sample(text="b", mean_log_prob=-1.0),
        Sample(text="a", mean_log_prob=-3.0),
        Sample(text="b", mean_log_prob=-4.0),
    ]
    assert [r.index for r in select(CONSISTENT, pool)] == [1, 3, 0, 2]
    assert [r.index for r in select(CONSISTENT, samples("a", "b", "b", "a"))] == [0, 3, 1, 2]


def test_stopping_early_never_changes_the_winner() -> None:
    """Every vote of five samples over three answers, stopped wherever it may be."""
    stopped = 0
    for answers in itertools.product("abc", repeat=5):
        winner = select(CONSISTENT, samples(*answers))[0]
        for n in range(6):
            seen = answers[:n]
            if can_stop_early(votes(seen, samples(*seen)), 5.0 - n):
                stopped += n < 5
                assert answers[select(CONSISTENT, samples(*seen))[0].index] == answers[winner.index]
    assert stopped > 100
    assert can_stop_early({"a": 3.0}, 2.0)
    assert not can_stop_early({"a": 2.0}, 2.0)
    assert not can_stop_early({"a": 3.0, "b": 1.0}, 2.0)
    assert can_stop_early({"a": 3.0, "b": 1.0}, 1.0)
    assert not can_stop_early({}, 0.0)


def test_sources_share_one_pool_by_their_weights() -> None:
    """Many samples of a light source do not outvote one of a heavy source."""
    pool = ensemble([(3.0, samples("a")), (1.0, samples("b", "b", "c", "b")), (1.0, [])])
    assert [s.weight for s in pool] == [3.0, 0.25, 0.25, 0.25, 0.25]
    for search in (EXACT, CONSISTENT):
        best = select(search, pool)[0]
        assert (best.index, best.value) == (0, 0.75)
    unequal = ensemble([(1.0, [Sample(text="a", weight=1.0), Sample(text="b", weight=3.0)])])
    assert [s.weight for s in unequal] == [0.25, 0.75]


def test_a_consensus_beats_the_likeliest() -> None:
    pool = [
        Sample(text="rain is expected tomorrow", mean_log_prob=-1.0),
        Sample(text="rain is expected on friday", mean_log_prob=-1.0),
        Sample(text="no idea", mean_log_prob=-0.1),
    ]
    assert select(MBR, pool)[0].index != 2


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: select(MBR, []), "at least one sample"),
        (lambda: select(Search(), samples("a")), "'sample' does not choose"),
        (lambda: select(Search(method="beam"), samples("a")), "'beam' does not choose"),
        (lambda: select(MBR, samples("a", weight=0.0)), "weigh nothing"),
        (lambda: select(CONSISTENT, samples("a", weight=0.0)), "weigh nothing"),
        (lambda: Sample(text="a", weight=-1.0), "got -1.0"),
        (lambda: Sample(text="a", mean_log_prob=float("nan")), "nan"),
        (lambda: ensemble([(float("inf"), samples("a"))]), "got inf"),
        (
            lambda: select(Search(method="self_consistency", answer_regex="(a"), samples("a")),
            "answer_regex",
        ),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(call: object, complaint: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=complaint):
        call()
