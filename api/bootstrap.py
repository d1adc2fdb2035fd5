"""Settings to objects: the one place that names concrete classes.

Also what a fresh machine needs before it can answer: the models, and the default corpus, whose
language topics are indexed first and whose library docstrings follow in the background.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy

from api.application import Application
from api.errors import TenantUnavailableError
from api.foreground import Foreground
from api.gate_files import GATES, GateFiles
from api.plan_files import PLANS, PlanFiles
from api.readiness import Readiness
from api.search_bootstrap import planned_search
from api.settings import PYTHON_COLLECTION, Settings, unworkable_settings
from api.state_database import index_folder
from api.tenant import place_of
from api.tenant_bootstrap import PRIORS, Shared, build_tenant
from api.tenants import Tenants
from api.watermark_finder import Entropies, MarkFinder
from api.watermark_keys import open_ring
from api.watermark_schemes import SCHEME_NAMES, scheme_named, scheme_of_greedy
from index.errors import IndexStoreError
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from llm.checkpoint import Decoder, load_decoder
from llm.decoding.sampler import BatchSampler
from llm.embedding import load_text_encoder
from llm.engine import Engine
from llm.engine_statistics import EngineLimits
from llm.model_store import ModelStore
from llm.native.loader import load_library
from llm.process_memory import give_back
from llm.runner_choice import ComputeOptions, choose_runner
from llm.served_model import SHIPPED_HEADS, ServedModel
from llm.thread_count import set_threads
from llm.watermark.keys import KeyRing
from llm.watermark.marker import Marker
from llm.watermark.scheme import Scheme
from rag.embedder import Embedder
from rag.ingest_report import Progress
from rag.pipeline import RetrievalPipeline
from rag.python_reference import count, language_topics, library_docstrings
from tools.call_counts import CallCounts

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int], None]

MEASUREMENTS = "measurements.json"
LIBRARY_LABEL = "Python library docstrings"
TOPICS_LABEL = "indexing the Python language reference"


def prepare_models(settings: Settings, on_progress: OnProgress | None = None) -> None:
    """Fetch the two models of the settings unless they are here.

    Raises:
        ModelStoreError: one of them cannot be had.
    """
    store = ModelStore(settings.home)

    def report(done: int, total: int, name: str) -> None:
        if on_progress is not None:
            on_progress(f"fetching {name}", done, total)

    for source in (settings.chat_model, settings.embedding_model):
        store.resolve(source, report)


def build(settings: Settings, *, on_progress: OnProgress | None = None) -> Application:
    """Load the models and open the state folder.

    Raises:
        ModelStoreError: a model is not on this machine.
        CheckpointError: a model's files cannot be used.
        SchemaVersionError: the database was written by a newer version.
        ConfigurationError: a setting that this machine or this model cannot do.
    """

    def report(label: str, done: int) -> None:
        if on_progress is not None:
            on_progress(label, done, 3)

    with unworkable_settings():
        threads = set_threads(settings.threads)
    models = ModelStore(settings.home)
    report("loading the models", 0)
    ring = open_ring(settings)
    core = build_engine(settings, models.path(settings.chat_model), ring)
    core.controls.warm_up()
    engine = AsyncEngine(core)
    report("loading the models", 1)
    embedder = embedder_alone(settings)
    report("loading the models", 2)
    shared = Shared(
        settings=settings,
        threads=threads,
        engine=engine,
        embedder=embedder,
        foreground=Foreground(),
        readiness=Readiness(),
        decoder_runs_as=core.model.compute.reason,
        mark_finder=_mark_finder(settings, ring, core.model, engine.entropies),
        call_counts=CallCounts(),
        call_form=core.model.template.call_form,
    )
    application = build_tenant(shared, "")
    tenants = Tenants(settings.tenants, partial(build_tenant, shared))
    tenants.open_all()
    report("loading the models", 3)
    return replace(
        application,
        tenants=tenants,
        on_close=(tenants.close, engine.close, *application.on_close),
    )


def retrieval_alone(settings: Settings, database: sqlalchemy.Engine) -> RetrievalPipeline:
    """Return what searches the collections, without a chat model.

    Raises:
        ModelStoreError: the embedding model is not on this machine.
    """
    place = place_of(settings, "")
    folder = index_folder(place)
    store = CollectionStore(database, threads=settings.threads or 1, folder=folder)
    gates = GateFiles(place.state / GATES, store.info)
    plans = PlanFiles(place.state / PLANS, store.info)
    embedder = embedder_alone(settings)
    return RetrievalPipeline(
        store.open,
        embedder,
        priors=PRIORS,
        gate_of=gates.gate_of,
        plan_of=plans.plan_of,
        search=planned_search(embedder, priors=PRIORS, store=store),
    )


def open_scorer(settings: Settings) -> AsyncEngine:
    """Load the chat model alone, to score texts; to be closed.

    Raises:
        ModelStoreError: it is not on this machine.
    """
    weights = ModelStore(settings.home).path(settings.chat_model)
    return AsyncEngine(build_engine(settings, weights))


def embedder_alone(settings: Settings) -> Embedder:
    """Return the embedding model of the settings; the log says in one line what computes it.

    Raises:
        ModelStoreError: it is not on this machine.
        UnsupportedModelError: a precision that this machine or this model cannot do.
    """
    weights = ModelStore(settings.home).path(settings.embedding_model)
    embedder = load_text_encoder(
        weights,
        name=settings.embedding_model,
        precision=settings.embedding_precision,
        notes=settings.home / MEASUREMENTS,
    )
    give_back()  # the float32 weights, where packed ones took their place
    return embedder


def build_engine(settings: Settings, weights: Path, ring: KeyRing | None = None) -> Engine:
    """Load a decoder and choose what computes it, which the log says in one line.

    With a key `ring`, what is drawn is watermarked as the settings say.

    Raises:
        CheckpointError: the files cannot be used.
        ConfigurationError: a setting that this machine or this model cannot do.
    """
    with unworkable_settings():
        engine = _engine_of(settings, load_decoder(weights), ring)
    give_back()  # the float32 weights, where packed ones took their place
    return engine


def _marker(settings: Settings, ring: KeyRing | None, size: int) -> Marker | None:
    if ring is None or settings.watermark == "off":
        return None
    schemes: dict[str, Scheme] = {name: scheme_named(name, size) for name in SCHEME_NAMES}
    # A greedy answer is left alone: only weights could mark it, and they would change what it says.
    sampled = settings.watermark_scheme
    return Marker(ring, schemes, sampled=sampled, greedy=scheme_of_greedy(sampled))


def _mark_finder(
    settings: Settings, ring: KeyRing | None, model: ServedModel, entropies: Entropies
) -> MarkFinder | None:
    if ring is None:
        return None
    return MarkFinder(
        ring,
        model.tokenizer,
        size=model.size,
        served=settings.watermark_scheme,
        entropies=entropies,
    )


def _engine_of(settings: Settings, decoder: Decoder, ring: KeyRing | None) -> Engine:
    context_size = settings.context_size or decoder.model.config.max_position_embeddings
    compute = choose_runner(
        decoder.model,
        ComputeOptions(
            precision=settings.precision,
            kernels=settings.kernels,
            threads=settings.threads,
            cache_tokens=settings.cache_tokens,
            determinism=settings.determinism,
            device=settings.device,
        ),
        context_size=context_size,
        notes=settings.home / MEASUREMENTS,
    )
    logger.info("the decoder runs as %s", compute.reason)
    return Engine(
        ServedModel(
            name=settings.chat_model,
            compute=compute,
            tokenizer=decoder.tokenizer,
            template=decoder.template,
            context_size=context_size,
            size=decoder.model.config.vocab_size,
            num_layers=decoder.model.config.num_hidden_layers,
            head_folders=(SHIPPED_HEADS, settings.heads),
        ),
        BatchSampler(load_library()),
        limits=EngineLimits(
            max_rows=settings.max_step_rows,
            max_running=settings.max_concurrent,
            max_waiting=settings.max_waiting,
        ),
        marker=_marker(settings, ring, decoder.model.config.vocab_size),
    )


def index_language_topics(application: Application, on_progress: OnProgress | None = None) -> None:
    """Index the Python language reference into its collection; quick when it is there.

    Does nothing where another collection is the default: nobody else's documents are added to.
    """
    if application.settings.default_collection != PYTHON_COLLECTION:
        return

    def report(progress: Progress) -> None:
        if on_progress is not None and progress.phase == "embed":
            on_progress(TOPICS_LABEL, progress.done, progress.total)

    topics = language_topics()
    application.ingestor.ingest_documents(
        topics, PYTHON_COLLECTION, total=len(topics), on_progress=report
    )


def watch_indexes(application: Application) -> None:
    """Look after the indexes of all tenants once, in the background: see `CollectionStore.watch`.

    A tenant whose data cannot be opened is left out, which the log says.
    """
    for name in ("", *application.settings.tenants):
        try:
            application.of_tenant(name).store.watch()
        except (TenantUnavailableError, IndexStoreError) as error:
            logger.warning("the indexes of tenant %r are not looked after: %s", name, error)


def start_library_indexing(application: Application) -> None:
    """Index the docstrings of the standard library in the background, giving way to chats.

    Does nothing where the setting `index_library` is off, or another collection is the default.
    """
    settings = application.settings
    if not settings.index_library or settings.default_collection != PYTHON_COLLECTION:
        return
    application.background.start(
        PYTHON_COLLECTION,
        partial(library_docstrings, on_skip=_log_skip),
        label=LIBRARY_LABEL,
        total=count(),
    )


def _log_skip(module: str, reason: str) -> None:
    logger.info("the docstrings of %s are left out: %s", module, reason)
