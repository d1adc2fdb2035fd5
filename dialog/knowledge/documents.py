"""A `KnowledgeBase` over the documents of a bot's folder: quotes, with citations, or abstains."""

from pathlib import Path
from typing import Final

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.knowledge.section_search import Found, SectionSearch, words_of
from dialog.knowledge.sections import Section, read_sections
from dialog.task.knowledge import KnowledgeAnswer

MIN_SUPPORT: Final = 0.55
_MAX_WORDS: Final = 60


class DocumentKnowledge:
    """Reads each source once; answers are sentences of the documents as they stand there.

    Below `min_support` of the source (0.55 if it says nothing) the answer is empty: nothing that is
    near enough is written down.
    """

    def __init__(self) -> None:
        self._searches: dict[tuple[str, str], SectionSearch] = {}

    def answer(
        self, bot: BotDefinition, source: KnowledgeDefinition, query: str
    ) -> KnowledgeAnswer:
        """Return the sentences that answer a query, with where they stand."""
        found = self._search(bot, source).search(query)
        least = MIN_SUPPORT if source.min_support is None else source.min_support
        if not found or found[0].support < least:
            return KnowledgeAnswer(score=found[0].support if found else 0.0)
        best = found[0]
        start, end = _excerpt(best, query)
        section = best.section
        citation = {
            "title": section.heading,
            "document": section.file,
            "start": section.start + start,
            "end": section.start + end,
            "quote": section.text[start:end],
        }
        return KnowledgeAnswer(
            text=" ".join(section.text[start:end].split()),
            citations=(citation,) if source.cite else (),
            score=best.support,
        )

    def _search(self, bot: BotDefinition, source: KnowledgeDefinition) -> SectionSearch:
        key = (bot.hash, source.name)
        if key not in self._searches:
            self._searches[key] = SectionSearch(read_sections(Path(bot.folder), source))
        return self._searches[key]


def _excerpt(found: Found, query: str) -> tuple[int, int]:
    """Return the span of the neighbouring sentences that say most of what is asked."""
    section: Section = found.section
    spans = section.sentences
    if len(section.text.split()) <= _MAX_WORDS or not spans:
        return 0, len(section.text)
    asked = frozenset(words_of(query))
    best = max(
        range(len(spans)),
        key=lambda i: (len(asked & frozenset(words_of(section.text[slice(*spans[i])]))), -i),
    )
    start, end = spans[best]
    for i in range(best + 1, len(spans)):
        if len(section.text[start : spans[i][1]].split()) > _MAX_WORDS:
            break
        end = spans[i][1]
    return start, end
