"""The engine: requests in, text out, all of them one step further at a time.

A step asks the scheduler which rows run, the runner for their logits and the pipeline for tokens,
and gives each request its text. `AsyncEngine` turns the crank from a thread of its own; here
nothing waits and nothing is locked. Knows nothing of HTTP, documents or dialogue.
"""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Unpack

from llm.beam_run import forked
from llm.block_manager import BlockManager
from llm.branch import Branch
from llm.chat import Completion, FinishReason, Message
from llm.decoding.account import TokenLogProbs
from llm.decoding.compose import default_exit_layer
from llm.decoding.controls import ControlBuilder
from llm.decoding.pipeline import Pipeline
from llm.decoding.sampler import BatchSampler
from llm.decoding.vocabulary import Vocabulary
from llm.draft_rounds import Contender, draw_rounds, propose
from llm.engine_statistics import EngineLimits, EngineState, EngineStatistics
from llm.errors import EngineFailureError, LLMError
from llm.head_store import HeadStore
from llm.model_runner import NO_EXIT, ModelRunner
from llm.paged_cache import BLOCK
from llm.preparation import (
    EngineFacts,
    PreparedRequest,
    Submission,
    SubmissionOptions,
    begin,
    prepare,
)
from llm.request import Listener, Part, Request
from llm.sampling_params import SamplingParams
from llm.scheduler import Scheduler
from llm.sequence import Gang
from llm.served_model import ServedModel, SpeltTokens
from llm.step_plan import Chunk, Step
from llm.step_rows import StepRows, compute
from llm.text_scoring import TokenScoring
from llm.watermark.marker import Marker

logger = logging.getLogger(__name__)


