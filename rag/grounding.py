"""What an answer rests on, sentence by sentence: the evidence object that goes out with it.

Byte offsets of a sentence are into the UTF-8 form of the answer; where its citations point to is
said by the answer's `Citation`s, with the hash of the text that was cited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rag.claim_check import ClaimCheck, Problem
from rag.document import Passage, passage_from_payload
from rag.facets import Facet
from rag.gate import GateDecision
from rag.gate_model import GateFeatures

AnswerMode = Literal["extractive", "generative"]
VerdictName = Literal["supported", "partial", "unsupported"]

NUM_NEAREST = 5

SUPPORTED_COVER = 0.75
PARTIAL_COVER = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceVerdict:
    """One sentence of an answer, without its marks, and how far its citations bear it out.

    `cover` is the share of its terms that they hold, `similarity` the cosine to what they say,
    `lift` how much more probable the evidence makes it, in nats per word; None where not asked.
    `is_rewritten`: it stands in the place of a sentence of the draft that nothing bore out.
    """

    start: int
    end: int
    verdict: VerdictName
    citations: tuple[int, ...]
    cover: float
    is_verbatim: bool = False
    is_rewritten: bool = False
    similarity: float | None = None
    lift: float | None = None
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span needs 0 <= start <= end, got {self.start}..{self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """How an answer was made, what the gate said, and the verdict on each of its sentences.

    `struck` counts sentences that were left out because nothing bore them out. `nearest` is what
    came nearest where the answer abstains: it may be shown, and is no answer.
    """

    mode: AnswerMode
    gate: GateDecision
    sentences: tuple[SentenceVerdict, ...] = ()
    struck: int = 0
    nearest: tuple[Passage, ...] = ()


def grounding_from_payload(payload: Mapping[str, Any]) -> Grounding:
    """Rebuild a grounding from the JSON values of its fields, as `dataclasses.asdict` has them."""
    gate = payload["gate"]
    facet = gate["facet"]
    if facet is not None:
        facet = Facet(**{**facet, "options": tuple(facet["options"])})
    decision = GateDecision(
        **{
            **gate,
            "features": GateFeatures(**gate["features"]),
            "missing_names": tuple(gate["missing_names"]),
            "missing_terms": tuple(gate["missing_terms"]),
            "facet": facet,
        }
    )
    sentences = tuple(
        SentenceVerdict(
            **{
                **one,
                "citations": tuple(one["citations"]),
                "problems": tuple(Problem(**problem) for problem in one["problems"]),
            }
        )
        for one in payload["sentences"]
    )
    nearest = payload.get("nearest", ())  # which answers before it was kept do not have
    return Grounding(
        mode=payload["mode"],
        gate=decision,
        sentences=sentences,
        struck=payload["struck"],
        nearest=tuple(passage_from_payload(passage) for passage in nearest),
    )


def nearest_sources(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """Return the first passages that may be shown; what a model wrote is not among them."""
    return tuple(passage for passage in passages if passage.origin == "source")[:NUM_NEAREST]


def verdict_on(check: ClaimCheck) -> VerdictName:
    """Return the verdict by the hard checks and the cover.

    A number, date, name, quotation or turn that the source does not bear out refuses the sentence;
    a word that only may be a name leaves it partial.
    """
    if any(not problem.is_weak for problem in check.problems):
        return "unsupported"
    if check.cover >= SUPPORTED_COVER and not check.problems:
        return "supported"
    return "partial" if check.cover >= PARTIAL_COVER else "unsupported"


def weakest(verdicts: Sequence[SentenceVerdict]) -> VerdictName | None:
    """Return the worst verdict of an answer; None where it has no sentence."""
    order: tuple[VerdictName, ...] = ("unsupported", "partial", "supported")
    found = {verdict.verdict for verdict in verdicts}
    return next((name for name in order if name in found), None)
