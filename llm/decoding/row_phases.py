"""One row on its way from the model's logits to the distribution that tokens come from: P1 to P4.

Also the price of what was composed and steered, and what a beam wants of a row instead of a draw.
Writes into the rows that it is given. Knows no batch and no noise. Letters: `v` vocabulary, `k`
candidate tokens.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64, Int64

from llm.decoding.compose import compose
from llm.decoding.logit_rows import TWIN, LogitRows, best, damaged
from llm.decoding.phases import (
    FeasibleLogits,
    Forwards,
    RawLogits,
    ShapedLogits,
    SteeredLogits,
    uncomposed,
    unrestricted,
    unshaped,
    unsteered,
)
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.steer import kl, log_sum, price, steer, steer_best
from llm.decoding.truncate import MARKED_GREEDY, truncate
from llm.errors import ConstraintConflictError

_MOST_TRIED = 64  # tokens of a row that a grammar may refuse one after the other


def steered(
    row: PipelineRow, raw: RawLogits, forwards: Forwards, rows: LogitRows = TWIN
) -> SteeredLogits:
    """Run P1 to P4 and note the price; what is wrong with the row is an error of its own.

    Raises:
        ConstraintConflictError: no token may come.
        EngineFailureError: nothing can be drawn from these logits.
        ValueError: a factor or another forward gave what is no number.
    """
    feasible = _restricted(row, raw, rows)
    shaped = unshaped(feasible) if row.shape is None else row.shape.shape(feasible)
    guidance = row.guidance
    if guidance.composers:
        return _composed(row, shaped, forwards, rows)
    composed = uncomposed(shaped)
    if not guidance.factors:
        return unsteered(composed)
    found = rows.best(composed, guidance.candidates)  # of what the model itself says
    own = found.logits
    result, changed = steer_best(composed, found.token_ids, own, guidance.factors, forwards)
    row.price = price(changed, own, log_total=found.log_total)
    return result


def _restricted(row: PipelineRow, raw: RawLogits, rows: LogitRows) -> FeasibleLogits:
    if row.feasible is not None:
        return row.feasible.restrict(raw)
    if not rows.forbid(raw, None):
        raise damaged()
    return unrestricted(raw)


def _composed(
    row: PipelineRow, shaped: ShapedLogits, forwards: Forwards, rows: LogitRows
) -> SteeredLogits:
    model = ShapedLogits(shaped.copy())
    if forwards.baseline is not None:
        forwards = replace(forwards, baseline=_shaped_alike(row, forwards.baseline))
    composed = compose(shaped, row.guidance.composers, forwards)
    result = unsteered(composed)
    if row.guidance.factors:
        guidance = row.guidance
        result = steer(composed, guidance.factors, forwards, k=guidance.candidates)
    row.price = kl(result, model, rows)
    return result


def _shaped_alike(row: PipelineRow, logits: ShapedLogits) -> ShapedLogits:
    """Run P1 and P2 on another forward's row, so that what they do is not amplified by P3."""
    z = RawLogits(logits.copy())
    if row.feasible is not None:
        row.feasible.forbid(z)
    feasible = unrestricted(z)
    return unshaped(feasible) if row.shape is None else row.shape.shape(feasible)


def followers(
    row: PipelineRow, raw: RawLogits, forwards: Forwards, *, count: int
) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Return the `count` most probable tokens that may come next and their log-probabilities.

    These are the model's own, not renormalised by constraints; where penalties, composers or
    factors change the row, those of the changed row. Of equals the lower token comes first.

    Raises:
        ConstraintConflictError: no token may come.
    """
    changed = row.shape is not None or row.guidance.composers or row.guidance.factors
    log_total = 0.0 if changed else log_sum(raw.astype(np.float64))
    z = steered(row, raw, forwards)
    if changed:
        log_total = log_sum(z.astype(np.float64))
    row.price = 0.0
    if row.is_reweighted:
        z = _marked(row, z)
    tokens = _accepted(row, z, count)
    if not tokens:
        raise ConstraintConflictError("no token may follow a hypothesis of the beam")
    ids = np.array(tokens, np.int64)
    return ids, np.minimum(z[ids].astype(np.float64) - log_total, 0.0)


def _marked(row: PipelineRow, z: SteeredLogits) -> SteeredLogits:
    """Weigh the likeliest tokens as the mark does a greedy text's; the rest cannot come."""
    mark = row.guidance.mark
    assert mark is not None
    found = truncate(z, MARKED_GREEDY)
    marked = mark.reweight(found)
    own = z[found.token_ids].astype(np.float64)
    z.fill(-np.inf)
    z[found.token_ids] = own + (marked.log_probs - found.log_probs)
    return z


def _accepted(row: PipelineRow, z: SteeredLogits, count: int) -> list[int]:
    constraint = None if row.feasible is None else row.feasible.constraint
    tried = count if constraint is None else max(count, _MOST_TRIED)
    likeliest = _best(z, tried)
    if constraint is None:
        return likeliest.tolist()
    found: list[int] = []
    for token in likeliest.tolist():
        try:
            constraint.advance(token)
        except ConstraintConflictError:
            continue
        constraint.rollback(1)
        found.append(token)
        if len(found) == count:
            break
    return found


def _best(z: Float32[np.ndarray, " v"], count: int) -> Int64[np.ndarray, " k"]:
    if not z.max() > -np.inf:
        return np.zeros(0, np.int64)
    ids = best(z, count)
    chosen: Int64[np.ndarray, " k"] = ids[np.lexsort((ids, -z[ids].astype(np.float64)))]
    return chosen
