"""What tries plans on a collection: its questions, the models, and where the choice is kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api import bootstrap
from api.gate_files import GATES, GateFiles
from api.passage_search import PassageSearch
from api.plan_files import PLANS, PlanFiles
from api.search_bootstrap import planned_search, search_by_plan
from api.settings import Settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from api.tenant_bootstrap import PRIORS
from index.portable import exported
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from rag.corpus import Corpus
from rag.evaluation_set import EvaluationItem, read_set
from rag.late_interaction import TokenEncoder
from rag.plan_tuning import OnProgress, PlanTuner, answerable
from rag.question_building import RULE_KINDS, build_set

NUM_BUILT = 100


@contextmanager
def passage_search(settings: Settings, tenant: str, collection: str) -> Iterator[PassageSearch]:
    """Give what searches a collection by its plan; the chat model is loaded if the plan needs it.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: a model is not on this machine.
    """
    embedder = bootstrap.embedder_alone(settings)
    place = place_of(settings, tenant)
    with state_database(settings, tenant) as database:
        store = CollectionStore(database, threads=settings.threads or 1, folder=index_folder(place))
        try:
            plan = PlanFiles(place.state / PLANS, store.info).plan_of(collection)
            with search_by_plan(
                plan,
                settings=settings,
                embedder=embedder,
                priors=PRIORS,
                store=store,
                open_engine=lambda: bootstrap.open_scorer(settings),
            ) as (search, _):
                gates = GateFiles(place.state / GATES, store.info)
                yield PassageSearch(store, embedder, PRIORS, gates.gate_of, search, lambda _: plan)
        finally:
            store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A tuner over a collection, what it cannot try and why, its questions, and the files."""

    tuner: PlanTuner
    missing: dict[str, str]
    num_questions: int
    questions_from: str
    files: PlanFiles


@contextmanager
def plan_tuning(  # noqa: PLR0913  # all but the place by name
    settings: Settings,
    tenant: str,
    collection: str,
    *,
    queries: Path | None,
    kept_set: Path,
    budget_ms: float,
    seed: int,
    on_progress: OnProgress,
) -> Iterator[Tuning]:
    """Give what tunes a collection: on a file of questions, its kept set, or one made by rules.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: a model is not on this machine.
        EvaluationSetError: the questions cannot be read.
        PlanError: there are too few.
    """
    place = place_of(settings, tenant)
    with state_database(settings, tenant) as database:
        store = CollectionStore(database, threads=settings.threads or 1, folder=index_folder(place))
        engine: AsyncEngine | None = None
        try:
            info = store.info(collection)
            source = queries or (kept_set if kept_set.exists() else None)
            items: Sequence[EvaluationItem]
            if source is None:
                with exported(database, collection) as (header, documents):
                    corpus = Corpus(documents, language=header.language)
                items = build_set(corpus, num=NUM_BUILT, kinds=RULE_KINDS, seed=seed).items
            else:
                items = read_set(source)
            answerable(items, collection)  # before the models are loaded
            embedder = bootstrap.embedder_alone(settings)
            engine = bootstrap.open_scorer(settings)
            search = planned_search(
                embedder,
                priors=PRIORS,
                store=store,
                model=engine,
                scorer=engine,
                cross_encoder=settings.cross_encoder,
            )
            missing = {}
            if not (info.token_vectors and isinstance(embedder, TokenEncoder)):
                missing["late-interaction"] = "the collection keeps no vectors of tokens"
            if settings.cross_encoder is None:
                missing["cross-encoder"] = "CAUSERIE_CROSS_ENCODER names no folder"
            yield Tuning(
                tuner=PlanTuner(
                    search,
                    store.open(collection),
                    collection,
                    items,
                    budget_ms=budget_ms,
                    seed=seed,
                    on_progress=on_progress,
                ),
                missing=missing,
                num_questions=sum(item.answerable for item in items),
                questions_from="made by rules" if source is None else str(source),
                files=PlanFiles(place.state / PLANS, store.info),
            )
        finally:
            if engine is not None:
                engine.close()
            store.close()
