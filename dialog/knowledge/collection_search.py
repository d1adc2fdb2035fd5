"""A `KnowledgeBase` over collections (`from: collection:NAME`): the retrieval of the chat.

Quotes the sentences that its gate lets pass, each with a citation; else it abstains. A source that
names files is answered by `documents`.
"""

from typing import Final, Protocol

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.errors import KnowledgeError
from dialog.knowledge.sections import COLLECTION
from dialog.task.canonical import plain
from dialog.task.knowledge import KnowledgeAnswer, KnowledgeBase
from index.errors import IndexStoreError
from rag.pipeline import Evidence

_MAX_QUOTES: Final = 2


class Retrieval(Protocol):
    """Finds evidence; `rag.pipeline.RetrievalPipeline` does."""

    def find(self, query: str, collection: str) -> Evidence:
        """Return the evidence for a query that stands on its own."""
        ...


class CollectionKnowledge:
    """Answers from collections; from files through the knowledge it is given for them."""

    def __init__(self, retrieval: Retrieval, documents: KnowledgeBase) -> None:
        self._retrieval, self._documents = retrieval, documents

    def answer(
        self, bot: BotDefinition, source: KnowledgeDefinition, query: str
    ) -> KnowledgeAnswer:
        """Return the sentences that answer a query, with their citations.

        Raises:
            KnowledgeError: there is no such collection.
        """
        names = [p.removeprefix(COLLECTION) for p in source.patterns if p.startswith(COLLECTION)]
        if not names:
            return self._documents.answer(bot, source, query)
        best = KnowledgeAnswer()
        for name in names:
            found = self._of(source, query, name)
            if found.score > best.score or not best.text:
                best = found
        return best

    def _of(self, source: KnowledgeDefinition, query: str, name: str) -> KnowledgeAnswer:
        try:
            evidence = self._retrieval.find(query, name)
        except IndexStoreError as error:
            raise KnowledgeError(f"{source.source}: {error}") from error
        quotes = evidence.quotes[:_MAX_QUOTES]
        score = max((quote.score for quote in quotes), default=0.0)
        least = source.min_support
        if not quotes or not evidence.is_near or (least is not None and score < least):
            return KnowledgeAnswer(score=score)
        citations = tuple(plain(citation) for citation in evidence.citations[: len(quotes)])
        words = [
            f"{str(citation['quote']).strip()} [{citation['id']}]"
            if source.cite
            else str(citation["quote"]).strip()
            for citation in citations
        ]
        return KnowledgeAnswer(
            text=" ".join(words), citations=citations if source.cite else (), score=score
        )
