"""Saying an answer from evidence: quotes while the model drafts, then its own words if they hold.

Which words are said is `dialog/grounded_answer.py`; this is when.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from dialog.grounded_answer import (
    OWN_WORDS_LABEL,
    OWN_WORDS_TOKENS,
    is_hopeless,
    marked_sentences,
    own_words,
    within_bounds,
)
from dialog.reply import TurnRequest
from dialog.spoken import Spoken
from dialog.window import Window, text_tokens
from llm.chat import ChatModel, LinkedEvent, TextDelta
from rag.pipeline import Evidence


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
