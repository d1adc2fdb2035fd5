"""Answers in the model's own words where a request controls how they are decoded.

    evidence → prompt and form → the model, under its controls → text, calls, citations by mark

A turn without controls quotes its evidence instead (`dialog/grounded_answer.py`). Does not know
where evidence comes from, nor how controls work.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dialog.reply import Alternative, TurnRequest
from dialog.spoken import Spoken
from llm.chat import Completion, Message, TextDelta, ToolCall, ToolCallDelta
from llm.decoding.grammar_spec import CitationIds, GrammarSpec, JsonSchema, Passage, Quote
from llm.decoding.spec import DecodeSpec
from llm.errors import ConstraintError
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import ToolReader, call_salt, read_calls
from rag.pipeline import Evidence

NO_EVIDENCE_NOTE = "Nothing near was found in the collection: the answer rests on no evidence."

_MAX_QUOTES = 2
_MARK = re.compile(r"\[(\d+)\]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def is_controlled(request: TurnRequest) -> bool:
    """Tell whether the words must be drawn from the model rather than quoted."""
    spec = request.spec
    return (
        has_form(request)
        or bool(spec.steer or spec.experts or spec.contrast)
        or spec.context_faithfulness > 0
        or spec.search.method != "sample"
        or spec.num_choices > 1
    )


def has_form(request: TurnRequest) -> bool:
    """Tell whether the answer must have a form, which a sentence of ours would break."""
    return (
        request.spec.grammar is not None
        or request.tools is not None
        or request.evidence_form is not None
    )


def check_has_evidence(request: TurnRequest) -> None:
    """Refuse what only evidence gives a meaning, in a turn without a collection.

    Raises:
        ConstraintError: the request asks for such a thing.
    """
    if request.spec.context_faithfulness > 0:
        raise ConstraintError(
            f"context_faithfulness {request.spec.context_faithfulness} weighs the evidence of a"
            " collection and there is none; name a collection or leave it out"
        )
    if request.answer == "generative":
        raise ConstraintError(
            "answer 'generative' is verified against the evidence of a collection and there is"
            " none; name a collection or leave it out"
        )
    if request.evidence_form is not None:
        raise ConstraintError(
            f"a grammar that is to {request.evidence_form} needs evidence; name a collection or"
            " leave it out"
        )


def controlled_spec(request: TurnRequest, evidence: Evidence) -> DecodeSpec:
    """Return the spec of a turn, its form completed by the evidence that was found."""
    spec = request.spec
    if request.evidence_form is not None:
        spec = replace(spec, grammar=_evidence_grammar(request.evidence_form, evidence))
    if not evidence.is_near:  # with nothing to be faithful to
        spec = replace(spec, context_faithfulness=0.0)
    return spec


def _evidence_grammar(form: str, evidence: Evidence) -> GrammarSpec:
    ids = [str(citation.id) for citation in evidence.citations]
    if form == "cite":
        return CitationIds(ids=tuple(ids))
    return Quote(
        passages=tuple(
            Passage(id=id_, text=quote.sentence.text)
            for id_, quote in zip(ids, evidence.quotes, strict=True)
        ),
        cite=True,
        max_quotes=min(_MAX_QUOTES, len(ids)),
    )


def relayed(
    parts: Iterable[TextDelta | Completion],
    request: TurnRequest,
    prompt: Sequence[Message],
    spoken: Spoken,
) -> Iterator[TextDelta | ToolCallDelta]:
    """Pass on what a model says, calls told from text; notes the first choice's words."""
    readers: dict[int, ToolReader] = {}
    salt = call_salt(prompt)
    for part in parts:
        if isinstance(part, Completion):
            spoken.completion = part
            spoken.finish_reason = part.finish_reason
        elif request.tools is None:
            _note(part, spoken)
            yield part
        else:
            new = ToolReader(salt=salt, choice=part.choice, form=request.tools.form)
            reader = readers.setdefault(part.choice, new)
            yield from _told_apart(reader.feed(part.text), part, spoken)
    for choice, reader in readers.items():
        yield from _told_apart(reader.finish(), TextDelta(text="", choice=choice), spoken)
    for text in _prose(request, spoken):
        spoken.marks |= {int(number) for number in _MARK.findall(text)}
    if request.tools is not None and spoken.completion is not None:
        form = request.tools.form
        _, spoken.tool_calls = read_calls(spoken.completion.text, salt=salt, form=form)
        spoken.alternatives = _alternatives(spoken.completion, salt, form)
    elif spoken.completion is not None:
        spoken.alternatives = _alternatives(spoken.completion, None)


def _prose(request: TurnRequest, spoken: Spoken) -> Iterator[str]:
    """Yield where marks can stand: of JSON the strings alone, since `[1]` is a list there."""
    if not isinstance(request.spec.grammar, JsonSchema):
        yield spoken.text
        return
    for found in _STRING.finditer(spoken.text):
        yield found[0]


def _told_apart(
    pieces: Iterable[str | ToolCallDelta], part: TextDelta, spoken: Spoken
) -> Iterator[TextDelta | ToolCallDelta]:
    """Yield the pieces of one delta; its log-probabilities go out with its first text."""
    log_probs = part.log_probs
    for piece in pieces:
        if isinstance(piece, str):
            delta = replace(part, text=piece, log_probs=log_probs)
            log_probs = ()
            _note(delta, spoken)
            yield delta
        else:
            yield piece
    if log_probs:
        yield replace(part, text="", log_probs=log_probs)


def _note(delta: TextDelta, spoken: Spoken) -> None:
    if delta.choice == 0:
        spoken.say(delta.text)


def _alternatives(
    completion: Completion, salt: str | None, form: CallForm = OWN
) -> tuple[Alternative, ...]:
    """Return the other answers, their calls read by `salt` where there may be calls."""
    found = []
    for choice, other in enumerate(completion.alternatives, start=1):
        text: str = other.text
        calls: tuple[ToolCall, ...] = ()
        if salt is not None:
            text, calls = read_calls(other.text, salt=salt, choice=choice, form=form)
        found.append(
            Alternative(
                text=text,
                finish_reason=other.finish_reason,
                seed=other.seed,
                log_probs=other.log_probs,
                tool_calls=calls,
                score=other.score,
            )
        )
    return tuple(found)
