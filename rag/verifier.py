"""Holds a sentence of an answer against the passages given with it: which bytes bear it out?

    for each passage: the sentence or two of it that fit best, by the hard checks and the cover
    → among passages that fit alike, the one without which the sentence is least probable
    → similarity to what is cited, evidence lift

The embedder and the scorer may be missing: the hard checks carry the guarantee, the rest is told.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from index.analyser import analyse
from llm.chat import TextScorer
from rag.citations import Citation
from rag.claim_check import ClaimCheck, check_claim
from rag.embedder import Embedder
from rag.grounding import verdict_on
from rag.packing import PackedPassage, as_evidence
from rag.sentences import split_sentences

_RELATED = 0.3  # cosine: of what shares no word with the question
_ALIKE = 0.1  # of cover: passages this near to the best are told apart by what the model needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The span that bears a sentence out best, as a citation, and how far it does.

    `is_related` says that sentence or span have to do with the question: what a document says to
    something else, such as an order to its reader, is no answer though it stands there.
    """

    citation: Citation
    check: ClaimCheck
    similarity: float | None = None
    lift: float | None = None
    is_related: bool = True


class Verifier:
    """Finds the support of sentences; safe for threads as far as its parts are."""

    def __init__(self, embedder: Embedder | None = None, scorer: TextScorer | None = None) -> None:
        self._embedder = embedder
        self._scorer = scorer

    def support(
        self,
        sentence: str,
        packed: Sequence[PackedPassage],
        question: str,
        *,
        marks: Sequence[int] = (),
        tenant: str = "",
    ) -> Support | None:
        """Return the best support of a sentence; None where there is no passage.

        `marks` are the numbers that the sentence bears: they win where passages fit alike and no
        model can tell which one was needed.
        """
        if not packed:
            return None
        found = [_best_span(sentence, one) for one in packed]
        best = max(_worth(one.check) for one in found)
        alike = [
            one
            for one in found
            if _worth(one.check)[:2] == best[:2] and one.check.cover >= best[2] - _ALIKE
        ]
        chosen = self._needed(sentence, alike, packed, question, marks=marks, tenant=tenant)
        return Support(
            citation=chosen.citation,
            check=chosen.check,
            similarity=self._similarity(sentence, chosen.citation.quote),
            lift=self._lift(sentence, packed, question, tenant),
            is_related=self._is_related(f"{sentence} {chosen.citation.quote}", question),
        )

    def _needed(
        self,
        sentence: str,
        alike: Sequence[Support],
        packed: Sequence[PackedPassage],
        question: str,
        *,
        marks: Sequence[int],
        tenant: str,
    ) -> Support:
        """Choose by leaving each passage out in turn: the answer misses its source most."""
        if len(alike) == 1:
            return alike[0]
        if self._scorer is None:
            marked = [one for one in alike if one.citation.id in marks]
            return max(marked or alike, key=lambda one: _worth(one.check))

        def left_out(support: Support) -> float:
            others = [one for one in packed if one.number != support.citation.id]
            return self._log_prob(sentence, others, question, tenant)

        return min(alike, key=left_out)

    def _is_related(self, said: str, question: str) -> bool:
        terms = set(analyse(question))
        if not terms or terms & set(analyse(said)):
            return True
        near = self._similarity(said, question)
        return near is not None and near >= _RELATED

    def _similarity(self, sentence: str, source: str) -> float | None:
        if self._embedder is None:
            return None
        one, other = self._embedder.encode([sentence, source], "query")
        return float(one @ other)

    def _lift(
        self, sentence: str, packed: Sequence[PackedPassage], question: str, tenant: str
    ) -> float | None:
        """Return log p(s | q, E) - log p(s | q), in nats per word."""
        if self._scorer is None:
            return None
        told = self._log_prob(sentence, packed, question, tenant)
        bare = self._log_prob(sentence, (), question, tenant)
        return (told - bare) / max(1, len(sentence.split()))

    def _log_prob(
        self, sentence: str, packed: Sequence[PackedPassage], question: str, tenant: str
    ) -> float:
        assert self._scorer is not None, "only asked where there is one"
        evidence = "\n".join(as_evidence(one.number, one.passage) for one in packed)
        prefix = f"{evidence}\n\nQuestion: {question}\nAnswer:"
        return self._scorer.score(prefix, [f" {sentence}"], tenant=tenant).log_probs[0]


def _best_span(sentence: str, packed: PackedPassage) -> Support:
    """Return the sentence of a passage, or two that follow each other, that fits best."""
    chunk = packed.passage.chunk
    parts = split_sentences(chunk)
    spans = [(part.start, part.end) for part in parts] or [(chunk.start, chunk.end)]
    pairs = [(one[0], other[1]) for one, other in itertools.pairwise(spans)]
    found = []
    for start, end in (*spans, *pairs):
        citation = packed.citation(start, end)
        found.append(Support(citation=citation, check=check_claim(sentence, citation.quote)))
    return max(found, key=lambda one: _worth(one.check))  # of equals the first: the shortest


def _worth(check: ClaimCheck) -> tuple[int, bool, float]:
    order = {"supported": 2, "partial": 1, "unsupported": 0}
    return order[verdict_on(check)], not check.problems, check.cover
