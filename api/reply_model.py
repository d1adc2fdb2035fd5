"""What an answer says of itself, on the wire: its sources, its times, what its decoding cost."""

from typing import Any, Self

from pydantic import BaseModel

from api.acting_model import report_to_wire
from api.grounding_model import GroundingModel
from api.trace_model import TraceModel
from dialog.reply import Alternative, Reply, Timings
from llm.chat import FinishReason, MarkReport, Usage
from rag.citations import Citation


class CitationModel(BaseModel):
    """The source behind a mark `[id]`; offsets are bytes of the document's UTF-8 text."""

    id: int
    collection: str
    document_id: str
    title: str
    uri: str
    start: int
    end: int
    quote: str
    score: float
    text_sha256: str

    @classmethod
    def from_citation(cls, citation: Citation) -> Self:
        """Return what is shown of a citation."""
        return cls(
            id=citation.id,
            collection=citation.collection,
            document_id=citation.document_id,
            title=citation.title,
            uri=citation.uri,
            start=citation.start,
            end=citation.end,
            quote=citation.quote,
            score=citation.score,
            text_sha256=citation.text_sha256,
        )


class TimingsModel(BaseModel):
    """Seconds of the parts of a turn, and how fast tokens came."""

    retrieval_s: float
    prefill_s: float
    decode_s: float
    total_s: float
    tokens_per_s: float

    @classmethod
    def from_timings(cls, timings: Timings, usage: Usage) -> Self:
        """Return what is shown of a turn's timings."""
        num_tokens = timings.decoded_tokens or usage.completion_tokens
        speed = num_tokens / timings.decode_s if timings.decode_s > 0 else 0.0
        return cls(
            retrieval_s=round(timings.retrieval_s, 4),
            prefill_s=round(timings.prefill_s, 4),
            decode_s=round(timings.decode_s, 4),
            total_s=round(timings.total_s, 4),
            tokens_per_s=round(speed, 2),
        )


class AlternativeModel(BaseModel):
    """An answer that a search found to be worth less."""

    text: str
    score: float | None
    finish_reason: FinishReason

    @classmethod
    def from_alternative(cls, alternative: Alternative) -> Self:
        """Return what is shown of it."""
        return cls(
            text=alternative.text,
            score=alternative.score,
            finish_reason=alternative.finish_reason,
        )


class MarkModel(BaseModel):
    """How an answer is watermarked, and its chance to be found at 1 % false positives."""

    scheme: str
    key_id: str
    power: float
    num_scored: int
    is_detectable: bool

    @classmethod
    def from_report(cls, report: MarkReport) -> Self:
        """Return what is shown of it."""
        return cls(
            scheme=report.scheme,
            key_id=report.key_id,
            power=round(report.power, 4),
            num_scored=report.num_scored,
            is_detectable=report.is_detectable,
        )


_WHERE_THEY_APPLY = frozenset(
    {"mark", "steer_kl", "drafted_tokens", "accepted_tokens", "score", "alternatives", "tools"}
    | {"grounding", "trace"}
)


class ExtensionModel(BaseModel):
    """What an answer says beyond the OpenAI API; `finish_reason` is the reply's own word for it.

    `mark` is there where it is watermarked, `steer_kl` where something steered, the counts where
    tokens were drafted, `score` and `alternatives` after a search, `tools` where the service's own
    tools were used, `grounding` where the answer is from a collection and citations are wanted,
    `trace` where it was asked for.
    """

    citations: list[CitationModel]
    abstained: bool
    dropped_turns: int
    left_window: int
    finish_reason: FinishReason
    notes: list[str]
    conversation: str | None
    seed: int
    timings: TimingsModel
    mark: MarkModel | None
    steer_kl: float | None
    drafted_tokens: int | None
    accepted_tokens: int | None
    score: float | None
    alternatives: list[AlternativeModel] | None
    tools: dict[str, Any] | None
    grounding: GroundingModel | None
    trace: TraceModel | None

    @classmethod
    def from_reply(cls, reply: Reply, *, has_citations: bool) -> Self:
        """Return what is shown of a reply; without its citations if nobody wants them."""
        citations = reply.citations if has_citations else ()
        return cls(
            citations=[CitationModel.from_citation(c) for c in citations],
            abstained=reply.abstained,
            dropped_turns=reply.dropped_turns,
            left_window=reply.left_window,
            finish_reason=reply.finish_reason,
            notes=list(reply.notes),
            conversation=reply.conversation_id,
            seed=reply.seed,
            timings=TimingsModel.from_timings(reply.timings, reply.usage),
            mark=None if reply.mark is None else MarkModel.from_report(reply.mark),
            steer_kl=reply.steer_kl,
            drafted_tokens=reply.drafted_tokens or None,
            accepted_tokens=reply.accepted_tokens if reply.drafted_tokens else None,
            score=reply.score,
            alternatives=[AlternativeModel.from_alternative(a) for a in reply.alternatives]
            if reply.score is not None
            else None,
            tools=None if reply.acting is None else report_to_wire(reply.acting),
            grounding=GroundingModel.from_grounding(reply.grounding)
            if has_citations and reply.grounding is not None
            else None,
            trace=None if reply.trace is None else TraceModel.of(reply.trace),
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the extension as JSON; what does not apply to this answer is not there."""
        wire = self.model_dump(mode="json")
        return {k: v for k, v in wire.items() if v is not None or k not in _WHERE_THEY_APPLY}
