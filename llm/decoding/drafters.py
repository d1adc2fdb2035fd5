"""Who guesses the next tokens of a branch; what they guess changes the speed of an answer alone.

Each is a function of the tokens taken and costs about the same at every token, however long the
text. `PromptLookup` copies from the prompt (Saxena, "Prompt Lookup Decoding", 2023),
`PredictedOutput` from an answer that was foreseen; `GrammarDrafter` says what a grammar leaves no
choice about, `NGramDrafter` what an n-gram model finds most probable. `CombinedDrafter` asks
several. Knows neither models nor how drafts are verified.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from llm.decoding.phases import Drafter
from llm.errors import ConstraintConflictError


def _latest_ends(tokens: Sequence[int], least: int, most: int) -> dict[tuple[int, ...], int]:
    """Return for each n-gram followed by a token where it ends, the last time that it occurs."""
    ends: dict[tuple[int, ...], int] = {}
    for n in range(least, min(most, len(tokens) - 1) + 1):
        shifted = [tokens[i : len(tokens) - n + i] for i in range(n)]
        ends.update(zip(zip(*shifted, strict=True), range(n, len(tokens)), strict=True))
    return ends


class PromptLookup:
    """Copies what followed the most recent of the longest matches in the prompt and the output.

    A match is of `min_match` to `max_match` tokens. A copy that reaches the end of the text goes on
    with itself, as in LZ77: what repeats is expected to go on repeating.
    """

    __slots__ = ("_ends", "_max_match", "_min_match", "_prompt_ends", "_text")

    def __init__(
        self, prompt_ids: Sequence[int], *, min_match: int = 2, max_match: int = 4
    ) -> None:
        """Index the prompt.

        Raises:
            ValueError: not 1 <= `min_match` <= `max_match`.
        """
        if not 1 <= min_match <= max_match:
            raise ValueError(
                f"a match needs 1 <= min_match <= max_match, got {min_match} and {max_match}"
            )
        self._min_match = min_match
        self._max_match = max_match
        self._text = list(prompt_ids)
        # forks share the index of the prompt; what ends later stands in one of their own
        self._prompt_ends = _latest_ends(self._text, min_match, max_match)
        self._ends: dict[tuple[int, ...], int] = {}

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`."""
        text = self._text
        for n in range(min(self._max_match, len(text)), self._min_match - 1, -1):
            gram = tuple(text[-n:])
            start = self._ends.get(gram) or self._prompt_ends.get(gram)
            if start is not None:
                return _copied(text, start, most)
        return []

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        text = self._text
        end = len(text)
        for n in range(self._min_match, min(self._max_match, end) + 1):
            self._ends[tuple(text[-n:])] = end
        text.append(token)

    def fork(self) -> "PromptLookup":
        """See `phases.Drafter`."""
        copy = object.__new__(PromptLookup)
        copy._min_match, copy._max_match = self._min_match, self._max_match
        copy._text = self._text.copy()
        copy._prompt_ends = self._prompt_ends
        copy._ends = self._ends.copy()
        return copy


def _copied(text: Sequence[int], start: int, most: int) -> list[int]:
    copied = list(text[start : start + most])
    period = len(copied)
    while len(copied) < most:
        copied.append(copied[-period])
    return copied


