import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32
from scipy import stats

from llm.decoding.phases import Guidance, Mask
from llm.decoding.pipeline import CONFLICT, Pipeline
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.sampler import DAMAGED, BatchSampler
from llm.decoding.spellings import mask_of
from llm.errors import ConstraintConflictError, EngineFailureError, GrammarTooLargeError
from llm.native.loader import load_library
from llm.sampling_params import Dry, Mirostat, SamplingParams
from tests.llm.decoding.toy_tokens import ToyTokens, logits_of, numbered, spelled, toy_pipeline

V = 37
TOKENS = numbered(V)
KINDS = (
    SamplingParams(),
    SamplingParams(temperature=0.8, top_p=0.9),
    SamplingParams(temperature=1.0, repetition_penalty=1.3, dry=Dry(multiplier=1.0)),
    SamplingParams(temperature=1.0, presence_penalty=1.0, banned_strings=("<3", "9><1")),
    SamplingParams(temperature=1.2, typical_p=0.8, frequency_penalty=0.5),
    SamplingParams(temperature=1.0, mirostat=Mirostat(tau=3.0), min_tokens=4),
    SamplingParams(temperature=1.0, logprobs=True, top_logprobs=2, logprobs_mode="final"),
    SamplingParams(logit_bias=((5, 2.0), (6, -100.0)), logprobs=True, logprobs_mode="feasible"),
)


def row_of(seed: int, step: int) -> Float32[np.ndarray, " v"]:
    """A model: logits of a seed and a position."""
    z = np.random.default_rng((seed, step)).normal(size=V) * 2
    return z.astype(np.float32)


def written(
    pipeline: Pipeline, row: PipelineRow, seed: int, steps: int, *, begin: int = 0
) -> list[int]:
    tokens = []
    for step in range(begin, begin + steps):
        result = pipeline.draw(row_of(seed, step)[None].copy(), [row])
        assert not result.errors
        tokens.append(int(result.token_ids[0]))
        row.take(tokens[-1])
    return tokens


def alone(kind: int, steps: int) -> list[int]:
    pipeline = toy_pipeline(TOKENS)
    return written(pipeline, pipeline.join(KINDS[kind], kind, [1, 2, 3, 1, 2]), kind, steps)


ALONE = [alone(kind, 8) for kind in range(len(KINDS))]


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, len(KINDS) - 1), st.integers(0, 6)), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_a_row_draws_the_same_whatever_runs_beside_it(
    joins: list[tuple[int, int]], shuffler: random.Random
) -> None:
    """Rows join at any step, leave when they are done, and stand in any order."""
    pipeline = toy_pipeline(TOKENS)
    running: list[tuple[int, PipelineRow, list[int]]] = []
    for step in range(8 + max(at for _, at in joins)):
        for kind, at in joins:
            if at == step:
                row = pipeline.join(KINDS[kind], kind, [1, 2, 3, 1, 2])
                running.append((kind, row, []))
        if not running:
            continue
        shuffler.shuffle(running)
        z = np.stack([row_of(kind, len(done)) for kind, _, done in running])
        result = pipeline.draw(z, [row for _, row, _ in running])
        for i, (kind, row, done) in enumerate(running):
            done.append(int(result.token_ids[i]))
            row.take(done[-1])
            assert done == ALONE[kind][: len(done)]
            assert (i in result.logprobs) == KINDS[kind].logprobs
            if len(done) == 8:
                pipeline.leave(row)
        running = [each for each in running if len(each[2]) < 8]
    assert len(pipeline) == len(running) == 0


@pytest.mark.parametrize(
    "kind", [kind for kind, params in enumerate(KINDS) if params.mirostat is None]
)
def test_a_row_made_again_from_its_tokens_goes_on_the_same(kind: int) -> None:
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(KINDS[kind], kind, [1, 2, 3, 1, 2])
    for token in ALONE[kind][:5]:
        row.take(token)
    assert written(pipeline, row, kind, 3, begin=5) == ALONE[kind][5:]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_a_fork_goes_on_as_its_parent_and_leaves_it_alone(kind: int) -> None:
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(KINDS[kind], kind, [1, 2, 3, 1, 2])
    assert written(pipeline, row, kind, 4) == ALONE[kind][:4]
    twin = pipeline.fork(row, stream=0)
    assert written(pipeline, twin, kind, 4, begin=4) == ALONE[kind][4:]
    other = pipeline.fork(row, stream=1)
    other.take(7)
    pipeline.leave(twin)
    pipeline.leave(other)
    assert written(pipeline, row, kind, 4, begin=4) == ALONE[kind][4:]


