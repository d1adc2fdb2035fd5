"""A finished turn as the events that a conversation keeps of it."""

from collections.abc import Iterator

from dialog.events import Event, EvidenceRetrieved, SystemUttered, UserUttered
from dialog.reply import Reply
from rag.pipeline import Evidence


def turn_events(
    reply: Reply, *, said: str, prompt_text: str, evidence: Evidence | None
) -> Iterator[Event]:
    """Yield what was `said`, what was found for it where there was a search, and the reply."""
    yield UserUttered(message_id="", text=said, prompt_text=prompt_text)
    if evidence is not None:
        yield EvidenceRetrieved(passages=evidence.passages if evidence.is_near else ())
    yield SystemUttered(
        text=reply.text,
        citations=reply.citations,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
        timings=reply.timings,
        seed=reply.seed,
        abstained=reply.abstained,
        dropped_turns=reply.dropped_turns,
        notes=reply.notes,
        grounding=reply.grounding,
        run_id="" if reply.acting is None else reply.acting.run_id,
    )
