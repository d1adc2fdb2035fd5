"""Drafts before a step and their verification after it.

A draft is verified from its first token on: a row is drawn as it would be without drafts, and as
long as the draw is what was guessed, the next row is the right one to draw from. So every phase
sees a branch's own history, and nothing has to be taken back. Knows neither cache nor model.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from llm.decoding.account import TokenLogProbs
from llm.decoding.grammar import GrammarState
from llm.decoding.phases import Forwards
from llm.decoding.pipeline import Pipeline
from llm.errors import ConstraintError
from llm.request import Request
from llm.sequence import SequenceState
from llm.step_rows import StepRows

logger = logging.getLogger(__name__)

_ROW_COST = 0.12  # a further row in a step of one row, in parts of that step


class Contender:
    """A branch whose rows are there: the first at `start`, behind it one for each drafted token.

    `baseline` is where the rows of its other prompt begin. `accepted` is how many drafted tokens
    were right.
    """

    __slots__ = ("accepted", "baseline", "draft", "request", "start")

    def __init__(
        self, request: Request, *, start: int, baseline: int | None, draft: tuple[int, ...]
    ) -> None:
        self.request = request
        self.start = start
        self.baseline = baseline
        self.draft = draft
        self.accepted = 0


Take = Callable[[Request, int, TokenLogProbs | None], bool]
Fail = Callable[[Request, Exception], None]


def propose(requests: Iterable[Request]) -> None:
    """Let whoever has a drafter guess; guesses that a grammar forbids are cut off."""
    drafting = [r for r in requests if r.sequence.state is SequenceState.RUNNING]
    rows = len(drafting)
    row_cost = _ROW_COST * rows / (1 + _ROW_COST * (rows - 1)) if rows else 0.0
    for request in drafting:
        if request.drafter is None:
            continue
        draft = tuple(_draft(request, row_cost))
        for sequence in request.branch.sequences:
            sequence.draft = draft


def _draft(request: Request, row_cost: float) -> Sequence[int]:
    sequence = request.sequence
    if len(sequence.token_ids) - sequence.num_computed != 1:
        return ()
    assert request.drafter is not None
    left = sequence.max_tokens - sequence.num_generated - 1
    length = request.pace.next_length(min(request.wiring.max_draft, left), row_cost=row_cost)
    if length <= 0:
        return ()
    draft = list(request.drafter.propose(length))
    feasible = request.row.feasible
    if draft and feasible is not None and isinstance(feasible.constraint, GrammarState):
        del draft[_count_legal(feasible.constraint, draft) :]
    return draft


def _count_legal(state: GrammarState, draft: list[int]) -> int:
    """Return how much of a guess may come; nothing where its grammar cannot say.

    What is wrong with the grammar is told when the next token is drawn, to its request alone.
    """
    try:
        return state.count_legal(draft)
    except ConstraintError:
        return 0
    except Exception:
        logger.exception("a draft was given up")
        return 0


def draw_rounds(
    contenders: Sequence[Contender],
    rows: StepRows,
    pipeline: Pipeline,
    *,
    take: Take,
    fail: Fail,
) -> None:
    """Draw a token for all, then a second for those whose draft was right so far, and so on.

    `take` gives a request its token and says whether it goes on.
    """
    alive = list(contenders)
    offset = 0
    for contender in contenders:
        contender.request.drafted_tokens += len(contender.draft)
    while alive:
        places = [contender.start + offset for contender in alive]
        logits = rows.logits if places == list(range(len(rows.logits))) else rows.logits[places]
        drawing = [contender.request.row for contender in alive]
        for contender in alive:
            by_coin = contender.request.wiring.verifies_by_rejection
            has_draft = by_coin and offset < len(contender.draft)
            contender.request.row.drafted = contender.draft[offset] if has_draft else None
        forwards = None
        if any(row.guidance.composers or row.guidance.factors for row in drawing):
            forwards = [_forwards(contender, rows, offset) for contender in alive]
        drawn = pipeline.draw(np.ascontiguousarray(logits), drawing, forwards)
        going_on: list[Contender] = []
        for i, (contender, token) in enumerate(zip(alive, drawn.token_ids.tolist(), strict=True)):
            if (error := drawn.errors.get(i)) is not None:
                fail(contender.request, error)
                continue
            is_right = offset < len(contender.draft) and token == contender.draft[offset]
            contender.accepted += is_right
            contender.request.accepted_tokens += is_right
            if take(contender.request, token, drawn.logprobs.get(i)) and is_right:
                going_on.append(contender)
        alive = going_on
        offset += 1


def _forwards(contender: Contender, rows: StepRows, offset: int) -> Forwards:
    baseline = contender.baseline
    return rows.forwards(contender.start + offset, None if baseline is None else baseline + offset)
