"""Answers from evidence alone, without a chat model: what is quoted, for sets of questions."""

from collections.abc import Callable, Sequence
from functools import partial

from rag.citations import Citation
from rag.dialogue_context import context_of
from rag.evaluation import Answered, timed
from rag.evaluation_set import EvaluationItem
from rag.held_out import FilterableCollection, HeldOut
from rag.pipeline import CitableCollection, RetrievalPipeline

OpenCollection = Callable[[str], CitableCollection]


class ExtractiveAnswerer:
    """Answers with the sentences that the pipeline quotes; satisfies `Answerer`."""

    def __init__(
        self,
        open_collection: Callable[[str], FilterableCollection],
        pipeline_over: Callable[[OpenCollection], RetrievalPipeline],
        collection: str,
    ) -> None:
        """Take what opens collections, and what makes a pipeline that opens them so."""
        self._open = open_collection
        self._pipeline_over = pipeline_over
        self._collection = collection
        self._whole = pipeline_over(open_collection)

    def answer(self, item: EvaluationItem) -> Answered:
        """Answer one question, without what it holds out."""
        pipeline = self.pipeline_for(item)
        seconds = timed()
        evidence = pipeline.find(item.query, self._collection, context=context_of(item.history))
        took = seconds()
        text = " ".join(quote.sentence.text for quote in evidence.quotes)
        return Answered(
            passages=evidence.passages,
            text=text,
            citations=evidence.citations,
            is_answer=evidence.is_near,
            confidence=evidence.gate.p_answerable,
            supported=tuple(self._is_verbatim(c) for c in evidence.citations),
            retrieval_s=took,
            total_s=took,
        )

    def pipeline_for(self, item: EvaluationItem) -> RetrievalPipeline:
        """Return the pipeline that does not find what a question holds out."""
        if not item.held_out:
            return self._whole
        return self._pipeline_over(partial(_without, self._open, item.held_out))

    def _is_verbatim(self, citation: Citation) -> bool:
        """Tell whether a citation's bytes are what it quotes."""
        _, text = self._open(self._collection).get(citation.document_id)
        return text.encode()[citation.start : citation.end].decode(errors="replace") == (
            citation.quote
        )


def _without(
    open_collection: Callable[[str], FilterableCollection], uris: Sequence[str], name: str
) -> HeldOut:
    return HeldOut(open_collection(name), uris)
