"""The evidence object of an answer: each sentence that was said, held against what it cites.

Quotes are found again in the answer and are supported by what they are; what the model said in its
own words is checked (`rag/claim_check.py`). Asks no model.
"""

from collections.abc import Sequence

from dialog.controlled_answer import is_controlled
from dialog.reply import TurnRequest
from dialog.spoken import Spoken
from llm.decoding.grammar_spec import JsonSchema
from rag.answer_sentences import answer_sentences
from rag.citations import Citation
from rag.claim_check import ClaimCheck, check_claim
from rag.grounding import Grounding, SentenceVerdict, nearest_sources, verdict_on
from rag.pipeline import Evidence
from rag.quotes import Quote

OWN_WORDS_LABEL = "In other words: "


def grounding_of(request: TurnRequest, spoken: Spoken, evidence: Evidence) -> Grounding:
    """Return what was said held against what was found; JSON and calls are no sentences."""
    if spoken.grounding is not None:
        return spoken.grounding
    if not evidence.is_near:
        nearest = nearest_sources(evidence.passages) if evidence.gate.facet is None else ()
        return Grounding(mode="extractive", gate=evidence.gate, nearest=nearest)
    if isinstance(request.spec.grammar, JsonSchema) or request.tools:
        return Grounding(mode="extractive", gate=evidence.gate)
    if is_controlled(request):
        return drawn_grounding(spoken.text, evidence)
    return quoted_grounding(spoken.text, evidence)


def quoted_grounding(text: str, evidence: Evidence) -> Grounding:
    """Return what an answer of quotes rests on; a stop string may have cut it anywhere."""
    verdicts: list[SentenceVerdict] = []
    at = 0
    for number, quote in enumerate(evidence.quotes, start=1):
        found = _find(quote, text, at)
        if found is None:
            break
        verdicts.append(
            SentenceVerdict(
                start=_bytes(text, found[0]),
                end=_bytes(text, found[1]),
                verdict="supported",
                citations=(number,),
                cover=1.0,
                is_verbatim=True,
            )
        )
        at = found[1]
    label = text.find(OWN_WORDS_LABEL, at)
    if label >= 0:
        begin = label + len(OWN_WORDS_LABEL)
        own = _drawn_verdicts(text[begin:], evidence.citations, offset=_bytes(text, begin))
        verdicts += own
    return Grounding(mode="extractive", gate=evidence.gate, sentences=tuple(verdicts))


def drawn_grounding(text: str, evidence: Evidence) -> Grounding:
    """Return what an answer in the model's words rests on."""
    verdicts = _drawn_verdicts(text, evidence.citations, offset=0)
    return Grounding(mode="generative", gate=evidence.gate, sentences=tuple(verdicts))


def best_source(
    sentence: str, marks: Sequence[int], citations: Sequence[Citation]
) -> tuple[ClaimCheck, tuple[int, ...]]:
    """Hold a sentence against what its marks point to, or, without marks, what fits it best."""
    marked = [citation for citation in citations if citation.id in marks]
    if marked:
        source = "\n".join(citation.quote for citation in marked)
        return check_claim(sentence, source), tuple(citation.id for citation in marked)
    checks = [(check_claim(sentence, citation.quote), (citation.id,)) for citation in citations]
    nothing = ClaimCheck(cover=0.0, is_verbatim=False, problems=())
    return max(checks, key=lambda pair: _worth(pair[0]), default=(nothing, ()))


def _worth(check: ClaimCheck) -> tuple[int, float]:
    return -sum(not problem.is_weak for problem in check.problems), check.cover


def _drawn_verdicts(
    text: str, citations: Sequence[Citation], *, offset: int
) -> list[SentenceVerdict]:
    verdicts = []
    for sentence in answer_sentences(text):
        check, ids = best_source(sentence.text, sentence.marks, citations)
        verdict = verdict_on(check)
        verdicts.append(
            SentenceVerdict(
                start=offset + _bytes(text, sentence.start),
                end=offset + _bytes(text, sentence.end),
                verdict=verdict,
                citations=ids if sentence.marks or verdict != "unsupported" else (),
                cover=check.cover,
                is_verbatim=check.is_verbatim,
                problems=check.problems,
            )
        )
    return verdicts


def _find(quote: Quote, text: str, at: int) -> tuple[int, int] | None:
    """Return where a quote stands in an answer, whole or cut off at the answer's end."""
    words = quote.sentence.text
    start = text.find(words, at)
    if start >= 0:
        return start, start + len(words)
    for length in range(min(len(words), len(text) - at), 0, -1):
        if text.endswith(words[:length]):
            return len(text) - length, len(text)
    return None


def _bytes(text: str, chars: int) -> int:
    return len(text[:chars].encode())
