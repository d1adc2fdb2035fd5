"""Everything the HTTP service and the command line work with, as one value.

`api/bootstrap.py` builds it from settings, tests build it from doubles; nothing else is global.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.background import BackgroundIngest
from api.bot_service import BotService
from api.feedback import FeedbackStore
from api.foreground import Foreground
from api.readiness import Readiness
from api.settings import Settings
from api.tenants import Tenants
from api.timer_sweep import TimerSweep
from api.transcripts import Transcripts
from api.watermark_finder import MarkFinder
from dialog.reply import CallCard, EvidenceFound, Reply, TurnRequest
from dialog.session import SessionStore
from index.store import CollectionStore
from llm.chat import ChatModel, TextDelta, ToolCallDelta
from llm.engine_statistics import EngineState, EngineStatistics
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from rag.embedder import Embedder
from rag.gate_model import GateModel, shipped_gate
from rag.ingest import Ingestor
from rag.planned_search import PlannedSearch
from rag.query_plan import QueryPlan
from tools.call_counts import CallCounts
from tools.runs import ToolRuns

logger = logging.getLogger(__name__)

TurnPart = EvidenceFound | TextDelta | ToolCallDelta | CallCard | Reply


class Agent(Protocol):
    """Answers one turn (satisfied by `dialog.agent.DialogAgent`)."""

    def stream(
        self, request: TurnRequest, *, cancel: threading.Event | None = None
    ) -> Iterator[TurnPart]:
        """Yield the evidence (if there was a search), then text, then exactly one `Reply`."""
        ...


class InspectableEngine(Protocol):
    """What the engine tells of itself (satisfied by `llm.async_engine.AsyncEngine`)."""

    @property
    def statistics(self) -> EngineStatistics:
        """Counters since the start."""
        ...

    def state(self) -> EngineState:
        """Return what runs, waits and is kept right now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The parts of a running service; `close` ends them in a safe order.

    `decoder_runs_as` says what computes the chat model and why that was chosen; it is for the
    terminal, since it may name files of this machine. `mark_finder` is None where there is no key,
    `bots` where the program serves none, `runs` where there are no tools. `call_counts` counts the
    calls of tools, by whomever. `call_form` is how the chat model writes calls of tools.
    `priors` say how much nearer or farther sources count, by the beginning of their uris; `gate_of`
    returns the gate of a collection, `plan_of` its plan, which `search` carries out. This is
    the service of the keys that belong to no tenant; `tenants` has those of the others.
    """

    settings: Settings
    agent: Agent
    chat_model: ChatModel
    embedder: Embedder
    store: CollectionStore
    ingestor: Ingestor
    sessions: SessionStore
    feedback: FeedbackStore
    foreground: Foreground
    background: BackgroundIngest
    readiness: Readiness
    engine: InspectableEngine | None = None
    decoder_runs_as: str = ""
    mark_finder: MarkFinder | None = None
    bots: BotService | None = None
    timers: TimerSweep | None = None
    runs: ToolRuns | None = None
    call_counts: CallCounts = field(default_factory=CallCounts)
    call_form: CallForm = OWN
    priors: Mapping[str, float] = field(default_factory=dict)
    gate_of: Callable[[str], GateModel] = shipped_gate
    search: PlannedSearch | None = None
    plan_of: Callable[[str], QueryPlan] | None = None
    tenants: "Tenants[Application] | None" = None
    transcripts: Transcripts = field(default_factory=Transcripts)
    on_close: tuple[Callable[[], None], ...] = ()

    def of_tenant(self, name: str) -> "Application":
        """Return the service of a tenant, or this one where the name is empty.

        Raises:
            TenantUnavailableError: its data cannot be opened.
        """
        if not name:
            return self
        assert self.tenants is not None, "keys of tenants come from the settings that made these"
        return self.tenants.of(name)

    def close(self) -> None:
        """Stop what is under way, then call `on_close` in order; calling it twice is harmless."""
        self.readiness.mark_not_ready("the service is stopping")
        self.foreground.stop()
        self.background.stop()
        if self.timers is not None:
            self.timers.stop()
        for callback in self.on_close:
            callback()
