import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.search.beam import BeamSearch
from llm.decoding.search.branches import Branches, Candidates, Driver, Finished, run
from llm.decoding.spec import Search
from tests.llm.decoding.search.table_model import EOS, TableModel, worth


def beam(width: int = 4, *, max_tokens: int = 3, **options: object) -> BeamSearch:
    names = ("groups", "diversity", "length_penalty")
    search = {name: options.pop(name) for name in names if name in options}
    return BeamSearch(
        Search(method="beam", width=width, **search),  # type: ignore[arg-type]
        max_tokens=max_tokens,
        eos_ids={EOS},
        **options,  # type: ignore[arg-type]
    )


def texts(found: list[Finished]) -> list[tuple[int, ...]]:
    return [finished.token_ids for finished in found]


def follow(**log_probs: float) -> Candidates:
    """Candidates of tokens named t0, t1, …; a name with an f is final."""
    ids = [int(name.strip("tf")) for name in log_probs]
    return Candidates(
        token_ids=np.array(ids, np.int64),
        log_probs=np.array(list(log_probs.values()), np.float64),
        is_final=np.array(["f" in name for name in log_probs], np.bool_),
    )


def test_the_table_is_a_set_of_branches_and_the_beam_a_driver() -> None:
    assert isinstance(TableModel(3), Branches)
    assert isinstance(beam(), Driver)


@given(
    seed=st.integers(0, 10**6),
    size_and_length=st.sampled_from([(3, 3), (4, 2), (2, 15), (16, 1)]),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    accept_every=st.sampled_from([1, 2, 3]),
)
def test_a_beam_that_holds_every_prefix_is_exhaustive(
    seed: int, size_and_length: tuple[int, int], length_penalty: float, accept_every: int
) -> None:
    size, max_tokens = size_and_length
    model = TableModel(size, seed=seed, accept_every=accept_every)
    search = beam(16, max_tokens=max_tokens, length_penalty=length_penalty)
    found = run(search, model)
    everything = sorted(
        (-worth(log_prob, len(text), length_penalty), text)
        for text, log_prob in model.all_texts(max_tokens)
    )
    assert texts(found) == [text for _, text in everything[:16]]
    assert [f.score for f in found] == pytest.approx([-s for s, _ in everything[:16]], rel=1e-12)
    assert not model.texts


@given(
    seed=st.integers(0, 10**6),
    sharpness=st.floats(0.1, 5),
    length_penalty=st.sampled_from([0.0, 1.0, 3.0]),
)
def test_width_one_is_greedy(seed: int, sharpness: float, length_penalty: float) -> None:
    model = TableModel(7, seed=seed, sharpness=sharpness, accept_every=2)
    greedy: tuple[int, ...] = ()
    while len(greedy) < 9:
        row = model.row(greedy)
        token = max(model.feasible(greedy), key=lambda t: row[t])
        if token == EOS:
            break
        greedy = (*greedy, token)
    assert texts(run(beam(1, max_tokens=9, length_penalty=length_penalty), model)) == [greedy]


@given(seed=st.integers(0, 10**6), width=st.integers(1, 8))
def test_what_stops_is_accepted(seed: int, width: int) -> None:
    model = TableModel(5, seed=seed, accept_every=3)
    found = run(beam(width, max_tokens=6), model)
    assert found
    for finished in found:
        if finished.reason == "stop":
            assert model.accepts(finished.token_ids)
        else:
            assert len(finished.token_ids) == 6


@given(
    seed=st.integers(0, 10**6),
    width=st.integers(1, 6),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0, 4.0]),
    sharpness=st.floats(0.1, 4),
)
def test_stopping_early_loses_nothing(
    seed: int, width: int, length_penalty: float, sharpness: float
) -> None:
    ends = []
    for early_stop in (True, False):
        model = TableModel(4, seed=seed, sharpness=sharpness)
        search = beam(width, max_tokens=12, length_penalty=length_penalty, early_stop=early_stop)
        ends.append((run(search, model), model.num_scored))
    assert ends[0][0] == ends[1][0]
    assert ends[0][1] <= ends[1][1]


@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 2, 4, 6]),
    groups=st.sampled_from([1, 2]),
    diversity=st.floats(0, 3),
)
def test_twice_the_width_and_every_end_are_candidates_enough(
    seed: int, width: int, groups: int, diversity: float
) -> None:
    groups = min(groups, width)
    found = [
        run(
            beam(width, max_tokens=5, groups=groups, diversity=diversity),
            TableModel(30, seed=seed, cut=cut),
        )
        for cut in (2 * width, None)
    ]
    assert found[0] == found[1]


