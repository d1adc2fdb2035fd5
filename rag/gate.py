"""Whether what was found is to be answered from, asked about, or not enough.

The probability is `rag/gate_model.py`'s; here its features are read off what was found. Where few
words of a question all stand in several passages that nothing tells apart, it is underspecified,
and the facet that best splits them is asked for (`rag/facets.py`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from index.analyser import analyse
from rag.document import Passage
from rag.facets import Facet, best_facet
from rag.gate_model import DEFAULT_GATE, GateFeatures, GateModel

Decision = Literal["answer", "clarify", "abstain"]

_NUM_READ = 5
_NAME = re.compile(r"(?<=[\w,;:)] )[A-Z][\w+#.-]*\w")
# A candidate for another reading of the question: as near as the best and holding as much of it.
_TIED = 0.05
_FULL = 0.95
_GAIN = 3.0  # per bit that a facet would tell beyond the first
_TERMS = -1.5  # per term of the question beyond the third
_USUAL_TERMS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """What to do and how sure that is; `facet` is what CLARIFY asks for.

    Of an uncalibrated gate the probabilities order questions and are no frequencies.
    `missing_terms` occur nowhere in the collection, `missing_names` in none of the best passages.
    """

    decision: Decision
    p_answerable: float
    p_underspecified: float = 0.0
    is_calibrated: bool = False
    features: GateFeatures = field(default_factory=GateFeatures)
    missing_names: tuple[str, ...] = ()
    missing_terms: tuple[str, ...] = ()
    facet: Facet | None = None

    @property
    def is_near(self) -> bool:
        """Whether the passages may be answered from."""
        return self.decision == "answer"


def judge(
    question: str,
    passages: Sequence[Passage],
    *,
    nearest: float,
    term_weights: Mapping[str, float],
    unknown_terms: frozenset[str],
    model: GateModel = DEFAULT_GATE,
    likelihood: float = 0.0,
) -> GateDecision:
    """Decide on a question by what was found for it."""
    total = sum(term_weights.values()) or 1.0
    covers = [_share(passage, term_weights) / total for passage in passages[:_NUM_READ]]
    missing = _missing_names(question, passages)
    scores = [passage.score for passage in passages[:_NUM_READ]] or [0.0]
    features = GateFeatures(
        nearest=nearest,
        gap=scores[0] - scores[-1],
        agreement=scores[0] - nearest,
        unknown=sum(term_weights[term] for term in unknown_terms) / total,
        cover=max(covers, default=0.0),
        missing_name=float(bool(missing)),
        likelihood=likelihood,
    )
    p_answerable = model.p_answerable(features)
    facet, p_underspecified = _underspecified(passages, covers, len(term_weights))
    decision: Decision = "abstain"
    if p_answerable >= model.threshold:
        is_unclear = facet is not None and p_underspecified >= model.clarify_threshold
        decision = "clarify" if is_unclear else "answer"
    return GateDecision(
        decision=decision,
        p_answerable=p_answerable,
        p_underspecified=p_underspecified,
        is_calibrated=model.is_calibrated,
        features=features,
        missing_names=missing,
        missing_terms=tuple(sorted(unknown_terms)),
        facet=facet if decision == "clarify" else None,
    )


def _share(passage: Passage, weights: Mapping[str, float]) -> float:
    headings = " ".join(passage.chunk.heading_path)
    held = set(analyse(f"{passage.title} {headings} {passage.chunk.text}"))
    return sum(weight for term, weight in weights.items() if term in held)


def _underspecified(
    passages: Sequence[Passage], covers: Sequence[float], num_terms: int
) -> tuple[Facet | None, float]:
    """Return the facet that splits the passages which fit the question alike, and its odds."""
    tied = [
        passage
        for passage, cover in zip(passages, covers, strict=False)
        if cover >= _FULL and passage.score >= passages[0].score - _TIED
    ]
    facet = best_facet(tied)
    if facet is None or not num_terms:
        return None, 0.0
    z = _GAIN * (facet.gain - 1) + _TERMS * (num_terms - _USUAL_TERMS)
    return facet, 1 / (1 + math.exp(-z))


def _missing_names(question: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    text = " ".join(f"{p.title} {p.chunk.text}" for p in passages[:_NUM_READ]).lower()
    names = dict.fromkeys(_NAME.findall(question))
    return tuple(
        name
        for name in names
        if not re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text) and name != "I"
    )
