"""The engine: requests in, text out, all of them one step further at a time.

A step asks the scheduler which rows run, the runner for their logits and the sampler for tokens,
and gives each request its text. `AsyncEngine` turns the crank from a thread of its own; here
nothing waits and nothing is locked. Knows nothing of HTTP, documents or dialogue.
"""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from llm.block_manager import BlockManager, CacheDomain
from llm.chat import Completion, FinishReason, Message
from llm.chat_template import ChatTemplate
from llm.decoding.pipeline import Pipeline
from llm.decoding.sampler import BatchSampler
from llm.engine_statistics import EngineLimits, EngineState, EngineStatistics
from llm.errors import ContextOverflowError, EngineFailureError, LLMError
from llm.model_runner import EVERYTHING, ModelRunner, Span, batch_of
from llm.paged_cache import BLOCK
from llm.request import Listener, Part, Request
from llm.runner_choice import ChosenRunner
from llm.sampling_params import SamplingParams
from llm.scheduler import Scheduler
from llm.step_plan import Chunk, Step
from llm.sequence import Sequence as TokenSequence
from llm.sequence import Window
from llm.tokenizer import TextTokenizer

logger = logging.getLogger(__name__)

Logits = Float32[np.ndarray, "p v"]

_SINKS = 4
_LEAST_CONTEXT = 16
_PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as the engine needs it: what computes it, and what turns text into its tokens."""

    name: str
    compute: ChosenRunner
    tokenizer: TextTokenizer
    template: ChatTemplate
    context_size: int
    size: int  # of the vocabulary, as wide as the logits

    def __post_init__(self) -> None:
        held = self.compute.runner.num_blocks * BLOCK
        if not _LEAST_CONTEXT <= self.context_size <= held:
            raise ValueError(
                f"context_size must be in [{_LEAST_CONTEXT}, {held}], what the cache of"
                f" {self.name} holds; got {self.context_size}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """The tokens as the pipeline needs them, spelt out once."""

    size: int
    eos_ids: frozenset[int]
    token_bytes: tuple[bytes, ...]


class Engine:
    """Requests over one model; for one thread at a time."""

    def __init__(
        self,
        model: ServedModel,
        sampler: BatchSampler,
        *,
        limits: EngineLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve a model; `clock` counts seconds and never goes back."""
        self.model = model
        self.limits = limits or EngineLimits()
        self.statistics = EngineStatistics()
        self._runner: ModelRunner = model.compute.runner
        self._tokenizer = model.tokenizer
        self._token_bytes = tuple(map(model.tokenizer.token_bytes, range(model.size)))
        self._pipeline = Pipeline(
            sampler,
            _Tokens(
                size=model.size,
                eos_ids=model.tokenizer.eos_ids,
                token_bytes=self._token_bytes,
            ),
        )
        self._clock = clock
        self._blocks = BlockManager(num_blocks=self._runner.num_blocks, block_size=BLOCK)
        self._scheduler = Scheduler(
            self._blocks,
            max_rows=self.limits.max_rows,
            max_running=self.limits.max_running,
            max_waiting=self.limits.max_waiting,
            clock=clock,
        )
        self._numbers = itertools.count()
        self._requests: dict[int, Request] = {}

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

    def add_request(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        listener: Listener,
        *,
        cancel: threading.Event | None = None,
        tenant: str = "",
        priority: int = 0,
    ) -> Request:
        """Queue a request; `listener` hears of its text from `step`. A lower `priority` goes first.

        Raises:
            ContextOverflowError: the prompt leaves no room for a single token, and the request does
                not ask for a rolling cache.
            RequestTooLargeError: the whole cache could not hold it.
            EngineBusyError: as many requests wait as may.
            ConstraintConflictError: what is asked of its tokens contradicts itself.
        """
        if not prompt_ids:
            raise ValueError("a prompt needs at least one token")
        rolls = params.overflow == "roll"
        if len(prompt_ids) >= self.model.context_size and not rolls:
            raise ContextOverflowError(
                num_tokens=len(prompt_ids), limit=self.model.context_size - 1, what="the prompt"
            )
        room = self.model.context_size - len(prompt_ids)
        limit = params.max_tokens or max(room, 1)
        window = None
        if limit > room:
            if rolls:
                window = Window(sinks=_SINKS, size=self.model.context_size - _SINKS)
            else:
                limit = room
        now = self._clock()
        sequence = TokenSequence(
            number=next(self._numbers),
            token_ids=list(prompt_ids),
            domain=self._domain(tenant, window),
            max_tokens=limit,
            priority=priority,
            arrival=now,
            deadline=None if params.timeout_s is None else now + params.timeout_s,
            window=window,
        )
        seed = secrets.randbits(63) if params.seed is None else params.seed
        row = self._pipeline.join(params, seed, prompt_ids)
        try:
            self._scheduler.add(sequence)
        except LLMError:
            self._pipeline.leave(row)
            raise
        request = Request(
            sequence,
            row,
            cancel=cancel or threading.Event(),
            listener=listener,
        )
        self._requests[sequence.number] = request
        return request

    def _domain(self, tenant: str, window: Window | None) -> CacheDomain:
        mode = _PLAIN if window is None else f"sink:{window.sinks}:{window.size}"
        return CacheDomain(model=self.model.compute.fingerprint, tenant=tenant, mode=mode)

    def step(self) -> bool:
        """Bring the requests one step further; returns whether there was anything to do.

        No request can make another fail: what goes wrong with one row ends its request alone.
        """
        started = self._clock()
        ended = self._end_given_up()
        step = self._scheduler.schedule()
        if step is None:
            return ended
        if step.copies:
            self._runner.copy_blocks((copy.source, copy.target) for copy in step.copies)
        for chunk in step.chunks:
            self._requests[chunk.sequence.number].begin(chunk.start)
        scheduled = self._clock()
        chunks, logits = self._compute(step.chunks)
        forwarded = self._clock()
        self._scheduler.commit(step if len(chunks) == len(step.chunks) else _only(step, chunks))
        self._draw([chunk for chunk in chunks if chunk.needs_logits], logits)
        self.statistics.count_step(
            rows=sum(chunk.stop - chunk.start for chunk in chunks),
            preempted=len(step.preempted),
            forward_s=forwarded - scheduled,
            total_s=self._clock() - started,
        )
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

    def fail_all(self, error: Exception) -> None:
        """End every request with an error."""
        for request in list(self._requests.values()):
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

    def _end_given_up(self) -> bool:
        cancelled = [request for request in self._requests.values() if request.cancel.is_set()]
        for request in cancelled:
            self._finish(request, "cancelled")
        expired = self._scheduler.expired()
        for sequence in expired:
            self._finish(self._requests[sequence.number], "deadline")
        return bool(cancelled or expired)

    def _compute(self, chunks: Sequence[Chunk]) -> tuple[list[Chunk], Logits]:
        """Return the chunks that could be computed, and the logits of those that need them."""
        try:
            output = self._runner.forward(batch_of([_span_of(chunk) for chunk in chunks]))
        except Exception as error:  # it may be the fault of one row: each on its own
            if len(chunks) == 1:
                logger.exception("a step of one request failed")
                failed = self._requests[chunks[0].sequence.number]
                self._fail(failed, EngineFailureError(f"the engine failed: {error!r}"))
                return [], np.zeros((0, 0), np.float32)
        else:
            return list(chunks), output.logits
        kept: list[Chunk] = []
        rows: list[Logits] = []
        for chunk in chunks:
            done, logits = self._compute([chunk])
            kept += done
            rows.append(logits.copy())  # the runner uses the memory again
        return kept, np.concatenate([row for row in rows if row.size] or rows)

    def _draw(self, chunks: Sequence[Chunk], logits: Logits) -> None:
        if not chunks:
            return
        requests = [self._requests[chunk.sequence.number] for chunk in chunks]
        drawn = self._pipeline.draw(logits, [request.row for request in requests])
        now = self._clock()
        tokens = drawn.token_ids.tolist()
        for i, (request, token) in enumerate(zip(requests, tokens, strict=True)):
            if (error := drawn.errors.get(i)) is not None:
                self._fail(request, error)
            else:
                self._take(request, token, now)

    def _take(self, request: Request, token: int, now: float) -> None:
        self.statistics.count_token(request, now)
        request.row.take(token)
        self._scheduler.append(request.sequence, token)
        if token in self._tokenizer.eos_ids:
            request.note_token(now)
            self._finish(request, "stop")
        elif (reason := request.take(self._token_bytes[token], now)) is not None:
            self._finish(request, reason)

    def _finish(self, request: Request, reason: FinishReason) -> None:
        sequence = request.sequence
        left = 0
        if sequence.window is not None:
            kept = sequence.window.sinks + sequence.window.size
            left = max(0, sequence.num_computed - kept)
        self._remove(request)
        now = self._clock()
        self.statistics.count_end(request, reason, now)
        request.complete(reason, now=now, left_window=left)

    def _fail(self, request: Request, error: Exception) -> None:
        self._remove(request)
        self.statistics.count_end(request, "error", self._clock())
        request.fail(error)

    def _remove(self, request: Request) -> None:
        self._scheduler.finish(request.sequence)
        del self._requests[request.sequence.number]
        self._pipeline.leave(request.row)


def _only(step: Step, chunks: Sequence[Chunk]) -> Step:
    return replace(step, chunks=tuple(chunks))


def _span_of(chunk: Chunk) -> Span:
    sequence, start, stop = chunk.sequence, chunk.start, chunk.stop
    assert sequence.table is not None
    window = sequence.window
    return Span(
        token_ids=sequence.token_ids[start:stop],
        start=start,
        blocks=sequence.table.blocks,
        wants="last" if chunk.needs_logits else "none",
        sinks=0 if window is None else window.sinks,
        window=EVERYTHING if window is None else window.size,
    )
