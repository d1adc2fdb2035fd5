"""An answer in the model's own words whose every sentence is held against the evidence.

    passages, packed → a draft whose marks can only be ids of them → each sentence judged
    → what nothing bears out is written once more, as a verbatim quote, else struck or flagged
    → said

The draft's grammar has no quotation marks, so that nothing passes for a quote that is none; what is
written anew has a grammar that admits only spans of the passages, each with its own id.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dialog.controlled_answer import is_controlled
from dialog.reply import TurnRequest
from dialog.spoken import Spoken
from dialog.window import Window
from llm.chat import ChatModel, Completion, Message, TextDelta
from llm.decoding.grammar_spec import Choices, Lark
from llm.decoding.spec import PLAIN, DecodeSpec
from rag.answer_sentences import AnswerSentence, answer_sentences
from rag.citations import Citation
from rag.grounding import (
    AnswerMode,
    Grounding,
    SentenceVerdict,
    VerdictName,
    nearest_sources,
    verdict_on,
)
from rag.packing import PackedPassage
from rag.pipeline import Evidence
from rag.sentences import split_sentences
from rag.verifier import Support, Verifier

MAX_SENTENCES = 3
_MIN_TOKENS = 32  # below it not even one sentence with its mark is sure to fit
OWN_TOKENS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    sentence: AnswerSentence
    support: Support
    is_rewritten: bool = False

    @property
    def verdict(self) -> VerdictName:
        return verdict_on(self.support.check) if self.support.is_related else "unsupported"

    @property
    def is_unsupported(self) -> bool:
        return self.verdict == "unsupported"


def is_generative(request: TurnRequest, default: AnswerMode) -> bool:
    """Tell whether a turn is answered so: what controls the words otherwise goes before a default.

    A request that asks for it may steer the draft and weigh the evidence in it.
    """
    if request.answer is None:
        return default == "generative" and not is_controlled(request)
    return request.answer == "generative"


def cited_sentences(numbers: Sequence[int]) -> Lark:
    """Return the grammar of a few sentences, each ended by marks of these numbers alone."""
    ids = "|".join(str(number) for number in numbers)
    body = r'([^"\[\]\n.!?]|[.!?][^\s"\[\]]|[A-Z]\. )'
    sentence = rf"{body}{{3,320}}[.!?] \[({ids})\]"
    return Lark(source=f'start: SENT (" " SENT)~0..{MAX_SENTENCES - 1}\nSENT: /{sentence}/\n')


class GeneratedAnswer:
    """Writes the answer of one turn; `speak` is called once."""

    def __init__(
        self,
        model: ChatModel,
        verifier: Verifier,
        request: TurnRequest,
        packed: Sequence[PackedPassage],
        evidence: Evidence,
        *,
        query: str,
    ) -> None:
        """Take the parts of a turn; `query` is its question where it stands on its own."""
        self._model = model
        self._verifier = verifier
        self._request = request
        self._packed = packed
        self._evidence = evidence
        self._question = query

    def speak(
        self,
        window: Window,
        spoken: Spoken,
        cancel: threading.Event,
        *,
        max_tokens: int,
        nothing: str,
    ) -> Iterator[TextDelta]:
        """Yield the answer, a sentence at a time, each when it was judged.

        `nothing` is said where no sentence is left.
        """
        numbers = [one.number for one in self._packed]
        spec = replace(self._request.spec, grammar=cited_sentences(numbers))
        bare = (*window.messages[:-1], self._request.messages[-1])
        baseline = bare if spec.context_faithfulness else None
        limit = min(max(max_tokens, _MIN_TOKENS), OWN_TOKENS)
        draft = self._drawn(window.messages, spec, spoken, cancel, limit, baseline)
        kept: list[_Judged] = []
        struck = 0
        for judged in self._judged(draft):
            one: _Judged | None = judged
            if judged.is_unsupported and not cancel.is_set():
                one = self._mended(judged, window, spoken, cancel, kept)
            if one is None:
                struck += 1
                continue
            kept.append(one)
            joint = " " if spoken.text else ""
            mark = one.support.citation.id
            piece, is_cut = self._until_stop(spoken.text, f"{joint}{one.sentence.text} [{mark}]")
            yield spoken.say(piece, None if is_cut else mark)
            if is_cut:
                kept.pop()
                spoken.finish_reason = "stop"
                break
        has_nothing = not spoken.text and not cancel.is_set()
        spoken.citations = _citations([one.support.citation for one in kept], self._packed)
        spoken.grounding = Grounding(
            mode="generative",
            gate=self._evidence.gate,
            sentences=tuple(_verdicts(kept, spoken.text)),
            struck=struck,
            nearest=nearest_sources(self._evidence.passages) if has_nothing else (),
        )
        if has_nothing:
            spoken.has_abstained = True
            yield spoken.say(nothing)

    def _until_stop(self, said: str, piece: str) -> tuple[str, bool]:
        """Return what may be said of a piece before a stop string, and whether one was there."""
        text = said + piece
        ends = [at for stop in self._request.params.stop if (at := text.find(stop)) >= 0]
        return (piece[: max(0, min(ends) - len(said))], True) if ends else (piece, False)

    def _mended(
        self,
        judged: _Judged,
        window: Window,
        spoken: Spoken,
        cancel: threading.Event,
        kept: Sequence[_Judged],
    ) -> _Judged | None:
        """Return what is said in place of a sentence that nothing bears out; None: nothing is."""
        said = {one.sentence.text for one in kept}
        if self._request.unsupported == "flag":
            return judged
        if kept:
            return None  # the answer stands without it
        again = next(iter(self._judged(self._quoted(window, spoken, cancel))), None)
        if again is None or again.is_unsupported or again.sentence.text in said:
            return None
        return replace(again, is_rewritten=True)

    def _judged(self, draft: str) -> Iterator[_Judged]:
        before: set[str] = set()
        for sentence in answer_sentences(draft):
            if sentence.text in before:
                continue  # a model that loops
            before.add(sentence.text)
            support = self._verifier.support(
                sentence.text,
                self._packed,
                self._question,
                marks=sentence.marks,
                tenant=self._request.owner,
            )
            if support is not None:
                yield _Judged(sentence=sentence, support=support)

    def _quoted(self, window: Window, spoken: Spoken, cancel: threading.Event) -> str:
        """Return one sentence with its mark, chosen by the model among those near the question."""
        sentences = [
            (one.number, part.start, part.end, one.citation(part.start, part.end).quote)
            for one in self._packed
            for part in split_sentences(one.passage.chunk)
        ]
        near = {(quote.sentence.start, quote.sentence.end) for quote in self._evidence.quotes}
        nearest = [one for one in sentences if (one[1], one[2]) in near]
        options = tuple(f'"{text}" [{number}]' for number, _, _, text in nearest or sentences)
        if not options:
            return ""
        grammar = Choices(options=options)
        spec = replace(PLAIN, grammar=grammar)
        return self._drawn(window.messages, spec, spoken, cancel, OWN_TOKENS, None)

    def _drawn(
        self,
        messages: Sequence[Message],
        spec: DecodeSpec,
        spoken: Spoken,
        cancel: threading.Event,
        limit: int,
        baseline: Sequence[Message] | None,
    ) -> str:
        params = replace(
            self._request.params,
            max_tokens=limit,
            stop=(),
            logprobs=False,
            timeout_s=spoken.left_s(self._request.params),
        )
        parts = self._model.stream(
            messages,
            params,
            spec=spec,
            baseline=baseline,
            cancel=cancel,
            tenant=self._request.owner,
        )
        text = ""
        for part in parts:
            if isinstance(part, Completion):
                spoken.completion = part
                spoken.finish_reason = part.finish_reason
                text = part.text
        return text


def _citations(
    citations: Sequence[Citation], packed: Sequence[PackedPassage]
) -> tuple[Citation, ...]:
    """Return one citation a number, its span from the first to the last byte that is cited."""
    found = []
    for one in packed:
        spans = [(c.start, c.end) for c in citations if c.id == one.number]
        if spans:
            starts, ends = zip(*spans, strict=True)
            found.append(one.citation(min(starts), max(ends)))
    return tuple(found)


def _verdicts(kept: Sequence[_Judged], text: str) -> Iterator[SentenceVerdict]:
    at = 0
    for one in kept:
        start = text.index(one.sentence.text, at)
        at = start + len(one.sentence.text)
        check = one.support.check
        yield SentenceVerdict(
            start=len(text[:start].encode()),
            end=len(text[:at].encode()),
            verdict=one.verdict,
            citations=(one.support.citation.id,),
            cover=check.cover,
            is_verbatim=check.is_verbatim,
            is_rewritten=one.is_rewritten,
            similarity=one.support.similarity,
            lift=one.support.lift,
            problems=check.problems,
        )
