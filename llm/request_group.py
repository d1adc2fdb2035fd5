"""Several answers to one request: collected, and in a search the best of them chosen.

The listener hears one completion, whose alternatives are the other answers. In a search nothing is
said before all answers are there. Knows nothing of how they are made.
"""

from collections.abc import Callable
from dataclasses import replace

from llm.chat import Completion, TextDelta, Usage
from llm.decoding.search.samples import Sample, select
from llm.decoding.spec import Search
from llm.request import Listener, Part


class RequestGroup:
    """Stands between the answers of one request and whoever listens."""

    def __init__(
        self,
        size: int,
        search: Search,
        listener: Listener,
        give_up: Callable[[], None],
        *,
        tells_log_probs: bool,
    ) -> None:
        """Expect `size` answers; `give_up` ends all that are under way."""
        self._tells_log_probs = tells_log_probs
        self._answers: list[Completion | None] = [None] * size
        self._search = search
        self._listener = listener
        self._give_up = give_up
        self._has_failed = False

    def listener_of(self, choice: int) -> Listener:
        """Return what one answer tells its parts."""

        def hear(part: Part | Exception) -> None:
            self._hear(choice, part)

        return hear

    def _hear(self, choice: int, part: Part | Exception) -> None:
        if self._has_failed:
            return
        if isinstance(part, Exception):
            self._has_failed = True
            self._listener(part)
            self._give_up()
        elif isinstance(part, TextDelta):
            if self._search.method == "sample":
                self._listener(part)
        else:
            self._answers[choice] = part
            answers = [answer for answer in self._answers if answer is not None]
            if len(answers) == len(self._answers):
                self._tell(answers)

    def _tell(self, answers: list[Completion]) -> None:
        usage = Usage(
            prompt_tokens=answers[0].usage.prompt_tokens,
            completion_tokens=sum(answer.usage.completion_tokens for answer in answers),
            cached_tokens=answers[0].usage.cached_tokens,
        )
        if self._search.method != "sample":
            answers = self._ranked(answers)
            said = TextDelta(text=answers[0].text)
            if self._tells_log_probs:
                said = replace(said, log_probs=answers[0].log_probs)
            self._listener(said)
        if not self._tells_log_probs:
            answers = [replace(answer, log_probs=()) for answer in answers]
        first, *others = answers
        self._listener(replace(first, usage=usage, alternatives=tuple(others)))

    def _ranked(self, answers: list[Completion]) -> list[Completion]:
        samples = [
            Sample(text=answer.text, mean_log_prob=answer.mean_log_prob or 0.0)
            for answer in answers
        ]
        return [
            replace(answers[choice.index], score=choice.value)
            for choice in select(self._search, samples)
        ]