def test_branches_of_one_seed_draw_differently() -> None:
    pipeline = toy_pipeline(TOKENS)
    texts = [
        written(pipeline, pipeline.join(SamplingParams(temperature=2.0), 9, [1], stream=s), 9, 12)
        for s in (0, 1)
    ]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_compiled_code_draws_the_same(kind: int) -> None:
    library = load_library()
    if library is None:
        pytest.skip("there are no compiled kernels")
    pipeline = Pipeline(BatchSampler(library), TOKENS)
    row = pipeline.join(KINDS[kind], kind, [1, 2, 3, 1, 2])
    assert written(pipeline, row, kind, 8) == ALONE[kind]


def test_a_conflict_and_damage_end_their_rows_alone() -> None:
    pipeline = toy_pipeline(spelled("a", "b", "ab"))
    rows = [
        pipeline.join(SamplingParams(), 0, [1]),
        pipeline.join(SamplingParams(allowed_strings=("ab",), min_tokens=5), 0, [1]),
        pipeline.join(SamplingParams(presence_penalty=1.0), 0, [1]),
        pipeline.join(SamplingParams(temperature=1.0, typical_p=0.5), 0, [1]),
        pipeline.join(SamplingParams(), 0, [1]),
    ]
    rows[1].take(1)
    rows[1].take(1)  # not in the strings, so nothing can follow
    z = np.tile(logits_of([0.1, 0.2, 0.3, 0.4]), (5, 1))
    z[2:4, 3] = np.nan
    z[4, 0] = np.inf
    result = pipeline.draw(z, rows)
    assert result.token_ids.tolist() == [3, CONFLICT, DAMAGED, DAMAGED, DAMAGED]
    assert set(result.errors) == {1, 2, 3, 4}
    assert isinstance(result.errors[1], ConstraintConflictError)
    assert "allowed_strings" in str(result.errors[1])
    assert all(isinstance(result.errors[i], EngineFailureError) for i in (2, 3, 4))


def test_damage_is_seen_behind_a_ban() -> None:
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(SamplingParams(banned_token_ids=(3,)), 0, [1])
    z = row_of(1, 1)[None]
    z[0, 3] = np.nan
    assert pipeline.draw(z, [row]).token_ids.tolist() == [DAMAGED]


def test_a_contradiction_is_refused_when_the_row_joins() -> None:
    pipeline = toy_pipeline(TOKENS)
    with pytest.raises(ConstraintConflictError, match="banned_token_ids"):
        pipeline.join(SamplingParams(banned_token_ids=(3,), logit_bias=((3, 100.0),)), 0, [1])
    with pytest.raises(ValueError, match="seed"):
        pipeline.join(SamplingParams(), 2**64, [1])
    assert len(pipeline) == 0


def test_read_only_and_half_precision_logits_are_taken() -> None:
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(SamplingParams(banned_token_ids=(3,)), 0, [1])
    z = row_of(4, 4)[None]
    expected = pipeline.draw(z.copy(), [row]).token_ids.tolist()
    z.flags.writeable = False
    assert pipeline.draw(z, [row]).token_ids.tolist() == expected
    with pytest.raises(ValueError, match="do not fit"):
        pipeline.draw(np.zeros((2, V), np.float32), [row])


class Picky:
    """A grammar that refuses some of the tokens that it offered."""

    def __init__(self, refuses: set[int], taken: tuple[int, ...] = ()) -> None:
        self.refuses = refuses
        self.refused: set[int] = set()
        self.taken = list(taken)

    def fill(self, mask: Mask) -> None:
        if len(self.taken) > 3:
            raise GrammarTooLargeError(what="this state")
        np.copyto(mask, ~mask_of(self.refused, V))

    def advance(self, token: int) -> None:
        if token in self.refuses:
            self.refused.add(token)
            raise ConstraintConflictError("not this one")
        self.taken.append(token)
        self.refused.clear()

    def rollback(self, num_tokens: int) -> None:
        del self.taken[len(self.taken) - num_tokens :]

    def fork(self) -> "Picky":
        return Picky(self.refuses, tuple(self.taken))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("typical_p", [1.0, 0.9])
