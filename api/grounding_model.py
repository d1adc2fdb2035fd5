"""What an answer rests on, on the wire: the gate's decision, and the verdict on each sentence."""

from typing import Self

from pydantic import BaseModel

from api.evidence_model import EvidenceModel
from rag.claim_check import Problem
from rag.gate import GateDecision
from rag.grounding import Grounding, SentenceVerdict


class GateModelOnWire(BaseModel):
    """Whether to answer, ask back or abstain, and how sure that is."""

    decision: str
    p_answerable: float
    p_underspecified: float
    calibrated: bool
    missing_names: list[str]
    missing_terms: list[str]
    options: list[str]

    @classmethod
    def from_decision(cls, gate: GateDecision) -> Self:
        """Return what is shown of a decision."""
        return cls(
            decision=gate.decision,
            p_answerable=round(gate.p_answerable, 4),
            p_underspecified=round(gate.p_underspecified, 4),
            calibrated=gate.is_calibrated,
            missing_names=list(gate.missing_names),
            missing_terms=list(gate.missing_terms),
            options=[] if gate.facet is None else list(gate.facet.options),
        )


class ProblemModel(BaseModel):
    """Something said that the citations do not bear out."""

    kind: str
    text: str
    weak: bool

    @classmethod
    def from_problem(cls, problem: Problem) -> Self:
        """Return what is shown of a problem."""
        return cls(kind=problem.kind, text=problem.text, weak=problem.is_weak)


class ScoresModel(BaseModel):
    """How near a sentence is to what it cites; null where it was not measured."""

    cover: float
    similarity: float | None
    lift: float | None


class SentenceModel(BaseModel):
    """The verdict on one sentence; offsets are bytes of the answer's UTF-8 text."""

    start: int
    end: int
    verdict: str
    citations: list[int]
    verbatim: bool
    rewritten: bool
    scores: ScoresModel
    problems: list[ProblemModel]

    @classmethod
    def from_verdict(cls, verdict: SentenceVerdict) -> Self:
        """Return what is shown of a verdict."""
        return cls(
            start=verdict.start,
            end=verdict.end,
            verdict=verdict.verdict,
            citations=list(verdict.citations),
            verbatim=verdict.is_verbatim,
            rewritten=verdict.is_rewritten,
            scores=ScoresModel(
                cover=round(verdict.cover, 4),
                similarity=_rounded(verdict.similarity),
                lift=_rounded(verdict.lift),
            ),
            problems=[ProblemModel.from_problem(problem) for problem in verdict.problems],
        )


class GroundingModel(BaseModel):
    """The evidence object of an answer from a collection; sources are its `citations`.

    `nearest` is what came nearest where the answer abstains.
    """

    mode: str
    gate: GateModelOnWire
    sentences: list[SentenceModel]
    struck: int
    nearest: list[EvidenceModel]

    @classmethod
    def from_grounding(cls, grounding: Grounding) -> Self:
        """Return what is shown of it."""
        return cls(
            mode=grounding.mode,
            gate=GateModelOnWire.from_decision(grounding.gate),
            sentences=[SentenceModel.from_verdict(one) for one in grounding.sentences],
            struck=grounding.struck,
            nearest=[EvidenceModel.from_passage(passage) for passage in grounding.nearest],
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