@given(seed=st.integers(0, 10**6), order=st.integers(0, 100), groups=st.sampled_from([1, 2]))
@settings(max_examples=30)
def test_the_order_of_candidates_does_not_matter(seed: int, order: int, groups: int) -> None:
    class Shuffled(TableModel):
        def candidates(self, prefix: tuple[int, ...]) -> Candidates:
            given_ = super().candidates(prefix)
            new = np.random.default_rng(order).permutation(len(given_.token_ids))
            return Candidates(
                token_ids=given_.token_ids[new],
                log_probs=given_.log_probs[new],
                is_final=given_.is_final[new],
            )

    for stochastic in (False, True):
        options = {"stochastic": True, "seed": order} if stochastic else {"groups": groups}
        tables = (TableModel(6, seed=seed), Shuffled(6, seed=seed))
        first, second = (run(beam(4, max_tokens=4, **options), table) for table in tables)
        assert texts(first) == texts(second)


def test_ties_go_to_the_lower_parent_and_the_lower_token() -> None:
    search = beam(3, max_tokens=9)
    even = follow(t5=-1.0, t2=-1.0, t9=-1.0, t1=-1.0)
    assert [c.token for c in search.expand([even]).children] == [1, 2, 5]
    children = search.expand([even, even, even]).children
    assert [(c.parent, c.token) for c in children] == [(0, 1), (0, 2), (0, 5)]
    assert [h.token_ids for h in search.live] == [(1, 1), (1, 2), (1, 5)]


def test_a_step_says_what_forks_and_what_ends() -> None:
    search = beam(3, max_tokens=9, length_penalty=1.0)
    step = search.expand([follow(t1=-0.5, t2=-1.0, t3=-3.0)])
    assert [(c.parent, c.token, c.log_prob) for c in step.children] == [
        (0, 1, -0.5),
        (0, 2, -1.0),
        (0, 3, -3.0),
    ]
    step = search.expand([follow(t4=-2.0, t5=-9.0), follow(t0=-0.25, t6f=-0.5), follow(t4=-8.0)])
    assert [(c.parent, c.token) for c in step.children] == [(0, 4)]
    assert [(e.parent, e.finished.token_ids, e.finished.log_prob) for e in step.ended] == [
        (1, (2,), -1.25),  # the end token is no part of the text
        (1, (2, 6), -1.5),  # a final one is
    ]
    assert [e.finished.score for e in step.ended] == pytest.approx([-1.25, -1.5 / (7 / 6)])
    assert all(e.finished.reason == "stop" for e in step.ended)
    assert not search.done


