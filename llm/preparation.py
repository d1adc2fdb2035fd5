"""What is asked of the engine, made ready: from a submission to a request with its first branch.

The slow part, `prepare`, needs nothing of the engine, so any thread may do it; `begin` takes the
engine's own pipeline. Knows no scheduler.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

from llm.beam_run import BeamRun
from llm.block_manager import CacheDomain
from llm.branch import Branch
from llm.decoding.controls import ControlBuilder, Controls
from llm.decoding.phases import Tokens
from llm.decoding.pipeline import Pipeline
from llm.decoding.search.beam import BeamSearch
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.decoding.truncate import GREEDY_BELOW
from llm.errors import ContextOverflowError
from llm.request import Listener, Request, Wiring
from llm.request_group import RequestGroup
from llm.sampling_params import SamplingParams
from llm.sequence import Gang, Window
from llm.sequence import Sequence as TokenSequence
from llm.watermark.marker import Marker, ReplyMark

_SINKS = 4
_PLAIN_MODE = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Token ids to continue.

    `baseline_ids` is the same prompt without the evidence, which context-aware decoding needs. A
    lower `priority` goes first. Setting `cancel` ends all of it at the next step.
    """

    prompt_ids: Sequence[int]
    params: SamplingParams
    spec: DecodeSpec = PLAIN
    baseline_ids: Sequence[int] = ()
    tenant: str = ""
    priority: int = 0
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise ValueError("a prompt needs at least one token")
        if bool(self.baseline_ids) != (self.spec.context_faithfulness > 0):
            raise ValueError(
                "context_faithfulness needs a second prompt without the evidence, and nothing else"
                " does"
            )


class SubmissionOptions(TypedDict, total=False):
    """The fields of a submission that may be left out."""

    spec: DecodeSpec
    baseline_ids: Sequence[int]
    tenant: str
    priority: int
    cancel: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A submission whose grammar is compiled and whose heads are loaded.

    `params` are those it is drawn by. At most `max_tokens` come; with a `window` early ones leave
    the cache.
    """

    submission: Submission
    params: SamplingParams
    controls: Controls
    max_tokens: int
    window: Window | None

    @property
    def num_choices(self) -> int:
        """How many answers are drawn."""
        spec = self.submission.spec
        if spec.search.method == "beam":
            return 1
        return spec.num_choices if spec.search.method == "sample" else spec.search.width


def prepare(
    submission: Submission, builder: ControlBuilder, *, context_size: int
) -> PreparedRequest:
    """Make a request ready; it may take a while.

    Raises:
        ContextOverflowError: the prompt leaves no room for a single token, and the request does
            not ask for a rolling cache.
        ConstraintError: what is asked of the output contradicts itself or cannot be had.
        HeadError: a head that is named is not there, or is no good.
    """
    params, spec = submission.params, submission.spec
    if spec.search.method in ("best_of", "mbr", "self_consistency"):
        params = replace(params, logprobs=True)  # by which they are ranked, or ties are broken
    longest = max(len(submission.prompt_ids), len(submission.baseline_ids))
    rolls = params.overflow == "roll"
    if longest >= context_size and not rolls:
        raise ContextOverflowError(num_tokens=longest, limit=context_size - 1, what="the prompt")
    room = context_size - longest
    limit, window = params.max_tokens or max(room, 1), None
    if limit > room and rolls:
        window = Window(sinks=_SINKS, size=context_size - _SINKS)
    elif limit > room:
        limit = room
    return PreparedRequest(
        submission=submission,
        params=params,
        controls=builder.build(
            spec, params, submission.prompt_ids, max_tokens=limit, tenant=submission.tenant
        ),
        max_tokens=limit,
        window=window,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What a request takes from the engine; each call of `numbers` gives another number."""

    tokens: Tokens
    fingerprint: str
    numbers: Callable[[], int]
    marker: Marker | None = None


def begin(
    prepared: PreparedRequest,
    listener: Listener,
    pipeline: Pipeline,
    engine: EngineFacts,
    *,
    now: float,
) -> Request:
    """Return a request with a row in the pipeline and a sequence that waits to be queued.

    Raises:
        ConstraintConflictError: what is asked of its tokens contradicts itself.
    """
    submission, controls = prepared.submission, prepared.controls
    sequences = [
        _sequence(ids, prepared, fingerprint=engine.fingerprint, number=engine.numbers(), now=now)
        for ids in (submission.prompt_ids, submission.baseline_ids)
        if ids
    ]
    search = submission.spec.search
    is_beam = search.method == "beam"
    gang = None
    if is_beam or len(sequences) > 1:
        gang = Gang(len(sequences) * (search.width if is_beam else 1))
        for sequence in sequences:
            gang.add(sequence)
    seed = secrets.randbits(63) if prepared.params.seed is None else prepared.params.seed
    guidance = replace(controls.guidance, mark=_mark(prepared, engine.marker, seed))
    branch = Branch(
        sequence=sequences[0],
        row=pipeline.join(prepared.params, seed, submission.prompt_ids, guidance),
        baseline=sequences[1] if len(sequences) > 1 else None,
    )
    first, *others = _listeners(prepared, listener)
    wiring = Wiring(
        cancel=submission.cancel,
        accepts=controls.accepts,
        needs_exit=controls.needs_exit,
        verifies_by_rejection=submission.spec.speculation.verify == "rejection",
        max_draft=submission.spec.speculation.max_draft,
        other_listeners=tuple(others),
    )
    request = Request(branch, wiring, listener=first, drafter=controls.drafter())
    if is_beam:
        assert gang is not None
        request.beam = BeamRun(
            BeamSearch(search, max_tokens=prepared.max_tokens, eos_ids=engine.tokens.eos_ids),
            branch,
            gang,
            width=search.width,
            token_bytes=engine.tokens.token_bytes,
            may_stop=controls.accepts,
        )
    return request


def _mark(prepared: PreparedRequest, marker: Marker | None, seed: int) -> ReplyMark | None:
    """Return the mark of a request, where the service marks at all.

    What is drawn by rejection or found by a beam carries no mark of noise.
    """
    spec, params = prepared.submission.spec, prepared.params
    if marker is None:
        return None
    undrawn = spec.search.method == "beam" or spec.speculation.verify == "rejection"
    is_greedy = undrawn or params.temperature < GREEDY_BELOW
    return marker.start(spec.mark, is_greedy=is_greedy, seed=seed)


def _listeners(prepared: PreparedRequest, listener: Listener) -> list[Listener]:
    count = prepared.num_choices
    if count == 1:
        return [listener]
    submission = prepared.submission
    group = RequestGroup(
        count,
        submission.spec.search,
        listener,
        submission.cancel.set,
        tells_log_probs=submission.params.logprobs,
    )
    return [group.listener_of(choice) for choice in range(count)]


def _sequence(
    token_ids: Sequence[int],
    prepared: PreparedRequest,
    *,
    fingerprint: str,
    number: int,
    now: float,
) -> TokenSequence:
    submission, window = prepared.submission, prepared.window
    timeout_s = submission.params.timeout_s
    mode = _PLAIN_MODE if window is None else f"sink:{window.sinks}:{window.size}"
    return TokenSequence(
        number=number,
        token_ids=list(token_ids),
        domain=CacheDomain(model=fingerprint, tenant=submission.tenant, mode=mode),
        max_tokens=prepared.max_tokens,
        priority=submission.priority,
        arrival=now,
        deadline=None if timeout_s is None else now + timeout_s,
        window=window,
    )
