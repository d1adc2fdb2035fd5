"""An answer from evidence: quotes while the model drafts, then its own words if they hold.

The sentences of the source carry the answer verbatim, each with its mark. What the model adds in
its own words is shown only where the quoted sentences bear it out.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from dialog.answer_grounding import OWN_WORDS_LABEL
from dialog.reply import TurnRequest
from dialog.spoken import Spoken
from dialog.window import Window, text_tokens
from llm.chat import ChatModel, FinishReason, LinkedEvent, TextDelta
from rag.document import Passage
from rag.facets import Facet
from rag.gate import GateDecision
from rag.pipeline import Evidence
from rag.quotes import Quote
from rag.verify import adds_something, is_borne_out, may_be_borne_out

_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_OPENING = re.compile(
    r"^(?:answer\s*:|according to (?:the )?(?:evidence|text|passage)s?,?|the (?:evidence|text) says"
    r"(?: that)?)\s*",
    re.IGNORECASE,
)
OWN_WORDS_TOKENS = 56
_MAX_TITLES = 3
_OPENING_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedSentence:
    """A piece of the answer as shown, with the number of its citation."""

    text: str
    number: int


def marked_sentences(quotes: Sequence[Quote]) -> list[MarkedSentence]:
    """Return the quotes as they are shown: one paragraph a passage, a mark behind each."""
    pieces: list[MarkedSentence] = []
    before: Quote | None = None
    for number, quote in enumerate(quotes, start=1):
        joint = ""
        if before is not None:
            joint = " " if _stand_together(before, quote) else "\n\n"
        lead = ""
        if quote.sentence.lead and (before is None or before.sentence.lead != quote.sentence.lead):
            lead = f"`{quote.sentence.lead}`: "
        pieces.append(
            MarkedSentence(text=f"{joint}{lead}{quote.sentence.text} [{number}]", number=number)
        )
        before = quote
    return pieces


def within_bounds(
    pieces: Sequence[MarkedSentence],
    *,
    max_tokens: int,
    stop: Sequence[str],
    count_tokens: Callable[[str], int],
) -> tuple[list[MarkedSentence], FinishReason | None]:
    """Return the pieces that a request's bounds allow, and which bound cut them (None: none did).

    Sentences are given whole: the first always, a further one while the answer stays within
    `max_tokens`. A stop string cuts the text before it, wherever it stands.
    """
    kept: list[MarkedSentence] = []
    text = ""
    cut_by: FinishReason | None = None
    for piece in pieces:
        if kept and count_tokens(text + piece.text) > max_tokens:
            cut_by = "length"
            break
        kept.append(piece)
        text += piece.text
    at = min((i for s in stop if (i := text.find(s)) >= 0), default=len(text))
    if at == len(text):
        return kept, cut_by
    return _up_to(kept, at), "stop"


def _up_to(pieces: Sequence[MarkedSentence], num_chars: int) -> list[MarkedSentence]:
    cut = []
    for piece in pieces:
        cut.append(replace(piece, text=piece.text[:num_chars]))
        num_chars -= len(piece.text)
        if num_chars <= 0:
            break
    return cut


def _stand_together(first: Quote, second: Quote) -> bool:
    return (
        first.passage.document_id == second.passage.document_id
        and first.passage.chunk.start == second.passage.chunk.start
        and first.sentence.lead == second.sentence.lead
    )


def own_words(draft: str, quotes: Sequence[Quote], question: str) -> str:
    """Return the first sentence of a draft if the quotes bear it out and it adds something."""
    said = [quote.sentence.text for quote in quotes]
    first = _first_sentence(draft)
    if not first.endswith((".", "!", "?")):
        return ""  # cut off in the middle by the token limit
    if not (is_borne_out(first, said) and adds_something(first, said, question)):
        return ""
    return first[0].upper() + first[1:]


def is_hopeless(draft: str, quotes: Sequence[Quote]) -> bool:
    """Tell whether nothing that comes after this beginning of a draft could be shown."""
    if len(draft.split()) <= _OPENING_WORDS:
        return False  # it may still be an opening such as "According to the evidence"
    beginning = _SENTENCE_END.split(_OPENING.sub("", draft.lstrip()), maxsplit=1)
    if len(beginning) > 1:
        return True  # only the first sentence is ever shown
    return not may_be_borne_out(beginning[0], [quote.sentence.text for quote in quotes])


def _first_sentence(draft: str) -> str:
    return _SENTENCE_END.split(_OPENING.sub("", draft.strip()), maxsplit=1)[0].strip()


def abstention(collection: str, passages: Sequence[Passage], gate: GateDecision) -> str:
    """Return what to say where nothing near was found: what came nearest, and what it lacks."""
    said = f"I found nothing in the collection “{collection}” that answers this."
    titles = list(dict.fromkeys(passage.title for passage in passages))[:_MAX_TITLES]
    if titles:
        said += " The nearest it holds: " + "; ".join(titles) + "."
        names = gate.missing_names[:_MAX_TITLES]
        if names:
            said += " None of that speaks of " + ", ".join(names) + "."
    return said


def clarification(facet: Facet) -> str:
    """Return the question that splits what was found best."""
    *others, last = facet.options
    return f"That fits several things here. Which do you mean: {', '.join(others)} or {last}?"


def speak_quotes(
    model: ChatModel,
    request: TurnRequest,
    evidence: Evidence,
    window: Window,
    spoken: Spoken,
    cancel: threading.Event,
    *,
    max_tokens: int,
) -> Iterator[TextDelta]:
    """Yield the quotes, then the model's own words if the quotes bear them out.

    The first sentence goes out at once, the others in step with the model's tokens. A draft
    that the quotes can no longer bear out is given up.
    """
    count_tokens = partial(text_tokens, model)
    pieces, cut_by = within_bounds(
        marked_sentences(evidence.quotes),
        max_tokens=max_tokens,
        stop=request.params.stop,
        count_tokens=count_tokens,
    )
    yield spoken.say(pieces[0].text, pieces[0].number)
    if cut_by is not None:
        spoken.finish_reason = cut_by
        for piece in pieces[1:]:
            yield spoken.say(piece.text, piece.number)
        return
    waiting = [(word, piece.number) for piece in pieces[1:] for word in _words(piece.text)]
    params = replace(
        request.params,
        max_tokens=OWN_WORDS_TOKENS,
        stop=("\n",),
        logprobs=False,
        timeout_s=spoken.left_s(request.params),
    )
    draft = ""
    given_up = LinkedEvent(cancel)
    for part in model.stream(
        window.messages, params, spec=request.spec, cancel=given_up, tenant=request.owner
    ):
        if isinstance(part, TextDelta):
            draft += part.text
            if is_hopeless(draft, evidence.quotes):
                given_up.set()
            if waiting:
                yield spoken.say(*waiting.pop(0))
        else:
            spoken.completion = part
    if cancel.is_set():
        spoken.finish_reason = "cancelled"
        return
    for word, number in waiting:
        yield spoken.say(word, number)
    own = own_words(draft, evidence.quotes, request.messages[-1].content)
    addition = f"\n\n{OWN_WORDS_LABEL}{own}"
    text = spoken.text + addition
    is_stopped = any(stop in text for stop in request.params.stop)
    if own and not is_stopped and count_tokens(text) <= max_tokens:
        yield spoken.say(addition)


def _words(text: str) -> list[str]:
    """Cut before each word, so that the pieces concatenate to the text."""
    pieces = text.split(" ")
    return [pieces[0], *(f" {piece}" for piece in pieces[1:])]
