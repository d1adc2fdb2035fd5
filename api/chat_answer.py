"""A reply in the shapes of the OpenAI API: one object, or the chunks of a stream.

What is ours rides in `causerie`: in the message, in the last delta and at the top of the last
chunk, where each kind of client finds it.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from api.acting_model import card_to_wire
from api.evidence_model import EvidenceModel
from api.reply_model import ExtensionModel
from api.token_logprobs import logprobs_of
from dialog.reply import Alternative, CallCard, Reply
from llm.chat import FinishReason, TextDelta, TokenLogProb, ToolCall, ToolCallDelta, Usage
from rag.document import Passage

Json = dict[str, Any]


class AnswerWriter:
    """Writes one answer; everything it writes has the same id, time, model and fingerprint.

    `num_choices` answers were asked for, with the log-probabilities of their tokens if
    `has_logprobs`.
    """

    def __init__(
        self,
        *,
        model: str,
        fingerprint: str,
        includes_usage: bool,
        has_citations: bool,
        num_choices: int = 1,
        has_logprobs: bool = False,
    ) -> None:
        self._head: Json = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        self._includes_usage = includes_usage
        self._has_citations = has_citations
        self._num_choices = num_choices
        self._has_logprobs = has_logprobs

    def completion(self, reply: Reply) -> Json:
        """Return the whole answer as one object."""
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [
                {
                    "index": index,
                    "message": {
                        "role": "assistant",
                        **_said(choice),
                        "refusal": None,
                        "causerie": self._own(choice),
                    },
                    "logprobs": self._logprobs(choice.log_probs),
                    "finish_reason": _wire_reason(choice),
                }
                for index, choice in enumerate(self._choices(reply))
            ],
            "usage": _usage(reply.usage),
        }

    def role_chunks(self) -> Iterator[Json]:
        """Yield the chunks that begin a stream, one a choice."""
        for index in range(self._num_choices):
            yield self._chunk({"role": "assistant", "content": ""}, index=index)

    def evidence_chunk(self, passages: Sequence[Passage]) -> Json:
        """Return the chunk that shows, before any text, what the answer may draw on."""
        found = [EvidenceModel.from_passage(passage).model_dump() for passage in passages]
        return {**self._chunk({}), "causerie": {"evidence": found}}

    def text_chunk(self, delta: TextDelta) -> Json:
        """Return a chunk with the next piece of text, and of its tokens."""
        logprobs = self._logprobs(delta.log_probs) if delta.log_probs else None
        return self._chunk({"content": delta.text}, index=delta.choice, logprobs=logprobs)

    def call_chunk(self, delta: ToolCallDelta) -> Json:
        """Return a chunk with the next piece of a call."""
        call: Json = {"index": delta.call, "function": {"arguments": delta.arguments}}
        if delta.id:
            call = {
                "index": delta.call,
                "id": delta.id,
                "type": "function",
                "function": {"name": delta.name, "arguments": delta.arguments},
            }
        return self._chunk({"tool_calls": [call]}, index=delta.choice)

    def card_chunk(self, card: CallCard) -> Json:
        """Return a chunk that tells how a call of the service's own tools stands."""
        return {**self._chunk({}), "causerie": {"tool": card_to_wire(card)}}

    def finish_chunks(self, reply: Reply) -> Iterator[Json]:
        """Yield the chunks that end the choices; the last one says what the answer rests on."""
        choices = self._choices(reply)
        for index, choice in enumerate(choices):
            chunk = self._chunk(
                {"causerie": self._own(choice)}, index=index, finish_reason=_wire_reason(choice)
            )
            if index == len(choices) - 1:
                chunk = {**chunk, "causerie": self._own(reply)}
            yield chunk

    def usage_chunk(self, reply: Reply) -> Json | None:
        """Return the chunk with the usage, if the request asked for one."""
        if not self._includes_usage:
            return None
        return {**self._chunk({}), "choices": [], "usage": _usage(reply.usage)}

    def _choices(self, reply: Reply) -> list[Reply | Alternative]:
        """Return as many answers as were asked for; what a search found besides is no choice."""
        others = reply.alternatives if self._num_choices > 1 else ()
        return [reply, *others]

    def _chunk(
        self,
        delta: Json,
        *,
        index: int = 0,
        logprobs: Json | None = None,
        finish_reason: str | None = None,
    ) -> Json:
        chunk: Json = {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [
                {
                    "index": index,
                    "delta": delta,
                    "logprobs": logprobs,
                    "finish_reason": finish_reason,
                }
            ],
        }
        if self._includes_usage:
            chunk["usage"] = None
        return chunk

    def _logprobs(self, tokens: Sequence[TokenLogProb]) -> Json | None:
        return logprobs_of(tokens) if self._has_logprobs else None

    def _own(self, choice: Reply | Alternative) -> Json:
        """Return what is ours of a choice: all of the first, of others what differs."""
        if isinstance(choice, Alternative):
            return {"finish_reason": choice.finish_reason, "seed": choice.seed}
        return ExtensionModel.from_reply(choice, has_citations=self._has_citations).to_wire()


def _said(choice: Reply | Alternative) -> Json:
    """Return the words and calls of a message; no content is how a call alone is told."""
    if not choice.tool_calls:
        return {"content": choice.text}
    calls = [_call(call) for call in choice.tool_calls]
    return {"content": choice.text or None, "tool_calls": calls}


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _wire_reason(choice: Reply | Alternative) -> str:
    """Return the word of the OpenAI API, whose clients refuse any other."""
    reason: FinishReason = choice.finish_reason
    if choice.tool_calls and reason == "stop":
        return "tool_calls"
    return "length" if reason == "deadline" else reason


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
