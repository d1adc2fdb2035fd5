from dataclasses import dataclass

import numpy as np
import pytest

from llm.decoding.feasible import Feasible, fixed_clauses
from llm.decoding.phases import Mask, RawLogits
from llm.decoding.spellings import mask_of
from llm.errors import ConstraintConflictError
from llm.sampling_params import SamplingParams
from tests.llm.decoding.toy_tokens import numbered

V = 37
TOKENS = numbered(V)


@dataclass
class Only:
    """A constraint that always leaves the same tokens."""

    tokens: frozenset[int]

    def fill(self, mask: Mask) -> None:
        np.copyto(mask, mask_of(self.tokens, V))

    def advance(self, token: int) -> None:
        assert token in self.tokens

    def rollback(self, num_tokens: int) -> None:
        pass

    def fork(self) -> "Only":
        return self


def feasible(params: SamplingParams, grammar: Only | None = None) -> Feasible:
    return Feasible(fixed_clauses(params, TOKENS), grammar, size=V)


def left(clauses: Feasible) -> set[int]:
    clauses.narrow()
    return set(np.flatnonzero(clauses.allowed).tolist())


def test_each_clause_takes_its_tokens_out() -> None:
    everything = set(range(V))
    assert left(feasible(SamplingParams(allowed_token_ids=(3, 36)))) == {3, 36}
    assert left(feasible(SamplingParams(banned_token_ids=(3, 36)))) == everything - {3, 36}
    biases = ((3, -100.0), (4, -99.9), (5, -1e9))
    assert left(feasible(SamplingParams(logit_bias=biases))) == everything - {3, 5}
    assert left(feasible(SamplingParams(logit_bias=((3, 100.0), (9, 1e9), (4, 99.9))))) == {3, 9}
    assert left(feasible(SamplingParams(min_tokens=1))) == everything - {0}
    assert left(feasible(SamplingParams(), Only(frozenset([7])))) == {7}


def test_clauses_are_intersected_in_any_order() -> None:
    params = SamplingParams(
        allowed_token_ids=(0, 3, 4, 5),
        banned_token_ids=(4,),
        logit_bias=((5, -100.0),),
        min_tokens=1,
    )
    clauses = fixed_clauses(params, TOKENS)
    for order in (clauses, clauses[::-1]):
        assert left(Feasible(order, None, size=V)) == {3}


def test_an_end_is_possible_after_the_least_number_of_tokens() -> None:
    clauses = feasible(SamplingParams(min_tokens=2))
    ends = []
    for _ in range(4):
        ends.append(0 in left(clauses))
        clauses.take(1)
    assert ends == [False, False, True, True]


def test_a_copy_counts_by_itself() -> None:
    clauses = feasible(SamplingParams(min_tokens=2))
    clauses.take(1)
    copy = clauses.fork()
    copy.take(1)
    assert 0 in left(copy)
    assert 0 not in left(clauses)


@pytest.mark.parametrize(
    ("params", "clauses"),
    [
        (
            SamplingParams(allowed_token_ids=(3,), banned_token_ids=(3,)),
            ("banned_token_ids", "allowed_token_ids"),
        ),
        (
            SamplingParams(banned_token_ids=(3,), logit_bias=((3, 100.0),)),
            ("logit_bias of 100", "banned_token_ids"),
        ),
        (
            SamplingParams(allowed_token_ids=(0,), min_tokens=3),
            ("min_tokens", "allowed_token_ids"),
        ),
        (
            SamplingParams(logit_bias=tuple((v, -100.0) for v in range(V))),
            ("logit_bias of -100",),
        ),
    ],
)
def test_a_conflict_names_its_clauses(params: SamplingParams, clauses: tuple[str, ...]) -> None:
    with pytest.raises(ConstraintConflictError) as caught:
        feasible(params).narrow()
    for clause in clauses:
        assert clause in str(caught.value)


def test_a_forced_token_outside_the_grammar_is_a_conflict() -> None:
    clauses = feasible(SamplingParams(logit_bias=((3, 100.0),)), Only(frozenset([7])))
    with pytest.raises(ConstraintConflictError, match=r"logit_bias.*of what the grammar"):
        clauses.narrow()


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(allowed_token_ids=(V,)),
        SamplingParams(banned_token_ids=(V,)),
        SamplingParams(logit_bias=((V, 1.0),)),
    ],
)
def test_a_token_that_the_model_does_not_have_is_refused(params: SamplingParams) -> None:
    with pytest.raises(ConstraintConflictError, match="token 37 and the model has 37"):
        feasible(params)


def test_logits_outside_the_set_become_impossible_and_others_stay() -> None:
    z = np.arange(V, dtype=np.float32)
    row = feasible(SamplingParams(allowed_token_ids=(3, 5))).restrict(RawLogits(z))
    assert row[[3, 5]].tolist() == [3.0, 5.0]
    assert np.isneginf(np.delete(row, [3, 5])).all()
