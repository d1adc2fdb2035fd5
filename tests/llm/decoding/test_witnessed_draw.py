"""Tokens that a mark asks about are drawn from their lists, and are the same."""

import numpy as np
import pytest

from llm.decoding.phases import Guidance, Survivors
from llm.decoding.pipeline import Pipeline
from llm.decoding.sampler import BatchSampler, SamplingRows
from llm.native.loader import load_library
from llm.sampling_params import SamplingParams
from tests.llm.decoding.toy_tokens import numbered

V = 700
PARAMS = (
    SamplingParams(temperature=1.0, top_p=0.9),
    SamplingParams(temperature=0.7, top_k=20),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=0.0),
)


class Asking:
    """A mark of noise that asks where it is told to, and keeps what it is told."""

    def __init__(self, *, wants: bool, seed: int | None = None) -> None:
        self.wants_survivors = wants
        self.seed = seed
        self.told: list[tuple[Survivors | None, int]] = []

    def witness(self, survivors: Survivors | None, token: int) -> None:
        self.told.append((survivors, token))

    def reweight(self, survivors: Survivors) -> Survivors:
        return survivors

    def noise(self, _token_ids: np.ndarray) -> None:
        return None

    def noise_seed(self) -> int | None:
        return self.seed

    def take(self, token: int) -> None:
        pass

    def fork(self, _stream: int) -> "Asking":
        return self


def drawn(
    wants: tuple[bool, ...], logits: np.ndarray, library: object
) -> tuple[list[int], list[Asking]]:
    pipeline = Pipeline(BatchSampler(library), numbered(V))  # type: ignore[arg-type]
    marks = [Asking(wants=want, seed=100 + i) for i, want in enumerate(wants)]
    rows = [
        pipeline.join(params, i, [1, 2, 3], Guidance(mark=mark))
        for i, (params, mark) in enumerate(zip(PARAMS, marks, strict=True))
    ]
    return pipeline.draw(logits.copy(), rows).token_ids.tolist(), marks


@pytest.fixture(params=["twin", "compiled"])
def library(request: pytest.FixtureRequest) -> object:
    if request.param == "twin":
        return None
    found = load_library()
    if found is None:
        pytest.skip("there are no compiled kernels")
    return found


@pytest.mark.parametrize("wants", [(True,) * 4, (True, False, False, False), (False, True) * 2])
def test_a_question_changes_no_token(wants: tuple[bool, ...], library: object) -> None:
    logits = np.random.default_rng(3).normal(size=(4, V)).astype(np.float32) * 3
    plain, silent = drawn((False,) * 4, logits, library)
    asked, marks = drawn(wants, logits, library)
    assert asked == plain
    assert [mark.told for mark in silent] == [[(None, token)] for token in plain]
    for mark, token in zip(marks, asked, strict=True):
        [(survivors, told)] = mark.told
        assert told == token
        assert (survivors is not None) == mark.wants_survivors


def test_marks_are_told_the_likeliest_that_may_come(library: object) -> None:
    logits = np.random.default_rng(4).normal(size=(4, V)).astype(np.float32) * 3
    _, marks = drawn((True,) * 4, logits, library)
    for i, (params, mark) in enumerate(zip(PARAMS, marks, strict=True)):
        rows = SamplingRows()
        rows.join(params, seed=0, position=0)
        wanted = BatchSampler(None).survivors(logits[i : i + 1], rows).row(0)
        [(survivors, _)] = mark.told
        assert survivors is not None
        assert survivors.token_ids.tolist() == wanted.token_ids[:512].tolist()
        gaps = survivors.log_probs - wanted.log_probs[:512]
        assert gaps == pytest.approx(np.full(len(gaps), gaps[0]), abs=1e-9)


def test_damaged_logits_are_an_error_of_their_row_alone(library: object) -> None:
    logits = np.random.default_rng(5).normal(size=(4, V)).astype(np.float32)
    logits[1, 7] = np.nan
    pipeline = Pipeline(BatchSampler(library), numbered(V))  # type: ignore[arg-type]
    marks = [Asking(wants=True) for _ in PARAMS]
    rows = [
        pipeline.join(params, i, [1], Guidance(mark=mark))
        for i, (params, mark) in enumerate(zip(PARAMS, marks, strict=True))
    ]
    result = pipeline.draw(logits, rows)
    assert list(result.errors) == [1]
    assert [len(mark.told) for mark in marks] == [1, 0, 1, 1]
