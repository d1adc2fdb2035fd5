"""The phases of a decoding step, in their order, for the rows of a batch.

Rows that ask for nothing but temperature, top-k, top-p and min-p go to the sampler as they come.
For the others the phases before the draw write into their rows of logits, one row after the other;
then all are drawn together, except those with cuts that only the numpy twin knows. What goes wrong
with a row is an error of that row. Knows neither models nor requests.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int64

from llm.decoding.account import Account, TokenLogProbs
from llm.decoding.feasible import Clause, Feasible, fixed_clauses, string_clauses
from llm.decoding.logit_rows import damaged
from llm.decoding.lone_draw import LoneDraw, is_alone
from llm.decoding.phases import (
    UNGUIDED,
    Forwards,
    Guidance,
    RawLogits,
    Row,
    Tokens,
)
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.row_phases import followers, steered
from llm.decoding.sampler import DAMAGED, BatchSampler, SamplingRows
from llm.decoding.shape import Shape
from llm.decoding.spellings import Spellings
from llm.decoding.witnessed_draw import WitnessedDraw
from llm.decoding.word_lists import WordLists
from llm.errors import ConstraintConflictError, EngineFailureError, LLMError
from llm.sampling_params import SamplingParams

logger = logging.getLogger(__name__)

CONFLICT = -2  # stands for the token of a row for which the constraints left none, or that failed

_MAX_REDRAWS = 16
_SEED_BITS = 2**64 - 1
_NOTHING_ELSE = Forwards()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """The drawn tokens, row by row.

    `token_ids` is `DAMAGED` or `CONFLICT` for the rows that `errors` holds an error for.
    `logprobs` holds those of the rows that asked.
    """

    token_ids: Int64[np.ndarray, " r"]
    errors: Mapping[int, LLMError] = field(default_factory=dict)
    logprobs: Mapping[int, TokenLogProbs] = field(default_factory=dict)


class Pipeline:
    """The rows of a model and their way from logits to tokens. For one thread at a time."""

    def __init__(self, sampler: BatchSampler, tokens: Tokens) -> None:
        self._sampler = sampler
        self._whole = sampler.logit_rows
        self._tokens = tokens
        self._word_lists = WordLists(Spellings(tokens.token_bytes), tokens.eos_ids)
        self._sampling = SamplingRows()
        self._alone = LoneDraw(sampler, self._sampling)
        self._witnessed = WitnessedDraw(sampler, self._sampling)
        self._rows: list[PipelineRow] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._rows)

    def join(
        self,
        params: SamplingParams,
        seed: int,
        prompt_ids: Sequence[int],
        guidance: Guidance = UNGUIDED,
        *,
        stream: int = 0,
    ) -> PipelineRow:
        """Add a branch; `stream` tells branches of one request apart.

        What guides it is its own from now on.

        Raises:
            ConstraintConflictError: the constraints contradict each other from the start, or name
                tokens that the model does not have.
            ValueError: the seed does not fit in 64 bits, or the stream in 32.
        """
        feasible = Feasible(
            self._clauses(params), guidance.grammar, size=self._tokens.size, rows=self._whole
        )
        if feasible.is_needed:
            feasible.narrow()
        breakers = None
        if params.dry is not None and params.dry.multiplier > 0:
            breakers = self._word_lists.breakers(params.dry.breakers)
        shape = Shape(params, prompt_ids, breakers=breakers)
        row = PipelineRow(
            Row(request=next(self._numbers), branch=stream),
            params,
            seed=seed & _SEED_BITS if -(2**63) <= seed < 2**64 else seed,
            position=len(prompt_ids),
            feasible=feasible if feasible.is_needed else None,
            shape=shape if shape.is_needed else None,
            guidance=guidance,
        )
        return self._seated(row)

    def fork(self, row: PipelineRow, *, stream: int, draft_offset: int = 0) -> PipelineRow:
        """Add a copy of a branch that goes on by itself."""
        name = Row(request=row.row.request, branch=stream, draft_offset=draft_offset)
        return self._seated(row.fork(name))

    def leave(self, row: PipelineRow) -> None:
        """Take a branch out."""
        assert self._rows[row.slot] is row
        self._sampling.leave(row.slot)
        del self._rows[row.slot]
        for behind in self._rows[row.slot :]:
            behind.slot -= 1
        row.slot = -1

    def draw(
        self,
        logits: Float32[np.ndarray, "r v"],
        rows: Sequence[PipelineRow],
        forwards: Sequence[Forwards] | None = None,
    ) -> PipelineResult:
        """Draw a token for each row; the logits may be overwritten.

        A row changes by `PipelineRow.take`, which must follow a draw before the next. Rows with
        composers or factors need their `forwards`.

        Raises:
            ValueError: the logits do not fit the rows.
        """
        seats = self._seats(rows)
        if all(map(_is_plain, rows)):
            return _plain_result(self._witnessed.draw(logits, rows, seats))
        return self._draw_phased(logits, rows, seats, forwards)

    def followers(
        self,
        logits: Float32[np.ndarray, " v"],
        row: PipelineRow,
        forwards: Forwards = _NOTHING_ELSE,
        *,
        count: int,
    ) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return what a beam wants of a row instead of a draw; see `row_phases.followers`.

        Raises:
            ConstraintConflictError: no token may come.
            EngineFailureError: the logits are damaged.
        """
        row.forget_draw()
        z = self._writable(logits[None], 1)[0]
        if not np.isfinite(z.max()):
            raise damaged()
        return followers(row, RawLogits(z), forwards, count=count)

    def _draw_phased(
        self,
        logits: Float32[np.ndarray, "r v"],
        rows: Sequence[PipelineRow],
        seats: SamplingRows,
        forwards: Sequence[Forwards] | None,
    ) -> PipelineResult:
        z = self._writable(logits, len(rows))
        phased = [(i, row) for i, row in enumerate(rows) if not _is_plain(row)]
        errors: dict[int, LLMError] = {}
        for i, row in phased:
            beside = _NOTHING_ELSE if forwards is None else forwards[i]
            self._prepare(i, row, z[i], beside, errors)
        tokens = self._draw_together(z, rows, seats, errors)
        logprobs: dict[int, TokenLogProbs] = {}
        for i, row in phased:
            told = None if i in errors else self._settle(i, row, tokens, errors)
            if told is not None:
                logprobs[i] = told
        for i, row in enumerate(rows):
            if row.witness is not None and i not in errors:
                seen = z[i] if row.logits is None else row.logits
                self._witnessed.bear_witness(row, seen, int(tokens[i]))
        for i, error in errors.items():
            tokens[i] = DAMAGED if isinstance(error, EngineFailureError) else CONFLICT
        return PipelineResult(token_ids=tokens, errors=errors, logprobs=logprobs)

    def _writable(
        self, logits: Float32[np.ndarray, "r v"], count: int
    ) -> Float32[np.ndarray, "r v"]:
        if logits.shape != (count, self._tokens.size):
            raise ValueError(
                f"logits of shape {logits.shape} do not fit {count} rows of"
                f" {self._tokens.size} tokens"
            )
        as_they_are = logits.dtype == np.float32 and logits.flags.writeable
        return logits if as_they_are else logits.astype(np.float32)

    def _draw_together(
        self,
        logits: Float32[np.ndarray, "r v"],
        rows: Sequence[PipelineRow],
        seats: SamplingRows,
        errors: dict[int, LLMError],
    ) -> Int64[np.ndarray, " r"]:
        """Draw for the rows whose cuts the sampler knows."""
        together = [i for i, row in enumerate(rows) if not is_alone(row) and i not in errors]
        if len(together) == len(rows):
            tokens = self._sampler.draw(logits, seats)
        else:
            tokens = np.full(len(rows), CONFLICT, np.int64)
            if together:
                tokens[together] = self._sampler.draw(logits[together], seats.at(together))
        errors.update((i, damaged()) for i in together if tokens[i] == DAMAGED)
        return tokens

    def _prepare(
        self,
        i: int,
        row: PipelineRow,
        z: Float32[np.ndarray, " v"],
        forwards: Forwards,
        errors: dict[int, LLMError],
    ) -> None:
        """Run the phases before the cuts."""
        row.forget_draw()
        raw = RawLogits(z)
        if row.params.logprobs:
            if not self._whole.forbid(z, None):
                errors[i] = damaged()
                return
            row.account = Account(raw)
        try:
            row.logits = steered(row, raw, forwards, self._whole)
        except LLMError as error:
            errors[i] = error
        except Exception as error:  # of a grammar: its row alone fails
            logger.exception("a row of the pipeline failed")
            errors[i] = _failure(error)

    def _settle(
        self,
        i: int,
        row: PipelineRow,
        tokens: Int64[np.ndarray, " r"],
        errors: dict[int, LLMError],
    ) -> TokenLogProbs | None:
        """Draw what was not drawn yet, until the grammar agrees; then give the account."""
        try:
            if is_alone(row):
                tokens[i] = self._alone.draw(row)
            for _ in range(_MAX_REDRAWS):
                if row.accept(int(tokens[i])):
                    return self._told(row, int(tokens[i]))
                assert row.feasible is not None
                assert row.logits is not None
                row.logits = row.feasible.restrict_further(row.logits)
                tokens[i] = self._alone.draw(row)
        except LLMError as error:
            errors[i] = error
            return None
        except Exception as error:
            logger.exception("a row of the pipeline failed")
            errors[i] = _failure(error)
            return None
        errors[i] = ConstraintConflictError(
            f"the grammar refused {_MAX_REDRAWS} tokens one after the other; make it simpler"
        )
        return None

    def _told(self, row: PipelineRow, token: int) -> TokenLogProbs | None:
        if row.account is None:
            return None
        params = row.params
        return row.account.of(
            token,
            allowed=None if row.feasible is None else row.feasible.allowed,
            survivors=self._alone.survivors(row) if params.logprobs_mode == "final" else None,
            mode=params.logprobs_mode,
            num_top=params.top_logprobs,
        )

    def _seated(self, row: PipelineRow) -> PipelineRow:
        row.slot = self._sampling.join(
            row.params, seed=row.seed, position=row.position, stream=row.row.branch
        )
        self._rows.append(row)
        return row

    def _seats(self, rows: Sequence[PipelineRow]) -> SamplingRows:
        slots = [row.slot for row in rows]
        everybody = len(slots) == len(self._rows) and slots == list(range(len(slots)))
        seats = self._sampling if everybody else self._sampling.at(slots)
        seats.positions[:] = [row.position for row in rows]
        for i, row in enumerate(rows):
            if row.keyed is not None:
                seats.set_noise(i, *row.noise)
        return seats

    def _clauses(self, params: SamplingParams) -> list[Clause]:
        banned = allowed = None
        if params.banned_strings:
            banned = self._word_lists.banned(params.banned_strings)
        if params.allowed_strings:
            allowed = self._word_lists.allowed(params.allowed_strings)
        fixed = fixed_clauses(params, self._tokens)
        return fixed + string_clauses(self._tokens, banned=banned, allowed=allowed)


def _failure(error: Exception) -> EngineFailureError:
    return EngineFailureError(f"the constraints of this request failed: {error!r}")


def _is_plain(row: PipelineRow) -> bool:
    return row.is_plain and row.drafted is None


def _plain_result(tokens: Int64[np.ndarray, " r"]) -> PipelineResult:
    if not len(tokens) or tokens.min() >= 0:
        return PipelineResult(token_ids=tokens)
    broken = np.flatnonzero(tokens == DAMAGED).tolist()
    return PipelineResult(token_ids=tokens, errors={i: damaged() for i in broken})
