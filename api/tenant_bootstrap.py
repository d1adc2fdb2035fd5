"""The part of the composition that every tenant has for itself: all that touches a database.

Models, engine and keys are shared; they hold nothing of what is stored.
"""

from dataclasses import dataclass
from functools import partial

from api.application import Application
from api.background import BackgroundIngest
from api.bot_bootstrap import build_bots
from api.bot_trackers import BotTrackers
from api.feedback import FeedbackStore
from api.foreground import Foreground
from api.gate_files import GATES, GateFiles
from api.plan_files import PLANS, PlanFiles
from api.readiness import Readiness
from api.search_bootstrap import planned_search
from api.settings import Settings, unworkable_settings
from api.state_database import index_folder, open_place
from api.tenant import place_of
from api.timer_sweep import TimerSweep
from api.toolbox import build_registry, strategies_of
from api.watermark_finder import MarkFinder
from dialog.agent import DialogAgent
from dialog.session import SQLSessionStore
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from llm.tool_forms.call_form import CallForm
from rag.embedder import Embedder
from rag.ingest import Ingestor
from rag.pipeline import RetrievalPipeline
from rag.python_reference import LIBRARY_PREFIX
from rag.question_likelihood import QuestionLikelihood
from rag.verifier import Verifier
from tools.agent_log import SQLRunStore
from tools.audit import AuditLog
from tools.call_counts import CallCounts
from tools.runs import ToolRuns

# Six thousand short docstrings share words with any question about the language and crowd out the
# reference that explains it; questions about the library are far nearer to them than this.
PRIORS = {LIBRARY_PREFIX: -0.15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all tenants use, none of whose data it holds."""

    settings: Settings
    threads: int
    engine: AsyncEngine
    embedder: Embedder
    foreground: Foreground
    readiness: Readiness
    decoder_runs_as: str
    mark_finder: MarkFinder | None
    call_counts: CallCounts
    call_form: CallForm


def build_tenant(shared: Shared, tenant: str) -> Application:
    """Open what is stored of a tenant, and build the service over it.

    Raises:
        SchemaVersionError: its database was written by a newer version.
        IndexStoreError: its database cannot be used.
    """
    place = place_of(shared.settings, tenant)
    settings = shared.settings.model_copy(update={"state": place.state})
    engine, counts = shared.engine, shared.call_counts
    database = open_place(place)
    store = CollectionStore(database, threads=shared.threads, folder=index_folder(place))
    sessions = SQLSessionStore(database)
    with unworkable_settings():
        ingestor = Ingestor(store, shared.embedder, chunk_overlap=settings.chunk_overlap)
    gates = GateFiles(place.state / GATES, store.info)
    plans = PlanFiles(place.state / PLANS, store.info)
    search = planned_search(
        shared.embedder,
        priors=PRIORS,
        store=store,
        model=engine,
        scorer=engine,
        cross_encoder=settings.cross_encoder,
        tenant=tenant,
    )
    retrieval = RetrievalPipeline(
        store.open,
        shared.embedder,
        priors=PRIORS,
        gate_of=gates.gate_of,
        plan_of=plans.plan_of,
        search=search,
        likelihood=QuestionLikelihood(engine, tenant=tenant),
    )
    registry = build_registry(settings, lambda text, name: retrieval.find(text, name).passages)
    audit, runs_store = AuditLog(database), SQLRunStore(database)
    strategies = partial(strategies_of, call_form=shared.call_form)
    runs = (
        ToolRuns(engine, registry, audit, runs_store, strategies, counts=counts)
        if len(registry)
        else None
    )
    agent = DialogAgent(
        engine,
        retrieval,
        sessions,
        max_tokens=settings.max_tokens,
        runs=runs,
        answer=settings.answer,
        verifier=Verifier(shared.embedder, engine),
    )
    bots = build_bots(
        settings,
        database,
        model=engine,
        retrieval=retrieval,
        counts=counts,
        trackers=BotTrackers(lambda: engine, lambda: shared.embedder),
    )
    timers = TimerSweep(bots.sweep)
    timers.start()
    return Application(
        settings=settings,
        agent=agent,
        chat_model=engine,
        embedder=shared.embedder,
        store=store,
        ingestor=ingestor,
        sessions=sessions,
        feedback=FeedbackStore(database),
        foreground=shared.foreground,
        background=BackgroundIngest(ingestor, shared.foreground),
        readiness=shared.readiness,
        engine=engine,
        decoder_runs_as=shared.decoder_runs_as,
        mark_finder=shared.mark_finder,
        bots=bots,
        timers=timers,
        runs=runs,
        call_counts=counts,
        call_form=shared.call_form,
        priors=PRIORS,
        gate_of=gates.gate_of,
        search=search,
        plan_of=plans.plan_of,
        on_close=(store.close, database.dispose),
    )