class Engine:
    """Requests over one model; for one thread at a time, but `encode` and `prepare` for any."""

    def __init__(
        self,
        model: ServedModel,
        sampler: BatchSampler,
        *,
        limits: EngineLimits | None = None,
        marker: Marker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve a model; `clock` counts seconds and never goes back. No marker, no marks."""
        self.model = model
        self.limits = limits or EngineLimits()
        self.statistics = EngineStatistics()
        self.marker = marker
        self.controls = ControlBuilder(
            lambda: Vocabulary(model.tokenizer, size=model.size),
            model.tokenizer.encode,
            HeadStore(model.head_folders, model.compute.unembedding),
            drafts=model.compute.determinism == "strict",
        )
        self._runner: ModelRunner = model.compute.runner
        self._tokens = SpeltTokens(
            size=model.size,
            eos_ids=model.tokenizer.eos_ids,
            token_bytes=tuple(map(model.tokenizer.token_bytes, range(model.size))),
        )
        self._pipeline = Pipeline(sampler, self._tokens)
        self._exit_layer = default_exit_layer(model.num_layers)
        self._clock = clock
        self._blocks = BlockManager(num_blocks=self._runner.num_blocks, block_size=BLOCK)
        self._scheduler = Scheduler(
            self._blocks,
            max_rows=self.limits.max_rows,
            max_running=self.limits.max_running,
            max_waiting=self.limits.max_waiting,
            clock=clock,
        )
        self.scoring = TokenScoring(
            self._runner, self._blocks, self.limits.max_rows, model.context_size
        )
        self._next_number = itertools.count().__next__
        self._facts = EngineFacts(
            tokens=self._tokens,
            fingerprint=model.compute.fingerprint,
            numbers=self._next_number,
            marker=marker,
        )
        self._requests: dict[int, Request] = {}  # by the number of their first sequence
        self._owners: dict[int, Request] = {}  # by the numbers of all their sequences

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._requests)

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests under way, waiting ones included, by arrival."""
        return tuple(self._requests.values())

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt of a chat as token ids."""
        return self.model.template.encode(messages)

    def prepare(self, submission: Submission) -> PreparedRequest:
        """Make a request ready, on the thread of whoever asks; see `llm.preparation.prepare`."""
        return prepare(submission, self.controls, context_size=self.model.context_size)

    def add_request(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        listener: Listener,
        **options: Unpack[SubmissionOptions],
    ) -> Request:
        """Prepare a request and queue it; see `prepare` and `add`."""
        submission = Submission(prompt_ids=prompt_ids, params=params, **options)
        return self.add(self.prepare(submission), listener)

    def add(self, prepared: PreparedRequest, listener: Listener) -> Request:
        """Queue a request; `listener` hears of its text from `step`.

        Raises:
            RequestTooLargeError: the whole cache could not hold it, or not all of its branches.
            EngineBusyError: as many requests wait as may.
            ConstraintConflictError: what is asked of its tokens contradicts itself.
        """
        request = begin(
            prepared,
            listener,
            self._pipeline,
            self._facts,
            now=self._clock(),
        )
        try:
            self._scheduler.add(request.sequence)
        except LLMError:
            self._pipeline.leave(request.row)
            raise
        self._enter(request)
        return request

    def _enter(self, request: Request) -> None:
        self._requests[request.sequence.number] = request
        self._own(request, request.branch)

    def _own(self, request: Request, branch: Branch) -> None:
        for sequence in branch.sequences:
            self._owners[sequence.number] = request

    # --- a step ------------------------------------------------------------------------------

    def step(self) -> bool:
        """Bring the requests one step further; returns whether there was anything to do.

        No request can make another fail: what goes wrong with one row ends its request alone.
        """
        started = self._clock()
        ended = self._end_given_up()
        propose(self._requests.values())
        step = self._scheduler.schedule()
        if step is None:
            return ended
        if step.copies:
            self._runner.copy_blocks((copy.source, copy.target) for copy in step.copies)
        needs_exit = False
        for chunk in step.chunks:
            owner = self._owners[chunk.sequence.number]
            owner.begin(chunk.start)
            needs_exit = needs_exit or owner.wiring.needs_exit
        scheduled = self._clock()
        exit_layer = self._exit_layer if needs_exit else NO_EXIT
        rows = compute(self._runner, step.chunks, exit_layer=exit_layer, fail=self._fail_chunk)
        forwarded = self._clock()
        self._scheduler.commit(
            Step(chunks=rows.chunks, copies=step.copies, preempted=step.preempted)
        )
        self._draw(rows)
        self.statistics.count_step(
            rows=sum(chunk.num_rows for chunk in rows.chunks),
            preempted=len(step.preempted),
            forward_s=forwarded - scheduled,
            total_s=self._clock() - started,
        )
        return True

    def _draw(self, rows: StepRows) -> None:
        """Draw for all whose rows are there: those of one branch, then the beams."""
        places: dict[int, tuple[int, Chunk]] = {}  # where the rows of a sequence begin
        for chunk, start in zip(rows.chunks, rows.starts, strict=True):
            if chunk.needs_logits and chunk.sequence.number in self._owners:
                places[chunk.sequence.number] = start, chunk
        contenders: list[Contender] = []
        beams: dict[int, Request] = {}
        for number, (start, chunk) in places.items():
            request = self._owners[number]
            if request.beam is not None:
                beams[request.sequence.number] = request
                continue
            if number != request.sequence.number:  # its other prompt
                continue
            baseline = request.branch.baseline
            beside = None if baseline is None else places[baseline.number][0]
            contenders += [
                Contender(each, start=start, baseline=beside, draft=chunk.draft)
                for each in (request, *self._branch_off(request))
            ]
        if contenders:
            draw_rounds(contenders, rows, self._pipeline, take=self._take, fail=self._fail)
            for contender in contenders:
                self._accept(contender)
        for request in beams.values():
            self._advance_beam(request, rows, {n: start for n, (start, _) in places.items()})

    def _accept(self, contender: Contender) -> None:
        request, accepted = contender.request, contender.accepted
        request.pace.note(len(contender.draft), accepted)
        if accepted and request.sequence.number in self._requests:
            for sequence in request.branch.sequences:
                self._scheduler.accept(sequence, accepted)

    def _branch_off(self, request: Request) -> list[Request]:
        """Fork the other answers of a request, all of which draw from the same first row."""
        if request.has_branched:
            return []
        request.has_branched = True
        others = []
        for choice, listener in enumerate(request.wiring.other_listeners, start=1):
            branch = forked(
                request.branch,
                self._scheduler,
                self._pipeline,
                self._next_number,
                gang=None if request.branch.baseline is None else Gang(2),
                stream=choice,
            )
            other = request.fork(branch, listener, choice=choice)
            self._enter(other)
            others.append(other)
        return others

    def _advance_beam(self, request: Request, rows: StepRows, starts: dict[int, int]) -> None:
        beam = request.beam
        assert beam is not None
        try:
            logits, forwards = [], []
            for branch in beam.live:
                row = starts[branch.sequence.number]
                baseline = None if branch.baseline is None else starts[branch.baseline.number]
                logits.append(rows.logits[row])
                forwards.append(rows.forwards(row, baseline))
            candidates = beam.candidates(self._pipeline, logits, forwards)
            left = list(beam.live)
            for branch in beam.advance(
                candidates, self._scheduler, self._pipeline, self._next_number
            ):
                self._own(request, branch)
        except LLMError as error:
            self._fail(request, error)
            return
        except Exception as error:
            logger.exception("a beam failed")
            self._fail(request, EngineFailureError(f"the beam failed: {error!r}"))
            return
        for branch in (branch for branch in left if branch not in beam.live):
            self._disown(branch)
        now = self._clock()
        self.statistics.count_token(request, now)
        request.note_token(now)
        if beam.is_done:
            self._finish(request, "stop")

    def _take(self, request: Request, token: int, told: TokenLogProbs | None) -> bool:
        """Give a request its next token; returns whether it goes on."""
        now = self._clock()
        self.statistics.count_token(request, now)
        if told is not None and token not in self._tokens.eos_ids:
            spelt = self._tokens.token_bytes
            request.account(told, spelt[token], tuple(spelt[other] for other, _ in told.top))
        request.row.take(token)
        if request.drafter is not None:
            request.drafter.take(token)
        for sequence in request.branch.sequences:
            self._scheduler.append(sequence, token)
        if token in self._tokens.eos_ids:
            request.note_token(now)
            self._finish(request, "stop")
            return False
        if (reason := request.take(self._tokens.token_bytes[token], now)) is not None:
            self._finish(request, reason)
            return False
        return True

    def generate_batch(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        """Continue some prompts side by side, on the caller's thread, and return all completions.

        Raises:
            LLMError: the first that any of them met.
        """
        ends: dict[int, Part | Exception] = {}
        for i, prompt in enumerate(prompts):
            self.add_request(prompt, params, lambda part, i=i: ends.__setitem__(i, part))  # type: ignore[misc]
        while self.has_work:
            self.step()
        completions = [ends[i] for i in range(len(prompts))]
        for completion in completions:
            if isinstance(completion, Exception):
                raise completion
        return [completion for completion in completions if isinstance(completion, Completion)]

    def _end_given_up(self) -> bool:
        cancelled = [r for r in self._requests.values() if r.wiring.cancel.is_set()]
        for request in cancelled:
            self._finish(request, "cancelled")
        expired = {self._owners[s.number].sequence.number for s in self._scheduler.expired()}
        for number in expired:
            self._finish(self._requests[number], "deadline")
        return bool(cancelled or expired)

    def _finish(self, request: Request, reason: FinishReason) -> None:
        sequence = request.sequence
        if request.beam is not None:
            request.beam.cut(reason)
        elif sequence.num_generated > 1:
            history = self.controls.histories.of(sequence.domain.tenant)
            history.add(sequence.token_ids[sequence.num_prompt_tokens :])
        self._remove(request)
        now = self._clock()
        self.statistics.count_end(request, reason, now)
        request.complete(reason, now=now)

    def _fail(self, request: Request, error: Exception) -> None:
        self._remove(request)
        self.statistics.count_end(request, "error", self._clock())
        request.fail(error)

    def _fail_chunk(self, chunk: Chunk, error: Exception) -> None:
        request = self._owners.get(chunk.sequence.number)
        if request is not None:
            logger.error("a step of one request failed", exc_info=error)
            self._fail(request, EngineFailureError(f"the engine failed: {error!r}"))

    def _remove(self, request: Request) -> None:
        for branch in request.branches:
            for sequence in branch.sequences:
                self._scheduler.finish(sequence)
            self._pipeline.leave(branch.row)
            self._disown(branch)
        del self._requests[request.sequence.number]

    def _disown(self, branch: Branch) -> None:
        for sequence in branch.sequences:
            self._owners.pop(sequence.number, None)

    def fail_all(self, error: Exception) -> None:
        """End every request with an error."""
        for request in list(self._requests.values()):
            if request.sequence.number in self._requests:  # one may have taken others with it
                self._fail(request, error)

    def state(self) -> EngineState:
        """Return a picture of what runs, waits and is kept."""
        prefix = self._blocks.statistics
        return EngineState(
            running=self._scheduler.num_running,
            waiting=self._scheduler.num_waiting,
            num_blocks=self._blocks.num_blocks,
            used_blocks=self._blocks.num_used,
            cached_blocks=self._blocks.num_cached,
            block_size=BLOCK,
            prefix_queried_tokens=prefix.queried_tokens,
            prefix_hit_tokens=prefix.hit_tokens,
            evicted_blocks=prefix.evictions,
            kernels=self._runner.kernels,
            threads=self.model.compute.threads,
            determinism=self.model.compute.determinism,
            fingerprint=self.model.compute.fingerprint,
            context_size=self.model.context_size,
            limits=self.limits,
        )

    def check(self) -> None:
        """Assert that blocks and tables agree; for tests and soak runs."""
        self._blocks.check()
