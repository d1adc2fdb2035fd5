"""Whether what was found is near enough to answer from.

A logistic rule on three features, fitted on 70 development questions about Python (40 that its
reference answers, 30 that it does not; `docs/log.md`):

    z = 12.78 nearest - 2.80 unknown - 2.51 missing_name - 3.91,   answer where z > 0

`nearest` is the cosine of the best chunk, `unknown` the share of the question's term weight that
occurs nowhere in the collection, `missing_name` 1 where a capitalised word inside the question
stands in none of the best passages.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.document import Passage

_NEAREST = 12.78
_UNKNOWN = -2.80
_MISSING_NAME = -2.51
_BIAS = -3.91
_NUM_READ = 5
_NAME = re.compile(r"(?<=[\w,;:)] )[A-Z][\w+#.-]*\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The score and its features; `is_near` says whether to answer."""

    score: float
    nearest: float
    unknown: float
    missing_names: tuple[str, ...]

    @property
    def is_near(self) -> bool:
        """Whether the passages may be answered from."""
        return self.score > 0


def judge(
    question: str,
    passages: Sequence[Passage],
    *,
    nearest: float,
    term_weights: Mapping[str, float],
    unknown_terms: frozenset[str],
) -> GateDecision:
    """Score a question against what was found for it."""
    total = sum(term_weights.values())
    unknown = sum(term_weights[term] for term in unknown_terms)
    share = unknown / total if total else 0.0
    missing = _missing_names(question, passages)
    score = _NEAREST * nearest + _UNKNOWN * share + _MISSING_NAME * bool(missing) + _BIAS
    return GateDecision(score=score, nearest=nearest, unknown=share, missing_names=missing)


def _missing_names(question: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    text = " ".join(f"{p.title} {p.chunk.text}" for p in passages[:_NUM_READ]).lower()
    names = dict.fromkeys(_NAME.findall(question))
    return tuple(
        name
        for name in names
        if not re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text) and name != "I"
    )
