"""Our engine as a contender: the only place where a benchmark of speed touches its interface."""

import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Self

import numpy as np
from jaxtyping import Float32

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.rounds import Decoded
from llm.chat import Completion
from llm.decoding.spec import DecodeSpec, Speculation
from llm.engine import Engine
from llm.model_runner import Span, batch_of
from llm.paged_cache import BLOCK
from llm.request import Part, Request
from llm.sampling_params import SamplingParams
from llm.tokenizer import TextTokenizer


class OurEngine:
    """An engine that nobody else uses, stepped by the caller."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine; its tokenizer forgets the end of text, so that nothing ends early."""
        self.engine = engine
        self.engine.model.tokenizer.eos_ids = frozenset()
        self._problems: list[Exception] = []

    @classmethod
    def load(cls, weights: Path, *, threads: int) -> Self:
        """Load weights into an engine as the service builds it, on a given number of threads."""
        return cls(build_engine(load_settings(threads=threads), weights))

    @property
    def tokenizer(self) -> TextTokenizer:
        """Return the tokenizer of the model."""
        return self.engine.model.tokenizer

    @property
    def kernels(self) -> str:
        """Return the name of what computes."""
        return self.engine.model.compute.runner.kernels

    @property
    def about(self) -> str:
        """Return what computes, on how many threads and why."""
        return self.engine.model.compute.reason

    def prefill(self, token_ids: Sequence[int]) -> float:
        """Return the seconds from a prompt to the first token, drawn and spelt."""
        started = perf_counter()
        self._add([token_ids], 1)
        self._finish()
        return perf_counter() - started

    def decode(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Decoded:
        """Time `new_tokens` steps in which every prompt gets a token."""
        cancel = threading.Event()
        # long prompts are read in parts: the first to begin is some tokens ahead of the last
        ahead = sum(map(len, prompts))
        requests = self._add(prompts, new_tokens + ahead, cancel)
        while any(request.sequence.num_generated == 0 for request in requests):
            self.engine.step()
        before = sum(request.sequence.num_generated for request in requests)
        started = perf_counter()
        for _ in range(new_tokens):
            self.engine.step()
        seconds = perf_counter() - started
        written = sum(request.sequence.num_generated for request in requests) - before
        cancel.set()
        self._finish()
        if written != new_tokens * len(prompts):
            raise RuntimeError(
                f"{new_tokens} steps of {len(prompts)} requests wrote {written} tokens; each should"
                " get one a step"
            )
        return Decoded(seconds=seconds, num_tokens=written)

    def logits(self, token_ids: list[int]) -> Float32[np.ndarray, "t v"]:
        """Return the logits after each token, as the engine's kernels compute them."""
        blocks = list(range(-(-len(token_ids) // BLOCK)))
        span = Span(token_ids=token_ids, start=0, blocks=blocks, wants="all")
        return self.engine.model.compute.runner.forward(batch_of([span])).logits.copy()

    def _add(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        cancel: threading.Event | None = None,
    ) -> list[Request]:
        params = SamplingParams(max_tokens=max_tokens)

        def listen(part: Part | Exception) -> None:
            if isinstance(part, Exception):
                self._problems.append(part)
            if isinstance(part, Completion) and (cached := part.usage.cached_tokens):
                self._problems.append(
                    RuntimeError(
                        f"{cached} tokens of a prompt came from the cache; a benchmark's prompts"
                        " must all be new"
                    )
                )

        # Speeds are those of rows computed; what drafts save is for benchmarks.decoding to say.
        spec = DecodeSpec(speculation=Speculation(drafter="off"))
        event = cancel or threading.Event()
        return [
            self.engine.add_request(prompt, params, listen, spec=spec, cancel=event)
            for prompt in prompts
        ]

    def _finish(self) -> None:
        while self.engine.has_work:
            self.engine.step()
        if self._problems:
            raise self._problems.pop()
