"""The port to whatever writes short texts for a search: drafts, paraphrases, sub-questions.

Many at a time, since an engine computes them together in little more time than one.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llm.chat import ChatModel, Completion, Message
from llm.sampling_params import SamplingParams
from rag.errors import LaneLateError

_PER_TASK_S = 0.02  # to hand over what is done before the deadline is over


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingTask:
    """What is to be written: an instruction, what it is about, and how.

    `temperature` 0 writes the most probable text; otherwise equal seeds write equal texts.
    """

    instruction: str
    text: str
    max_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a writing task needs a text that it is about")


@runtime_checkable
class Writer(Protocol):
    """Writes texts; `rag.testing.WriterContract` has the laws."""

    @property
    def name(self) -> str:
        """What traces call the model."""
        ...

    def write(self, tasks: Sequence[WritingTask], *, deadline: float) -> list[str]:
        """Return a text for each task, in order, stripped; done before `time.monotonic` is there.

        Raises:
            LaneLateError: they were not done in time.
            LLMError: the model cannot write them.
        """
        ...


class ModelWriter:
    """A `Writer` over a chat model; its tasks run as requests beside each other."""

    def __init__(self, model: ChatModel, *, tenant: str = "") -> None:
        self._model = model
        self._tenant = tenant

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def write(self, tasks: Sequence[WritingTask], *, deadline: float) -> list[str]:
        """Return the texts; see `Writer.write`."""
        ends: list[Completion | Exception | None] = [None] * len(tasks)
        cancel = threading.Event()

        def run(i: int) -> None:
            try:
                ends[i] = self._completed(tasks[i], deadline, cancel)
            except Exception as error:  # noqa: BLE001  # raised below, on the caller's thread
                ends[i] = error
                cancel.set()

        threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(tasks))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        finally:
            cancel.set()  # whoever is not done by now is not waited for
        return [_text(end, self.name) for end in self._first_error(ends)]

    @staticmethod
    def _first_error(
        ends: Sequence[Completion | Exception | None],
    ) -> Sequence[Completion | None]:
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return [end for end in ends if not isinstance(end, Exception)]

    def _completed(
        self, task: WritingTask, deadline: float, cancel: threading.Event
    ) -> Completion | None:
        left = deadline - time.monotonic() - _PER_TASK_S
        if left <= 0:
            return None
        params = SamplingParams(
            max_tokens=task.max_tokens,
            temperature=task.temperature,
            seed=task.seed,
            timeout_s=left,
        )
        messages = (
            Message(role="system", content=task.instruction),
            Message(role="user", content=task.text),
        )
        for part in self._model.stream(messages, params, cancel=cancel, tenant=self._tenant):
            if isinstance(part, Completion):
                return part
        raise AssertionError("a stream ends with its completion")


def _text(end: Completion | None, name: str) -> str:
    if end is None or end.finish_reason in ("deadline", "cancelled"):
        raise LaneLateError(f"{name} was still writing")
    return end.text.strip()
