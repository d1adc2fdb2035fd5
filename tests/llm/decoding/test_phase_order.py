"""Pairs of phases that do not commute, each with a row of five tokens and the answer by hand."""

import numpy as np
import pytest

from llm.decoding.pipeline import Pipeline
from llm.decoding.pipeline_row import PipelineRow
from llm.errors import ConstraintConflictError
from llm.sampling_params import SamplingParams
from tests.llm.decoding.toy_tokens import logits_of, numbered, toy_pipeline

P = [0.5, 0.2, 0.15, 0.1, 0.05]


def joined(params: SamplingParams, prompt: tuple[int, ...] = (4,)) -> tuple[Pipeline, PipelineRow]:
    pipeline = toy_pipeline(numbered(5))
    return pipeline, pipeline.join(params, 0, prompt)


def survivors(params: SamplingParams, p: list[float], prompt: tuple[int, ...] = (4,)) -> list[int]:
    """What could be drawn: every token that is, in many draws."""
    pipeline, row = joined(params, prompt)
    drawn = set()
    for position in range(400):
        row.position = position
        drawn.add(int(pipeline.draw(logits_of(p), [row]).token_ids[0]))
    return sorted(drawn)


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        # Among the legal tokens 1 to 4, of masses .4 .3 .2 .1; the illegal one would use up .5.
        (SamplingParams(temperature=1.0, top_p=0.65, banned_token_ids=(0,)), [1, 2]),
        (SamplingParams(temperature=1.0, top_k=2, banned_token_ids=(0,)), [1, 2]),
        # The best legal token sets the measure: .45 of .2; of .5 it would leave nothing legal.
        (SamplingParams(temperature=1.0, min_p=0.45, banned_token_ids=(0,)), [1, 2, 3]),
    ],
    ids=["top_p", "top_k", "min_p"],
)
def test_bans_come_before_cuts(cut: SamplingParams, kept: list[int]) -> None:
    assert survivors(cut, P) == kept


def test_a_cut_never_leaves_only_illegal_tokens() -> None:
    params = SamplingParams(temperature=1.0, top_p=0.4, allowed_token_ids=(3, 4))
    assert survivors(params, P) == [3]


def test_a_finite_bias_comes_before_the_cuts_and_can_rescue_a_token() -> None:
    """.05 e^3 = 1.004 is then the most probable of all."""
    params = SamplingParams(temperature=1.0, top_k=1, logit_bias=((4, 3.0),))
    assert survivors(params, P) == [4]


def test_a_bias_that_forces_meets_the_mask_and_the_conflict_is_seen() -> None:
    with pytest.raises(ConstraintConflictError, match="logit_bias"):
        joined(SamplingParams(allowed_token_ids=(0, 1), logit_bias=((4, 100.0),)))
    with pytest.raises(ConstraintConflictError, match="logit_bias"):
        joined(SamplingParams(allowed_token_ids=(4,), logit_bias=((4, -100.0),)))


def test_a_finite_bias_never_resurrects_a_banned_token() -> None:
    params = SamplingParams(banned_token_ids=(4,), logit_bias=((4, 99.0),))
    assert survivors(params, P) == [0]


def test_repetition_divides_logits_and_not_log_probabilities() -> None:
    """Logits 4 and 3: halved, the first falls behind. As log-probabilities, -.31 and -1.31, both
    are negative; the first would be doubled to -.63 and stay ahead."""
    z = np.array([[4.0, 3.0, -9.0, -9.0, -9.0]], np.float32)
    pipeline, row = joined(SamplingParams(repetition_penalty=2.0), (0,))
    assert pipeline.draw(z, [row]).token_ids.tolist() == [1]


def test_temperature_comes_before_min_p_and_top_p() -> None:
    """Squared and renormalised: .769 .123 .069 .031 .008."""
    assert survivors(SamplingParams(temperature=0.5, min_p=0.29), P) == [0]
    assert survivors(SamplingParams(temperature=1.0, min_p=0.29), P) == [0, 1, 2]
    assert survivors(SamplingParams(temperature=0.5, top_p=0.75), P) == [0]
    assert survivors(SamplingParams(temperature=1.0, top_p=0.75), P) == [0, 1, 2]


def test_a_penalty_comes_before_the_temperature() -> None:
    """ln .5 - 1 = -1.69 < ln .2 = -1.61 at any temperature; after one of .25 it would not be so."""
    for temperature in (0.25, 1.0, 4.0):
        params = SamplingParams(temperature=temperature, top_k=1, presence_penalty=1.0)
        pipeline, row = joined(params)
        row.take(0)
        assert pipeline.draw(logits_of(P), [row]).token_ids.tolist() == [1]


def test_raw_accounts_are_made_before_anything_else() -> None:
    params = SamplingParams(
        temperature=0.5, banned_token_ids=(0,), logit_bias=((3, 5.0),), logprobs=True
    )
    pipeline, row = joined(params)
    told = pipeline.draw(logits_of(P), [row]).logprobs[0]
    assert told.raw == told.log_prob == pytest.approx(np.log(P[told.token_id]), abs=1e-6)
    assert told.feasible == pytest.approx(np.log(P[told.token_id] / 0.5), abs=1e-6)


def test_cuts_commute() -> None:
    """They are sets of one distribution; alone and together they say the same."""
    asked = [("top_k", 4), ("top_p", 0.84), ("min_p", 0.25), ("typical_p", 0.9)]
    sets = [
        set(survivors(SamplingParams(temperature=1.0, **{name: value}), P))  # type: ignore[arg-type]
        for name, value in asked
    ]
    together = SamplingParams(temperature=1.0, **dict(asked))  # type: ignore[arg-type]
    assert survivors(together, P) == sorted(set.intersection(*sets)) == [0, 1, 2]