@given(seed=st.integers(0, 10**6), width=st.sampled_from([2, 4, 6]), diversity=st.floats(0, 5))
def test_the_first_group_is_a_beam_of_its_own(seed: int, width: int, diversity: float) -> None:
    search = beam(width, max_tokens=5, groups=2, diversity=diversity)
    everything = run(search, TableModel(6, seed=seed))
    scores = [f.score for f in everything]
    assert scores == sorted(scores, reverse=True)
    found = [f for f in everything if f.group == 0]
    assert found == run(beam(width // 2, max_tokens=5), TableModel(6, seed=seed))


@given(seed=st.integers(0, 10**6))
def test_groups_shun_each_others_words(seed: int) -> None:
    """By more than any log-probability may differ, so at once and fully."""
    search = beam(6, max_tokens=6, groups=3, diversity=100.0)
    model = TableModel(9, seed=seed)
    row = model.candidates(())
    words = row.token_ids != EOS
    search.expand(
        [
            Candidates(
                token_ids=row.token_ids[words],
                log_probs=row.log_probs[words],
                is_final=row.is_final[words],
            )
        ]
    )
    assert [h.group for h in search.live] == [0, 0, 1, 1, 2, 2]
    assert len({h.token_ids for h in search.live}) == 6
    assert all(
        h.log_prob == pytest.approx(model.log_prob(h.token_ids), rel=1e-12) for h in search.live
    )  # the penalty chooses and is not counted


def test_groups_that_do_not_mind_each_other_find_the_same_once() -> None:
    search = beam(6, max_tokens=4, groups=3, diversity=0.0)
    alone = run(beam(2, max_tokens=4), TableModel(5, seed=3))
    assert run(search, TableModel(5, seed=3)) == alone


def test_a_penalty_is_paid_once_for_each_group_before() -> None:
    search = beam(3, max_tokens=9, groups=3, diversity=1.0)
    step = search.expand([follow(t1=-0.1, t2=-1.5, t3=-1.8)])
    assert [c.token for c in step.children] == [1, 1, 2]  # -0.1; -1.1; -2.1 against -1.5


def test_the_end_is_nobodys_choice_of_words() -> None:
    search = beam(2, max_tokens=9, groups=2, diversity=50.0)
    assert search.expand([follow(t0=-0.1, t1=-3.0)]).children == ()
    assert texts(search.best()) == [()]


@given(
    seed=st.integers(0, 10**6),
    length_penalty=st.sampled_from([0.0, 1.0]),
    early_stop=st.booleans(),
)
def test_stop_strings_end_hypotheses(seed: int, length_penalty: float, early_stop: bool) -> None:
    model = TableModel(3, seed=seed, stop=(1, 1))
    search = beam(16, max_tokens=3, length_penalty=length_penalty, early_stop=early_stop)
    everything = sorted(
        (-worth(log_prob, len(text), length_penalty), text) for text, log_prob in model.all_texts(3)
    )
    assert texts(run(search, model)) == [text for _, text in everything[:16]]
    assert not model.texts


def test_ending_hypotheses_renumbers_the_live_ones() -> None:
    search = beam(4, max_tokens=9, length_penalty=0.0)
    search.expand([follow(t1=-1.0, t2=-2.0, t3=-3.0, t4=-4.0)])
    assert search.end([1]) == (0, 2, 3)
    assert [h.token_ids for h in search.live] == [(1,), (3,), (4,)]
    assert texts(search.best()) == [(2,)]
    assert search.best()[0].reason == "stop"
    assert search.end([]) == (0, 1, 2)


def test_what_cannot_win_any_more_is_dropped_when_another_ends() -> None:
    search = beam(2, max_tokens=9, length_penalty=0.0)
    search.expand([follow(t0=-0.5, t1=-1.0)])
    assert search.end([0]) == ()
    assert search.done
    search = beam(2, max_tokens=9, length_penalty=0.0)
    search.expand([follow(t1=-1.0, t2=-1.5)])
    assert search.expand([follow(t0=-0.25, t3=-0.25), follow(t0=-9.0)]).children[0].token == 3
    assert search.expand([follow(t0=-0.125, t4=-0.5)]).children == ()  # -1.75: below both
    assert texts(search.best()) == [(1,), (1, 3)]


def test_a_cut_text_comes_after_every_whole_one() -> None:
    search = beam(3, max_tokens=9)
    search.expand([follow(t0=-5.0, t1=-0.1, t2=-0.2)])
    assert search.end(range(2), "cancelled") == ()
    assert [f.reason for f in search.best()] == ["stop", "cancelled", "cancelled"]
    assert search.done


def test_a_text_has_one_end_whichever_token_says_so() -> None:
    search = BeamSearch(Search(method="beam", width=2), max_tokens=5, eos_ids={0, 7})
    step = search.expand([follow(t0=-1.0, t7=-0.9, t3=-1.5, t4=-1.6)])
    assert [c.token for c in step.children] == [3]  # and the other place is not lost
    assert [(f.token_ids, f.log_prob) for f in search.best()] == [((), -0.9)]


def test_what_nothing_may_follow_dies() -> None:
    search = beam(2, max_tokens=5)
    search.expand([follow(t1=-1.0, t2=-2.0)])
    assert [c.parent for c in search.expand([follow(), follow(t1=-1.0)]).children] == [1]
    assert search.expand([follow()]).children == ()
    assert search.done
    assert search.best() == []


@given(seed=st.integers(0, 10**6), width=st.integers(1, 8))
def test_no_more_branches_than_the_beam_is_wide(seed: int, width: int) -> None:
    model = TableModel(5, seed=seed)
    run(beam(width, max_tokens=6), model)
    assert model.most_branches <= width


def test_hopeless_hypotheses_cost_no_steps() -> None:
    """A model that ends soon: the beam does not go on to its last token."""
    scored = []
    for early_stop in (True, False):
        model = TableModel(3, seed=5, sharpness=4.0)
        run(beam(3, max_tokens=40, length_penalty=0.0, early_stop=early_stop), model)
        scored.append(model.num_scored)
    assert scored[0] < scored[1] / 2


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: beam(max_tokens=0), "at least 1, got 0"),
        (lambda: beam(4, groups=2, stochastic=True), "no groups, got 2"),
        (lambda: beam().expand([]), "1 live hypotheses, got candidates for 0"),
        (lambda: follow(t1=float("nan")), "finite"),
        (lambda: follow(t1=float("-inf")), "finite"),
        (lambda: follow(t1=0.5), "at most 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(call: object, complaint: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=complaint):
        call()


@pytest.mark.untyped
def test_candidates_need_a_value_each() -> None:
    with pytest.raises(ValueError, match="got 2, 1 and 1"):
        Candidates(
            token_ids=np.array([1, 2]), log_probs=np.array([-1.0]), is_final=np.array([False])
        )


def test_a_penalty_is_forgotten_after_its_step() -> None:
    search = beam(4, max_tokens=9, groups=2, diversity=1.0)
    search.expand([follow(t1=-0.1, t2=-0.9, t3=-1.2)])
    assert [h.token_ids for h in search.live] == [(1,), (2,), (1,), (3,)]
    search.expand([follow(t8=-1.0, t9=-1.0), follow(), follow(t5=-2.0), follow(t6=-1.5, t7=-1.6)])
    assert [h.token_ids for h in search.live if h.group == 1] == [(1, 5), (3, 6)]


def test_a_tie_with_what_finished_cannot_win() -> None:
    search = beam(2, max_tokens=9, length_penalty=0.0)
    search.expand([follow(t0=-1.5, t1=-2.0)])
    assert search.expand([follow(t0=0.0, t2=0.0)]).children == ()
    assert texts(search.best()) == [(), (1,)]
