import numpy as np
import pytest
from hypothesis import given
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
        log_probs=np.array(list(log_probs.values())),
        is_final=np.array(["f" in name for name in log_probs]),
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
