"""The sentences of the passages found that answer the question, to be quoted verbatim.

    score = cosine(question, title + lead + sentence)
          + PASSAGE_WEIGHT * score of the passage
          + TERM_WEIGHT * share of the question's term weight that the sentence holds
          - INTRODUCTION_MALUS where it ends with a colon
          + the prior of its source, as far as the passage's score does not hold it already

The weights were chosen on the development questions about Python, where any of 0.1 to 0.3 does
about as well (`docs/log.md`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index.analyser import analyse
from rag.citations import Citation
from rag.document import Passage, check_is_source
from rag.embedder import Embedder
from rag.retriever import prior_of
from rag.sentences import Sentence, split_sentences

PASSAGE_WEIGHT = 0.3
TERM_WEIGHT = 0.2
INTRODUCTION_MALUS = 0.05  # "... proceeds as follows:" leads to the answer and is none
MAX_QUOTES = 4
_MAX_OF_ONE_DOCUMENT = 3  # the last one may come from where a near miss would be mended
# A further sentence must come this near to the best one to be worth reading.
_MARGIN = 0.3
_USUAL_NUM_TERMS = 16
_SATURATION = 1.2
_LENGTH_SHARE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One verbatim sentence and the passage that it stands in."""

    passage: Passage
    sentence: Sentence
    score: float

    def citation(self, number: int) -> Citation:
        """Return the citation that the mark `[number]` points to.

        Raises:
            ValueError: a model wrote it, and no source says it.
        """
        check_is_source(self.passage)
        sentence = self.sentence
        first = sentence.start - self.passage.chunk.start
        size = sentence.end - sentence.start
        source = self.passage.chunk.text.encode()
        return Citation(
            id=number,
            collection=self.passage.collection,
            document_id=self.passage.document_id,
            title=self.passage.title,
            uri=self.passage.uri,
            start=sentence.start,
            end=sentence.end,
            quote=source[first : first + size].decode(),
            score=self.score,
        )


def choose_quotes(
    question: str,
    passages: Sequence[Passage],
    *,
    embedder: Embedder,
    term_weights: Mapping[str, float],
    priors: Mapping[str, float],
) -> list[Quote]:
    """Return at most `MAX_QUOTES` sentences, the best one first; none where there are none."""
    found = [
        (passage, sentence)
        for passage in passages
        if passage.origin == "source"
        for sentence in split_sentences(passage.chunk)
    ]
    if not found:
        return []
    vectors = embedder.encode([_in_context(p, s) for p, s in found], "query")
    nearness = vectors @ embedder.encode([question], "query")[0]
    quotes = [
        Quote(
            passage=passage,
            sentence=sentence,
            score=float(near)
            + PASSAGE_WEIGHT * passage.score
            + (1 - PASSAGE_WEIGHT) * prior_of(passage.uri, priors)
            + TERM_WEIGHT * _term_share(_in_context(passage, sentence), term_weights)
            - INTRODUCTION_MALUS * sentence.text.endswith((":", "\uff1a")),
        )
        for (passage, sentence), near in zip(found, nearness, strict=True)
    ]
    quotes.sort(key=lambda quote: -quote.score)
    chosen: list[Quote] = []
    for quote in quotes:
        if len(chosen) == MAX_QUOTES or quote.score < quotes[0].score - _MARGIN:
            break
        if _is_wanted(quote, chosen):
            chosen.append(quote)
    return _in_reading_order(chosen)


def _is_wanted(quote: Quote, chosen: Sequence[Quote]) -> bool:
    if any(quote.sentence.text == other.sentence.text for other in chosen):
        return False
    document = quote.passage.document_id
    of_it = sum(other.passage.document_id == document for other in chosen)
    return of_it < _MAX_OF_ONE_DOCUMENT


def _in_reading_order(quotes: Sequence[Quote]) -> list[Quote]:
    """Put the best first, what stands in its passage next, then the other passages in order."""
    if not quotes:
        return []
    best, *others = quotes
    passages = list(dict.fromkeys(_place(quote) for quote in quotes))
    others.sort(key=lambda quote: (passages.index(_place(quote)), quote.sentence.start))
    return [best, *others]


def _place(quote: Quote) -> tuple[str, int]:
    return quote.passage.document_id, quote.passage.chunk.start


def _in_context(passage: Passage, sentence: Sentence) -> str:
    lead = f"{sentence.lead}: " if sentence.lead else ""
    return f"{passage.title}. {lead}{sentence.text}"


def _term_share(text: str, weights: Mapping[str, float]) -> float:
    """BM25's saturation over the question's terms, as a share of what they could give."""
    terms = Counter(analyse(text))
    length = 1 - _LENGTH_SHARE + _LENGTH_SHARE * terms.total() / _USUAL_NUM_TERMS
    got = sum(
        weight * terms[term] * (_SATURATION + 1) / (terms[term] + _SATURATION * length)
        for term, weight in weights.items()
        if term in terms
    )
    return got / (sum(weights.values()) or 1.0)
