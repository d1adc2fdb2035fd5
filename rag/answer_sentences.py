"""The sentences of an answer and the marks `[n]` that each bears, as spans of its text.

Unlike `rag/sentences.py`, which reads documents, this reads what was said: prose with marks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARK = re.compile(r"\s*\[(\d+)\]")
_END = re.compile(r"[.!?\u3002\uff01\uff1f]+[\"'\u201d\u2019)]*(?=\s|\[|$)|\n+|(?=\s*\[\d+\])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|fig|no|mr|mrs|ms|dr|prof|st|jr|sr)|\b[^\W\d_])\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSentence:
    """Words of an answer: character span, text without marks, and the numbers of its marks."""

    start: int
    end: int
    text: str
    marks: tuple[int, ...]


def answer_sentences(answer: str) -> Iterator[AnswerSentence]:
    """Yield the sentences of an answer in order; what holds no letter and no digit is none."""
    at = 0
    while at < len(answer):
        if found := _MARK.match(answer, at):  # of nothing that was said
            at = found.end()
            continue
        end = _end_of(answer, at)
        marks: list[int] = []
        after = end
        while found := _MARK.match(answer, after):
            marks.append(int(found[1]))
            after = found.end()
        if marks and (stop := re.compile(r"[.!?]+").match(answer, after)):
            after = stop.end()  # "... [1]."
        words = answer[at:end]
        start = at + len(words) - len(words.lstrip())
        text = words.strip()
        if any(char.isalnum() for char in text):
            yield AnswerSentence(
                start=start, end=start + len(text), text=text, marks=tuple(dict.fromkeys(marks))
            )
        at = max(after, end, at + 1)


def _end_of(answer: str, at: int) -> int:
    for found in _END.finditer(answer, at):
        is_short = _ABBREVIATION.search(answer[at : found.end()]) is not None
        if found.end() > at and not is_short:
            return found.end()
    return len(answer)