class PredictedOutput:
    """Copies from a prediction of the output, which the output follows with changes.

    After a mismatch one token is first taken for replaced. If that fails, the place is looked for
    ahead where the end of the output stands, by the longest match of `_GRAMS` tokens and then the
    nearest; until it is found nothing is drafted. A place is trusted once `_GRAMS[0]` tokens in a
    row have matched; the next search begins at the last trusted one, so a wrong place is no loss.
    """

    _GRAMS = (4, 3, 2)

    __slots__ = ("_at", "_ends", "_guessed", "_prediction", "_recent", "_run", "_trusted")

    def __init__(self, prediction_ids: Sequence[int]) -> None:
        """Index the prediction."""
        self._prediction = list(prediction_ids)
        self._ends: dict[tuple[int, ...], list[int]] = {}
        for n in self._GRAMS:
            for end in range(n, len(self._prediction) + 1):
                self._ends.setdefault(tuple(self._prediction[end - n : end]), []).append(end)
        self._recent: tuple[int, ...] = ()
        self._at: int | None = 0  # the next token stands here, if that is known
        self._run = 0  # how many tokens before it are known to match
        self._trusted = 0
        self._guessed = False

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`."""
        if self._at is None:
            return []
        return self._prediction[self._at : self._at + most]

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        self._recent = (*self._recent[-(self._GRAMS[0] - 1) :], token)
        if self._at is not None and self._prediction[self._at : self._at + 1] == [token]:
            self._at += 1
            self._run += 1
            self._guessed = False
        else:
            self._search()
        if self._at is not None and self._run >= self._GRAMS[0]:
            self._trusted = self._at

    def fork(self) -> "PredictedOutput":
        """See `phases.Drafter`."""
        copy = object.__new__(PredictedOutput)
        copy._prediction, copy._ends = self._prediction, self._ends
        copy._recent, copy._at, copy._run = self._recent, self._at, self._run
        copy._trusted, copy._guessed = self._trusted, self._guessed
        return copy

    def _search(self) -> None:
        for n in self._GRAMS:
            if n <= len(self._recent):
                ends = self._ends.get(self._recent[-n:], [])
                place = bisect_right(ends, self._trusted)
                if place < len(ends):
                    self._at, self._run, self._guessed = ends[place], n, False
                    return
        may_guess = self._at is not None and not self._guessed
        self._at = self._at + 1 if self._at is not None and may_guess else None
        self._run, self._guessed = 0, may_guess


@runtime_checkable
class Forcing(Protocol):
    """A state that may leave no choice; see `GrammarState` of `llm/decoding/grammar.py`."""

    def advance(self, token: int) -> None:
        """Take a token; a `ConstraintConflictError` says that it cannot come."""
        ...

    def foreseen(self) -> list[int]:
        """Return tokens for what must come next."""
        ...

    def fork(self) -> "Forcing":
        """Return an independent copy."""
        ...


class GrammarDrafter:
    """Drafts what a grammar leaves no choice about.

    It reads the state of the branch, which the pipeline advances, so it takes no tokens itself. A
    fork that is not given the state of its branch keeps one of its own.
    """

    __slots__ = ("_is_own", "_state")

    def __init__(self, state: Forcing) -> None:
        self._state: Forcing | None = state
        self._is_own = False

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`."""
        return [] if self._state is None else self._state.foreseen()[: max(most, 0)]

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        if self._is_own and self._state is not None:
            try:
                self._state.advance(token)
            except ConstraintConflictError:  # the text has left the grammar
                self._state = None

    def fork(self, state: Forcing | None = None) -> "GrammarDrafter":
        """Return a drafter over the state of another branch, or over a copy of this one."""
        if state is not None:
            return GrammarDrafter(state)
        copy = object.__new__(GrammarDrafter)
        copy._state = None if self._state is None else self._state.fork()
        copy._is_own = True
        return copy


@runtime_checkable
class BestToken(Protocol):
    """A model that names the most probable token; see `llm/decoding/ngram_model.py`."""

    def best(self, context: Sequence[int]) -> int | None:
        """Return the most probable token behind these; None if nothing speaks for any."""
        ...


class NGramDrafter:
    """Drafts the most probable token of an n-gram model, again and again."""

    __slots__ = ("_model", "_recent")

    def __init__(
        self, model: BestToken, prompt_ids: Sequence[int] = (), *, context_len: int = 8
    ) -> None:
        """Take a model that looks at the last `context_len` tokens at most.

        Raises:
            ValueError: `context_len` is negative.
        """
        if context_len < 0:
            raise ValueError(f"the context of an n-gram model has 0 tokens or more: {context_len}")
        self._model = model
        self._recent = deque(prompt_ids, maxlen=context_len)

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`."""
        context = list(self._recent)
        known = len(context)
        width = self._recent.maxlen or 0
        while len(context) < known + most:
            best = self._model.best(context[max(len(context) - width, 0) :])
            if best is None:
                break
            context.append(best)
        return context[known:]

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        self._recent.append(token)

    def fork(self) -> "NGramDrafter":
        """See `phases.Drafter`."""
        copy = object.__new__(NGramDrafter)
        copy._model, copy._recent = self._model, self._recent.copy()
        return copy


class CombinedDrafter:
    """Takes the draft of the first drafter that has one.

    Where a later one agrees with it and goes on, it takes the longer: what a grammar forces is
    often the beginning of what a prompt says.
    """

    __slots__ = ("_drafters", "source")

    def __init__(self, drafters: Mapping[str, Drafter]) -> None:
        """Take the drafters by their names, the one to be asked first before the others.

        As a rule: grammar, prediction, prompt, history, ngram.
        """
        self._drafters = dict(drafters)
        self.source = ""  # the name of the drafter of the last draft

    def propose(self, most: int) -> Sequence[int]:
        """See `phases.Drafter`."""
        self.source = ""
        first: list[int] = []
        for name, drafter in self._drafters.items():
            draft = list(drafter.propose(most))
            if len(draft) > len(first) and draft[: len(first)] == first:
                first, self.source = draft, name
            if len(first) >= most:
                break
        return first

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        for drafter in self._drafters.values():
            drafter.take(token)

    def fork(self, state: Forcing | None = None) -> "CombinedDrafter":
        """Return an independent copy; `state` is that of the new branch in its grammar."""
        return CombinedDrafter(
            {
                name: drafter.fork(state) if isinstance(drafter, GrammarDrafter) else drafter.fork()
                for name, drafter in self._drafters.items()
            }
        )
