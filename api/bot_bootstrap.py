"""The part of the composition that bots need: a model only where a bot's `model:` wants one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy

from api.bot_service import BotLog, BotService
from api.bot_trackers import BotTrackers
from api.settings import Settings
from api.state_database import state_database
from dialog.bot.definition import BotDefinition
from dialog.knowledge.collection_search import CollectionKnowledge, Retrieval
from dialog.knowledge.documents import DocumentKnowledge
from dialog.simulation.connection import AgentConnector
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.event_log import TaskEventLog
from dialog.task.knowledge import KnowledgeBase
from dialog.task.memory_audit import MemoryAudit
from dialog.task.nlg import TemplateNLG
from dialog.task.redaction import Vault
from dialog.task.rephrasing import ModelChatter, RephrasingNLG
from dialog.task.sql_log import SQLTaskLog
from dialog.task.tool_runner import ToolRunner
from dialog.task.understanding import Tracker
from dialog.tracker.rule import RuleTracker
from llm.chat import ChatModel
from tools.audit import AuditLog, AuditSink
from tools.call_counts import CallCounts


def build_bots(
    settings: Settings,
    database: sqlalchemy.Engine,
    *,
    model: ChatModel | None = None,
    retrieval: Retrieval | None = None,
    counts: CallCounts | None = None,
    trackers: BotTrackers | None = None,
) -> BotService:
    """Load the bots of the settings' folder, and those that were sent.

    With a model, replies are reworded where a bot wants that, and small talk is answered; with a
    retrieval, `from: collection:NAME` is searched. Calls of the bots' tools are added to `counts`.
    `trackers` read for the bots that have a `model:`.
    """
    folders = [settings.state / "bots"]
    if settings.bots is not None:
        folders.insert(0, settings.bots)
    log = SQLTaskLog(database)
    documents: KnowledgeBase = DocumentKnowledge()
    parts = AgentParts(
        nlg=TemplateNLG() if model is None else RephrasingNLG(model),
        chatter=None if model is None else ModelChatter(model),
        memory=log,
        knowledge=documents if retrieval is None else CollectionKnowledge(retrieval, documents),
    )
    audit = AuditLog(database)
    maker = agent_maker(log, audit, parts=parts, counts=counts, trackers=trackers)
    return bots_of(folders, log, maker)


def bots_of(
    folders: list[Path], log: BotLog, make_agent: Callable[[BotDefinition], TaskAgent]
) -> BotService:
    """Return a service with the bots of some folders loaded."""
    service = BotService(folders, log, make_agent)
    service.load_all()
    return service


def agent_maker(
    log: TaskEventLog,
    audit: AuditSink | None = None,
    *,
    parts: AgentParts | None = None,
    counts: CallCounts | None = None,
    trackers: BotTrackers | None = None,
) -> Callable[[BotDefinition], TaskAgent]:
    """Return what makes the agent of a bot; all of them share log, audit, vault and models."""
    vault, sink, read_by = Vault(), audit or MemoryAudit(), trackers or BotTrackers()
    used = parts or AgentParts()
    if used.knowledge is None:
        used = replace(used, knowledge=DocumentKnowledge())

    def agent_of(bot: BotDefinition) -> TaskAgent:
        runner = ToolRunner(bot, sink, vault, counts=counts)
        return TaskAgent(bot, read_by.of(bot), log, runner, vault=vault, parts=used)

    return agent_of


def simulation_connector(tracker: Tracker | None = None) -> AgentConnector:
    """Return what connects simulated users with a bot, by rules unless a tracker is given."""
    return AgentConnector(tracker=tracker or RuleTracker(), knowledge=DocumentKnowledge())


@contextmanager
def stored_logs(settings: Settings) -> Iterator[SQLTaskLog]:
    """Give the conversations with bots that the state folder holds, to be read."""
    with state_database(settings) as database:
        yield SQLTaskLog(database)


def story_parts(own: Tracker | None = None) -> tuple[dict[str, Tracker], KnowledgeBase]:
    """Return the trackers that a test may name, and what answers questions in it.

    "own" is the bot's, with which a test is run that names none; by rules unless it is given.
    """
    rules = RuleTracker()
    return {"recogniser": rules, "own": own or rules}, DocumentKnowledge()
