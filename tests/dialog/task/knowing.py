"""A double of the documents: answers by a word of the question."""

from collections.abc import Mapping

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.task.knowledge import KnowledgeAnswer


class FixedKnowledge:
    """Knows the answers it was given, by a word that the question must hold."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    def answer(
        self, bot: BotDefinition, source: KnowledgeDefinition, query: str
    ) -> KnowledgeAnswer:
        """Return the answer, or abstain."""
        del bot, source
        self.asked.append(query)
        for word, text in self.answers.items():
            if word in query.casefold():
                citation = {"id": 1, "title": "faq", "quote": text}
                return KnowledgeAnswer(text=text, citations=(citation,), score=0.9)
        return KnowledgeAnswer()
