"""Which task a user asks for, by what it is called and by examples.

Two views: words in common, weighted by how few tasks they belong to, and the cosine of sentence
vectors where there is an embedder. The better of the two counts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

from dialog.tracker.phrases import idle_words
from dialog.tracker.situation import TaskView
from dialog.tracker.words import is_like, split


class SentenceVectors(Protocol):
    """What turns sentences into vectors of length 1; `rag.embedder.Embedder` is one."""

    def encode(
        self, texts: Sequence[str], kind: Literal["query", "passage"], /
    ) -> Float[np.ndarray, "n d"]:
        """Return one row per text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTask:
    """A task, how well the words fit it, in [0, 1], and which of its words were said."""

    task: str
    score: float
    words: frozenset[str] = frozenset()


class TaskIntents:
    """Scores the tasks of one bot; keeps the weights and vectors of their phrases."""

    def __init__(self, tasks: Sequence[TaskView], vectors: SentenceVectors | None = None) -> None:
        self._phrases = {task.name: [_stems(p) for p in task.phrases] for task in tasks}
        self._not = {task.name: [_stems(p) for p in task.not_phrases] for task in tasks}
        self._weights = _weights(self._phrases)
        self._vectors = vectors
        self._rows: dict[str, Float[np.ndarray, "n d"]] = {}
        if vectors is not None:
            for task in tasks:
                self._rows[task.name] = vectors.encode(list(task.phrases) or [task.name], "passage")

    def score(self, text: str) -> list[ScoredTask]:
        """Return all tasks, the best first; equal ones in the order of the bot."""
        words = _stems(text)
        asked = None if self._vectors is None else self._vectors.encode([text], "query")[0]
        found = []
        for task, phrases in self._phrases.items():
            best, said = self._overlap(words, phrases)
            worst, _ = self._overlap(words, self._not[task])
            if asked is not None:
                best = max(best, float((self._rows[task] @ asked).max()))
            score = best if best > worst else best - worst
            found.append(ScoredTask(task=task, score=score, words=said))
        return sorted(found, key=lambda scored: -scored.score)

    def _overlap(
        self, words: Sequence[str], phrases: Sequence[Sequence[str]]
    ) -> tuple[float, frozenset[str]]:
        """Return the greatest weighted share of a phrase that was said, and what was."""
        best: tuple[float, frozenset[str]] = (0.0, frozenset())
        for phrase in phrases:
            total = sum(self._weight(p) for p in phrase)
            said = frozenset(p for p in phrase if any(is_like(w, p) for w in words))
            share = sum(self._weight(p) for p in said) / total if total else 0.0
            best = max(best, (share, said), key=lambda pair: pair[0])
        return best

    def _weight(self, word: str) -> float:
        return self._weights.get(word, 1.0)


def _weights(phrases: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, float]:
    """Return for each word how few tasks have it: log(1 + n / tasks with the word)."""
    counts = Counter(
        word for of_task in phrases.values() for word in {w for p in of_task for w in p}
    )
    n = len(phrases)
    return {word: log(1 + n / count) for word, count in counts.items()}


def _stems(text: str) -> list[str]:
    return [stem(word) for word in split(text) if word not in idle_words() and word.isalnum()]


def stem(word: str) -> str:
    """Return an English or German word without its commonest endings; short ones stay."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "es", "ed", "s", "en", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
