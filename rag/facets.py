"""What to ask where a question fits several things: the facet that best splits the candidates.

A facet is the title, a level of the headings or a field of the documents. The one whose answer is
expected to tell most is asked for: the entropy of its values among the candidates, each weighted by
its score, values beyond the first few counting as one ("something else").
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.document import Passage

MAX_OPTIONS = 4
_SHARPNESS = 20.0  # a candidate 0.05 behind counts for exp(-1) as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """A property that tells candidates apart, its likeliest values, and the bits it would tell."""

    name: str
    options: tuple[str, ...]
    gain: float


def best_facet(
    candidates: Sequence[Passage],
    fields: Mapping[str, Mapping[str, str | int]] | None = None,
) -> Facet | None:
    """Return the facet of the greatest gain; None where no facet splits the candidates.

    `fields` are those of documents, by their ids.
    """
    if len(candidates) < 2:  # nothing to choose from
        return None
    best = max(passage.score for passage in candidates)
    weights = [math.exp(_SHARPNESS * (passage.score - best)) for passage in candidates]
    facets = [
        _facet(name, values, weights) for name, values in _values(candidates, fields or {}).items()
    ]
    found = [facet for facet in facets if len(facet.options) > 1]
    return max(found, key=lambda facet: facet.gain, default=None)


def _values(
    candidates: Sequence[Passage], fields: Mapping[str, Mapping[str, str | int]]
) -> dict[str, list[str]]:
    """Return the values of each facet that all candidates have one for."""
    rows = [dict(_of_one(passage, fields)) for passage in candidates]
    names = [name for name in rows[0] if all(row.get(name) for row in rows)]
    return {name: [row[name] for row in rows] for name in names}


def _of_one(
    passage: Passage, fields: Mapping[str, Mapping[str, str | int]]
) -> Iterator[tuple[str, str]]:
    for name, value in fields.get(passage.document_id, {}).items():
        yield name, str(value)
    yield "title", passage.title
    for level, heading in enumerate(passage.chunk.heading_path, start=1):
        yield f"heading {level}", heading


def _facet(name: str, values: Sequence[str], weights: Sequence[float]) -> Facet:
    mass: Counter[str] = Counter()
    for value, weight in zip(values, weights, strict=True):
        mass[value] += weight  # type: ignore[assignment]  # counts that are no integers
    options = [value for value, _ in mass.most_common(MAX_OPTIONS)]
    total = sum(mass.values())
    shares = [mass[option] / total for option in options]
    shares.append(1 - sum(shares))
    gain = -sum(share * math.log2(share) for share in shares if share > 1e-12)
    return Facet(name=name, options=tuple(options), gain=gain)
