"""A reply in the shapes of the OpenAI API: one object, or the chunks of a stream.

What is ours rides in `causerie`: in the message, in the last delta and at the top of the last
chunk, where each kind of client finds it.
"""

import secrets
import time
from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel

from dialog.reply import Reply, Timings
from llm.chat import FinishReason, Usage
from rag.citations import Citation
from rag.document import Passage

Json = dict[str, Any]


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


class ExtensionModel(BaseModel):
    """What an answer says beyond the OpenAI API; `finish_reason` is the reply's own word for it."""

    citations: list[CitationModel]
    abstained: bool
    dropped_turns: int
    left_window: int
    finish_reason: FinishReason
    notes: list[str]
    conversation: str | None
    seed: int
    timings: TimingsModel

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
        )


class AnswerWriter:
    """Writes one answer; everything it writes has the same id, time, model and fingerprint."""

    def __init__(
        self, *, model: str, fingerprint: str, includes_usage: bool, has_citations: bool
    ) -> None:
        self._head: Json = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        self._includes_usage = includes_usage
        self._has_citations = has_citations

    def completion(self, reply: Reply) -> Json:
        """Return the whole answer as one object."""
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": reply.text,
                        "refusal": None,
                        "causerie": self._extension(reply),
                    },
                    "logprobs": None,
                    "finish_reason": _wire_reason(reply.finish_reason),
                }
            ],
            "usage": _usage(reply.usage),
        }

    def role_chunk(self) -> Json:
        """Return the chunk that begins a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def evidence_chunk(self, passages: Sequence[Passage]) -> Json:
        """Return the chunk that shows, before any text, what the answer may draw on."""
        return {**self._chunk({}), "causerie": {"evidence": [_evidence(p) for p in passages]}}

    def text_chunk(self, text: str) -> Json:
        """Return a chunk with the next piece of text."""
        return self._chunk({"content": text})

    def finish_chunk(self, reply: Reply) -> Json:
        """Return the chunk that ends the text and says what it rests on."""
        extension = self._extension(reply)
        reason = _wire_reason(reply.finish_reason)
        chunk = self._chunk({"causerie": extension}, finish_reason=reason)
        return {**chunk, "causerie": extension}

    def usage_chunk(self, reply: Reply) -> Json | None:
        """Return the chunk with the usage, if the request asked for one."""
        if not self._includes_usage:
            return None
        return {**self._chunk({}), "choices": [], "usage": _usage(reply.usage)}

    def _chunk(self, delta: Json, *, finish_reason: str | None = None) -> Json:
        chunk: Json = {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [
                {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            ],
        }
        if self._includes_usage:
            chunk["usage"] = None
        return chunk

    def _extension(self, reply: Reply) -> Json:
        extension = ExtensionModel.from_reply(reply, has_citations=self._has_citations)
        return extension.model_dump(mode="json")


def _wire_reason(reason: FinishReason) -> str:
    """Return the word of the OpenAI API, whose clients refuse any other."""
    return "length" if reason == "deadline" else reason


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _evidence(passage: Passage) -> Json:
    return {
        "rank": passage.rank,
        "score": passage.score,
        "collection": passage.collection,
        "document_id": passage.document_id,
        "title": passage.title,
        "uri": passage.uri,
        "start": passage.chunk.start,
        "end": passage.chunk.end,
        "text": passage.chunk.text,
    }
