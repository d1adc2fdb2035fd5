"""Answers from a collection of the chat's retrieval, with citations, or none."""

from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.errors import KnowledgeError
from dialog.knowledge.collection_search import CollectionKnowledge
from dialog.knowledge.documents import DocumentKnowledge
from dialog.task.agent import AgentParts
from dialog.task.commands import Knowledge, Start
from dialog.task.testing import NOW, agent_of, turn
from index.errors import UnknownCollectionError
from rag.citations import Citation
from rag.document import Chunk, Passage
from rag.gate import GateDecision
from rag.pipeline import Evidence
from rag.quotes import Quote
from rag.sentences import Sentence

TEXT = "Dogs are welcome in the garden."
BOT = """\
bot: Inn
knowledge:
  guide: {from: "collection:NAME", else: "That is not written down."}
tasks:
  book:
    about: book a room
    slots: {nights: integer}
    do: [{say: Noted.}]
"""


class Shelf:
    """A retrieval over one sentence."""

    def find(self, query: str, collection: str) -> Evidence:
        if collection != "guide":
            raise UnknownCollectionError(f"no collection is called {collection!r}")
        near = "dog" in query.casefold()
        return Evidence(
            passages=(),
            quotes=(QUOTE,) if near else (),
            citations=(CITATION,) if near else (),
            gate=GateDecision(
                decision="answer" if near else "abstain", p_answerable=0.7 if near else 0.3
            ),
        )


CITATION = Citation(
    id=1,
    collection="guide",
    document_id="d",
    title="House rules",
    uri="rules.md",
    start=0,
    end=len(TEXT),
    quote=TEXT,
    score=0.8,
)
QUOTE = Quote(
    passage=Passage(
        collection="guide",
        document_id="d",
        title="House rules",
        uri="rules.md",
        chunk=Chunk(start=0, end=len(TEXT), text=TEXT),
        score=0.8,
        rank=1,
    ),
    sentence=Sentence(start=0, end=len(TEXT), text=TEXT),
    score=0.8,
)


def inn(folder: Path, name: str = "guide") -> BotDefinition:
    (folder / "bot.yaml").write_text(BOT.replace("NAME", name), encoding="utf-8")
    return load_bot(folder)


def test_a_question_in_the_middle_is_answered_with_a_citation_and_the_open_one_put_again(
    tmp_path: Path,
) -> None:
    knowledge = CollectionKnowledge(Shelf(), DocumentKnowledge())
    agent = agent_of(inn(tmp_path), parts=AgentParts(knowledge=knowledge, clock=lambda: NOW))
    turn(agent, Start(task="book"))
    reply = turn(agent, Knowledge(query="may I bring my dog"))
    assert reply.text.startswith(f"{TEXT} [1]")
    assert reply.citations[0]["uri"] == "rules.md"
    assert reply.acts[-1].slot == "nights"
    reply = turn(agent, Knowledge(query="is there a pool"))
    assert reply.text.startswith("That is not written down.")
    assert reply.acts[-1].slot == "nights"


def test_an_unknown_collection_is_named_with_the_line(tmp_path: Path) -> None:
    bot = inn(tmp_path, "moon")
    knowledge = CollectionKnowledge(Shelf(), DocumentKnowledge())
    with pytest.raises(KnowledgeError, match=r"bot\.yaml:3.*'moon'"):
        knowledge.answer(bot, bot.knowledge["guide"], "dogs")
    agent = agent_of(bot, parts=AgentParts(knowledge=knowledge, clock=lambda: NOW))
    assert turn(agent, Knowledge(query="dogs")).text.startswith("Hello! That is not written down.")
