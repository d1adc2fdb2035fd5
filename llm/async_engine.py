"""The engine's thread and its faces: a stream for threads, a stream for coroutines.

Requests reach the engine through a queue and parts come back through one of each request's own, so
nobody waits for anybody but the model. Who goes away sets `cancel`, and the engine frees the
request's blocks at the next step, be it in the queue, in the prompt or in the answer.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from llm.block_manager import CacheDomain
from llm.chat import Completion, LinkedEvent, Message, TextDelta, TextScores
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.engine import Engine
from llm.engine_statistics import BACKGROUND, EngineState, EngineStatistics
from llm.errors import EngineFailureError, LLMError
from llm.preparation import PreparedRequest, Submission
from llm.request import Listener, Part
from llm.sampling_params import SamplingParams

logger = logging.getLogger(__name__)

_IDLE_S = 0.5
_JOIN_S = 10.0


_Arrival = tuple[PreparedRequest, Listener]
_Job = Callable[[], None]
_T = TypeVar("_T")


class AsyncEngine:
    """Runs an engine on a thread of its own; a `ChatModel`."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine over and start; nobody else may call its `step` from now on."""
        self._engine = engine
        self.name = engine.model.name
        self.context_size = engine.model.context_size
        self._arrivals: queue.SimpleQueue[_Arrival | _Job | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def statistics(self) -> EngineStatistics:
        """The engine's counters."""
        return self._engine.statistics

    def state(self) -> EngineState:
        """Return a picture of the engine."""
        return self._engine.state()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt these messages make, template included."""
        return len(self._engine.encode(messages))

    def read_ahead(self, messages: Sequence[Message], *, tenant: str = "") -> None:
        """Compute a chat behind all who wait for an answer; see `ChatModel.read_ahead`."""
        if self._closing.is_set():
            return
        submission = Submission(
            prompt_ids=self._engine.encode(messages),
            params=SamplingParams(max_tokens=1),
            tenant=tenant,
            priority=BACKGROUND,
        )
        try:
            self._submit(submission, _note_failure)
        except (LLMError, ValueError) as error:
            _note_failure(error)

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        cancel: threading.Event | None = None,
        tenant: str = "",
    ) -> Iterator[TextDelta | Completion]:
        """Continue a chat; see `ChatModel.stream`."""
        # One's own event, so that leaving early cancels this request and not the caller's others.
        gone = LinkedEvent(cancel)
        submission = self._of_chat(
            messages, params, spec=spec, baseline=baseline, cancel=gone, tenant=tenant
        )
        return self.generate(submission)

    def generate(self, submission: Submission) -> Iterator[TextDelta | Completion]:
        """Continue token ids; yields text as it is made, then one `Completion`.

        Leaving the iterator before its end cancels the request, by the submission's own event.

        Raises:
            ContextOverflowError: the prompt leaves no room for a single token.
            ConstraintError: what is asked of the output cannot be had.
            HeadError: a head that is named is not there, or is no good.
            RequestTooLargeError: the whole cache could not hold the request.
            EngineBusyError: as many requests wait as may.
            EngineFailureError: the request could not be computed, or the engine was closed.
        """
        parts: queue.SimpleQueue[Part | Exception] = queue.SimpleQueue()
        self._submit(submission, parts.put)
        try:
            while True:
                part = parts.get()
                if isinstance(part, Exception):
                    raise part
                yield part
                if isinstance(part, Completion):
                    return
        finally:
            submission.cancel.set()

    async def stream_async(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        tenant: str = "",
    ) -> AsyncIterator[TextDelta | Completion]:
        """Continue a chat on the event loop; cancelling the task cancels it."""
        loop = asyncio.get_running_loop()
        parts: asyncio.Queue[Part | Exception] = asyncio.Queue()
        gone = threading.Event()

        def hand_over(part: Part | Exception) -> None:
            try:
                loop.call_soon_threadsafe(parts.put_nowait, part)
            except RuntimeError:  # the loop has ended, and with it everybody who could listen
                gone.set()

        submission = self._of_chat(
            messages, params, spec=spec, baseline=baseline, cancel=gone, tenant=tenant
        )
        try:
            await asyncio.to_thread(self._submit, submission, hand_over)
            while True:
                part = await parts.get()
                if isinstance(part, Exception):
                    raise part
                yield part
                if isinstance(part, Completion):
                    return
        finally:
            gone.set()

    def score(self, prefix: str, continuations: Sequence[str], *, tenant: str = "") -> TextScores:
        """Return how probable some continuations are; see `TextScorer.score`."""
        encode = self._engine.model.tokenizer.encode
        prefix_ids, others = encode(prefix), [encode(text) for text in continuations]
        domain = CacheDomain(model=self._engine.model.compute.fingerprint, tenant=tenant)
        found = self._aside(lambda: self._engine.scoring.score(prefix_ids, others, domain))
        return TextScores(
            log_probs=found.log_probs,
            computed_tokens=found.computed,
            cached_tokens=found.cached,
        )

    def entropies(self, token_ids: Sequence[int]) -> tuple[float, ...]:
        """Return the entropy before each token of a text; see `TokenScoring.entropies`.

        Raises:
            ValueError: there is no token.
            EngineBusyError: the cache has no room for it now.
            EngineFailureError: the engine was closed.
        """
        domain = CacheDomain(model=self._engine.model.compute.fingerprint)
        return self._aside(lambda: self._engine.scoring.entropies(token_ids, domain))

    def _aside(self, work: Callable[[], _T]) -> _T:
        """Return what some work on the engine gives, done between two of its steps."""
        if self._closing.is_set():
            raise EngineFailureError("the engine is closed")
        done: Future[_T] = Future()

        def job() -> None:
            if self._closing.is_set():
                done.set_exception(EngineFailureError("the engine was closed"))
                return
            try:
                found = work()
            except Exception as error:  # noqa: BLE001  # carried over to whoever asked
                done.set_exception(error)
                return
            done.set_result(found)

        self._arrivals.put(job)
        return done.result()

    def close(self) -> None:
        """End the thread; requests under way fail. Idempotent."""
        self._closing.set()
        self._arrivals.put(None)
        self._thread.join(_JOIN_S)

    def _of_chat(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec,
        baseline: Sequence[Message] | None,
        cancel: threading.Event,
        tenant: str,
    ) -> Submission:
        return Submission(
            prompt_ids=self._engine.encode(messages),
            params=params,
            spec=spec,
            baseline_ids=[] if baseline is None else self._engine.encode(baseline),
            cancel=cancel,
            tenant=tenant,
        )

    def _submit(self, submission: Submission, listener: Listener) -> None:
        """Make a request ready on this thread and hand it over to the engine's."""
        if self._closing.is_set():
            raise EngineFailureError("the engine is closed")
        self._arrivals.put((self._engine.prepare(submission), listener))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._admit(wait=not self._engine.has_work)
            try:
                self._engine.step()
            except Exception:
                # A bug of ours: nothing is known of what it left behind, so all requests end.
                logger.exception("the engine's step failed")
                self._engine.fail_all(EngineFailureError("the engine met a bug; see its log"))
        closed = EngineFailureError("the engine was closed")
        self._engine.fail_all(closed)
        while True:
            try:
                arrival = self._arrivals.get_nowait()
            except queue.Empty:
                return
            if callable(arrival):
                arrival()
            elif arrival is not None:
                arrival[1](closed)

    def _admit(self, *, wait: bool) -> None:
        """Queue what has arrived; where there is nothing else to do, wait for it."""
        try:
            arrival = self._arrivals.get(timeout=_IDLE_S) if wait else self._arrivals.get_nowait()
            while arrival is not None:
                if callable(arrival):
                    arrival()
                else:
                    self._add(*arrival)
                arrival = self._arrivals.get_nowait()
        except queue.Empty:
            return

    def _add(self, prepared: PreparedRequest, listener: Listener) -> None:
        try:
            self._engine.add(prepared, listener)
        except Exception as error:  # noqa: BLE001  # carried over to whoever asked
            listener(error)


def _note_failure(part: Part | Exception) -> None:
    if isinstance(part, Exception):
        logger.debug("a chat was not read ahead: %s", part)
