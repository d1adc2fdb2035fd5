"""The engine: prompts in, streamed completions out.

One step of one request at a time: requests take turns at the model token by token, in the order in
which they asked, each with a cache of its own; the caches of the last ones are kept for the next
turn of the same chat. Cancellation is looked at between prefill chunks and between tokens. Knows
nothing of HTTP, documents or dialogue.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm.chat import Completion, FinishReason, Message, TextDelta, Usage
from llm.checkpoint import Decoder
from llm.decoding.draw import draw
from llm.decoding.truncate import truncate
from llm.detokenizer import IncrementalDetokenizer
from llm.errors import ContextOverflowError, EngineBusyError
from llm.kv_cache import KVCache, RecentCaches
from llm.sampling_params import SamplingParams

_PREFILL_CHUNK = 256
_KEPT_CONTEXTS = 1.5  # how many full contexts of caches are kept for chats that may go on


class Turns:
    """A lock that is handed over in the order of asking, so that no request starves."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


class Engine:
    """Serves one decoder to many threads; a `ChatModel`."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        name: str,
        context_size: int | None = None,
        max_concurrent: int = 8,
        decode_threads: int | None = None,
    ) -> None:
        """Take a loaded decoder; single tokens are computed on `decode_threads` (None: all).

        Raises:
            ValueError: `context_size` is not within what the model was made for.
        """
        longest = decoder.model.config.max_position_embeddings
        if context_size is not None and not 16 <= context_size <= longest:
            raise ValueError(
                f"context_size must be in [16, {longest}] for {name}, got {context_size}"
            )
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent must be >= 1, got {max_concurrent}")
        self.name = name
        self.context_size = context_size or longest
        self._model = decoder.model
        self._tokenizer = decoder.tokenizer
        self._template = decoder.template
        self._turns = Turns()
        self._recent = RecentCaches(int(_KEPT_CONTEXTS * self.context_size))
        self._max_concurrent = max_concurrent
        self._threads = torch.get_num_threads()
        self._decode_threads = decode_threads or self._threads
        self._slots = threading.Semaphore(max_concurrent)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt these messages make, template included."""
        return len(self._template.encode(messages))

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[TextDelta | Completion]:
        """Continue a chat; see `ChatModel.stream`."""
        return self.generate(self._template.encode(messages), params, cancel=cancel)

    def generate(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[TextDelta | Completion]:
        """Continue token ids; yields text as it is made, then one `Completion`.

        Raises:
            ContextOverflowError: the prompt leaves no room for a single token.
            EngineBusyError: `max_concurrent` generations are under way.
        """
        if len(prompt_ids) >= self.context_size:
            raise ContextOverflowError(
                num_tokens=len(prompt_ids), limit=self.context_size - 1, what="the prompt"
            )
        if not prompt_ids:
            raise ValueError("a prompt needs at least one token")
        if not self._slots.acquire(blocking=False):
            raise EngineBusyError(
                f"{self._max_concurrent} generations are under way, which is the most that is"
                " served at once; try again in a moment"
            )
        try:
            yield from self._run(list(prompt_ids), params, cancel or threading.Event())
        finally:
            self._slots.release()

    def _run(
        self, prompt_ids: list[int], params: SamplingParams, cancel: threading.Event
    ) -> Iterator[TextDelta | Completion]:
        seed = secrets.randbits(63) if params.seed is None else params.seed
        room = self.context_size - len(prompt_ids)
        limit = room if params.max_tokens is None else min(room, params.max_tokens)
        detokenizer = IncrementalDetokenizer(params.stop)
        kv_cache = self._recent.take(prompt_ids) or self._model.new_cache()
        token_ids = list(prompt_ids)
        started = time.perf_counter()
        logits = self._prefill(prompt_ids, kv_cache, cancel)
        prefilled = time.perf_counter()
        said: list[str] = []
        num_tokens = 0
        finish: FinishReason = "length"
        while logits is not None and num_tokens < limit:
            token = self._choose(logits, params, seed, position=kv_cache.length)
            num_tokens += 1
            token_ids.append(token)
            if token in self._tokenizer.eos_ids:
                finish = "stop"
                break
            text = detokenizer.push(self._tokenizer.token_bytes(token))
            if text:
                said.append(text)
                yield TextDelta(text=text)
            if detokenizer.stopped:
                finish = "stop"
                break
            if num_tokens < limit:
                logits = None if cancel.is_set() else self._forward([token], kv_cache)
        if logits is None:
            finish = "cancelled"
        self._recent.give(token_ids, kv_cache)
        if rest := detokenizer.finish():
            said.append(rest)
            yield TextDelta(text=rest)
        yield Completion(
            text="".join(said),
            finish_reason=finish,
            usage=Usage(prompt_tokens=len(prompt_ids), completion_tokens=num_tokens),
            seed=seed,
            prefill_s=prefilled - started,
            decode_s=time.perf_counter() - prefilled,
        )

    def _prefill(
        self, prompt_ids: list[int], kv_cache: KVCache, cancel: threading.Event
    ) -> Tensor | None:
        """Read what the cache lacks of the prompt; returns the last logits, None if cancelled."""
        logits = None
        for start in range(kv_cache.length, len(prompt_ids), _PREFILL_CHUNK):
            if cancel.is_set():
                return None
            logits = self._forward(prompt_ids[start : start + _PREFILL_CHUNK], kv_cache)
        return logits

    def _forward(self, token_ids: list[int], kv_cache: KVCache) -> Tensor:
        with self._turns, torch.inference_mode():
            torch.set_num_threads(self._threads if len(token_ids) > 1 else self._decode_threads)
            return self._model(torch.tensor([token_ids]), kv_cache, last_only=True)[0, -1]

    @staticmethod
    def _choose(logits: Tensor, params: SamplingParams, seed: int, *, position: int) -> int:
        survivors = truncate(logits.numpy(), params)
        return draw(survivors.token_ids, survivors.log_probs, seed=seed, position=position)