def test_a_refused_token_makes_way_for_the_next_best(temperature: float, typical_p: float) -> None:
    params = SamplingParams(temperature=temperature, typical_p=typical_p)
    refuses = set(range(0, V, 2))
    grammar = Picky(refuses)
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(params, 3, [1], Guidance(grammar=grammar))
    masked = pipeline.join(params, 3, [1])
    for step in range(3):
        token = int(pipeline.draw(row_of(8, step)[None].copy(), [row]).token_ids[0])
        row.take(token)
        assert grammar.taken[-1] == token
        assert len(grammar.taken) == step + 1
        if temperature == 0:
            z = row_of(8, step)
            z[sorted(refuses)] = -np.inf
            assert token == int(pipeline.draw(z[None], [masked]).token_ids[0])


def test_another_token_than_the_drawn_one_may_be_taken() -> None:
    grammar = Picky(set())
    pipeline = toy_pipeline(TOKENS)
    row = pipeline.join(SamplingParams(), 3, [1], Guidance(grammar=grammar))
    drawn = int(pipeline.draw(row_of(1, 1)[None], [row]).token_ids[0])
    row.take(drawn + 1)
    assert grammar.taken == [drawn + 1]
    pipeline.draw(row_of(1, 2)[None], [row])
    pipeline.draw(row_of(1, 3)[None], [row])  # the first of these was never taken
    assert len(grammar.taken) == 2


class Broken(Picky):
    """A grammar with a fault of its own."""

    def advance(self, token: int) -> None:
        raise RuntimeError(f"broken by {token}")


def test_a_fault_in_a_grammar_ends_its_row_alone() -> None:
    pipeline = toy_pipeline(TOKENS)
    grammars = (Broken(set()), Picky(set()))
    guided = [Guidance(grammar=grammar) for grammar in grammars]
    rows = [pipeline.join(SamplingParams(), 3, [1], each) for each in guided]
    result = pipeline.draw(np.tile(row_of(2, 2), (2, 1)), rows)
    assert result.token_ids.tolist() == [DAMAGED, int(row_of(2, 2).argmax())]
    assert "RuntimeError('broken by " in str(result.errors[0])


def test_a_grammar_that_fails_or_refuses_everything_ends_its_row_alone() -> None:
    pipeline = toy_pipeline(TOKENS)
    failing = pipeline.join(SamplingParams(), 3, [1], Guidance(grammar=Picky(set())))
    refusing = pipeline.join(SamplingParams(), 3, [1], Guidance(grammar=Picky(set(range(V)))))
    plain = pipeline.join(SamplingParams(), 3, [1])
    for token in (1, 2, 3, 4):
        failing.take(token)
    z = np.tile(row_of(2, 2), (3, 1))
    result = pipeline.draw(z, [failing, refusing, plain])
    assert result.token_ids.tolist() == [CONFLICT, CONFLICT, int(row_of(2, 2).argmax())]
    assert isinstance(result.errors[0], GrammarTooLargeError)
    assert isinstance(result.errors[1], ConstraintConflictError)


def test_mirostat_brings_the_surprise_to_its_target() -> None:
    size = 211
    tokens = ToyTokens(token_bytes=(b"",) * size)
    pipeline = toy_pipeline(tokens)
    tau = 4.0
    row = pipeline.join(SamplingParams(temperature=1.0, mirostat=Mirostat(tau=tau)), 3, [1])
    p = 1.0 / np.arange(1, size + 1) ** 1.1
    p /= p.sum()
    bits = []
    for _ in range(600):
        token = int(pipeline.draw(logits_of(p.tolist()), [row]).token_ids[0])
        ceiling = row.ceiling
        row.take(token)
        bits.append(-np.log2(p[token]))
        assert row.ceiling == pytest.approx(ceiling - 0.1 * (bits[-1] - tau), abs=1e-5)
    assert np.mean(bits[100:]) == pytest.approx(tau, abs=0.1)


@pytest.mark.slow
def test_draws_of_a_constrained_row_follow_what_is_left() -> None:
    pipeline = toy_pipeline(numbered(6))
    params = SamplingParams(temperature=1.0, banned_token_ids=(1,), logit_bias=((2, 0.5),))
    p = np.array([0.1, 0.3, 0.2, 0.2, 0.15, 0.05])
    row = pipeline.join(params, 11, [1])
    counts = np.zeros(6)
    for _ in range(6000):
        token = int(pipeline.draw(logits_of(p.tolist()), [row]).token_ids[0])
        row.take(token)
        counts[token] += 1
    q = p * np.array([1, 0, np.exp(0.5), 1, 1, 1])
    q /= q.sum()
    assert counts[1] == 0
    kept = [0, 2, 3, 4, 5]
    assert stats.chisquare(counts[kept], 6000 * q[kept]).pvalue > 1e-4
