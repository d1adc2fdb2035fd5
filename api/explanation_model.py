"""Wire models of what explains a search: lanes, scores and ranks in them, the gate."""

from typing import Self

from pydantic import BaseModel

from api.grounding_model import GateModelOnWire
from api.trace_model import InLaneModel, TraceModel
from rag.explained_search import ExplainedHit, ExplainedSearch, LaneName
from rag.gate import GateDecision
from rag.gate_model import FEATURES
from rag.retriever import TERM_WEIGHT


class LaneModel(BaseModel):
    """How a lane went: its milliseconds alone, and how many candidates it gave."""

    name: LaneName
    ms: float
    num_found: int


class GateExplanation(GateModelOnWire):
    """What would be decided on an answer, and from which features."""

    features: dict[str, float]

    @classmethod
    def of(cls, gate: GateDecision) -> Self:
        """Return what is shown of a decision."""
        features = {name: round(getattr(gate.features, name), 4) for name in FEATURES}
        return cls(**GateModelOnWire.from_decision(gate).model_dump(), features=features)


class ExplanationModel(BaseModel):
    """How a search came to its passages; `fusion` is how scores of several lanes become one.

    `trace` is there where the collection's plan does more than that; the rest is of the search
    without it.
    """

    lanes: list[LaneModel]
    fusion: str | None
    encode_ms: float
    search_ms: float
    seq: int
    gate: GateExplanation | None
    trace: TraceModel | None = None

    @classmethod
    def of(cls, found: ExplainedSearch) -> Self:
        """Return what is shown of it."""
        is_fused = len(found.lanes) > 1
        formula = f"dense + {TERM_WEIGHT:g} * terms / best of terms + prior"
        return cls(
            lanes=[
                LaneModel(name=one.name, ms=_ms(one.seconds), num_found=one.num_found)
                for one in found.lanes
            ],
            fusion=formula if is_fused else None,
            encode_ms=_ms(found.encode_s),
            search_ms=_ms(found.search_s),
            seq=found.result.seq,
            gate=None if found.gate is None else GateExplanation.of(found.gate),
        )


def lanes_of(hit: ExplainedHit) -> dict[str, InLaneModel]:
    """Return where a hit stands in the lanes that found it."""
    return {name: InLaneModel.of(place) for name, place in hit.lanes.items()}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
