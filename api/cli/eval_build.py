"""`eval build`: a set of questions from a collection's own documents."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy import Engine

from api.cli.index_options import Collection, Tenant, settings_for
from api.cli.progress import OnProgress, progress_bars
from api.feedback import FeedbackStore
from api.settings import Settings
from api.state_database import state_database
from api.tenant import place_of
from index.portable import exported
from index.protocol import NewDocument
from rag.corpus import Corpus
from rag.errors import EvaluationSetError
from rag.evaluation_set import EvaluationItem, write_set
from rag.question_building import RULE_KINDS, build_set

BUILD_EXAMPLE = "Example: python -m api eval build manuals --num 200 --seed 1"


def evaluation_folder(settings: Settings, tenant: str) -> Path:
    """Return where the sets of a tenant lie, and what interrupted runs left."""
    return place_of(settings, tenant).state / "evaluation"


def default_set(settings: Settings, tenant: str, collection: str) -> Path:
    """Return where the set of a collection lies if nobody says otherwise."""
    return evaluation_folder(settings, tenant) / f"{collection}.jsonl"


def build(  # noqa: PLR0913  # options of a command
    collection: Collection,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the set goes; into the state folder.", show_default=False
        ),
    ] = None,
    num: Annotated[int, typer.Option(help="How many questions by rules.", min=0)] = 100,
    kinds: Annotated[
        str,
        typer.Option(
            metavar="KIND,…",
            help="Of heading, cloze, entity, trap, unanswerable; all if not given.",
            show_default=False,
        ),
    ] = "",
    with_model: Annotated[
        int, typer.Option(metavar="N", help="And so many that the chat model writes.", min=0)
    ] = 0,
    from_feedback: Annotated[
        bool, typer.Option("--from-feedback", help="And those of accepted thumbs.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed, the same set.", min=0)] = 0,
    tenant: Tenant = "",
) -> None:
    """Make a set of questions from a collection's own documents.

    Rules make them from headings, sentences, names and near duplicates; some are made unanswerable
    by holding their documents out. Exit code 1: the collection yields none.
    """
    settings = settings_for(tenant)
    console, errors = Console(), Console(stderr=True)
    items: list[EvaluationItem] = []
    with state_database(settings, tenant) as database, progress_bars(errors) as on_progress:
        if num or with_model:
            corpus = _corpus(database, collection, on_progress)
            if num:
                items += _by_rules(corpus, num, kinds, seed, console)
            if with_model:
                place = (settings, tenant, collection)
                items += _by_model(place, corpus, with_model, seed, on_progress)
        if from_feedback:
            accepted = FeedbackStore(database).list(collection=collection, status="accepted")
            items += [one.to_item() for one in accepted]
    if not items:
        raise EvaluationSetError(
            f"no question for {collection!r}: --num and --with-model are 0 or yield none, and no"
            " accepted feedback is there or asked for with --from-feedback"
        )
    path = out or default_set(settings, tenant, collection)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_set(path, items)
    except OSError as error:
        raise EvaluationSetError(f"{path} cannot be written: {error.strerror}") from error
    counts = Counter(item.kind for item in items)
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    console.print(Text(f"{path}: {len(items)} questions ({said})"), soft_wrap=True)


def _corpus(database: Engine, collection: str, on_progress: OnProgress) -> Corpus:
    with exported(database, collection) as (header, documents):
        told = _told(documents, header.num_documents, on_progress)
        return Corpus(told, language=header.language)


def _by_rules(
    corpus: Corpus, num: int, kinds: str, seed: int, console: Console
) -> tuple[EvaluationItem, ...]:
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] or list(RULE_KINDS)
    try:
        built = build_set(corpus, num=num, kinds=wanted, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for kind, (made, asked) in built.short.items():
        console.print(Text(f"{kind}: {made} of {asked}; the documents yield no more"))
    if corpus.num_unread:
        console.print(Text(f"{corpus.num_unread} documents were left out: the collection is large"))
    return built.items


def _by_model(
    place: tuple[Settings, str, str],
    corpus: Corpus,
    num: int,
    seed: int,
    on_progress: OnProgress,
) -> list[EvaluationItem]:
    # Here and not above: torch costs seconds, and help needs none of it.
    from api.evaluation_bootstrap import question_writing  # noqa: PLC0415
    from rag.model_questions import Kept, model_questions  # noqa: PLC0415

    counts = Kept()
    with question_writing(*place) as (model, comes_back):
        items = list(
            model_questions(
                corpus,
                model,
                comes_back,
                num=num,
                seed=seed,
                counts=counts,
                on_progress=lambda done, total: on_progress("writing questions", done, total),
            )
        )
    Console().print(
        Text(
            f"the model wrote {counts.asked} questions, {counts.kept} were kept; {counts.malformed}"
            f" do not stand on their own, {counts.copied} share too little or too much with their"
            f" passage, {counts.lost} do not lead back to it"
        ),
        soft_wrap=True,
    )
    return items


def _told(
    documents: Iterable[NewDocument], total: int, on_progress: OnProgress
) -> Iterator[NewDocument]:
    for number, document in enumerate(documents, start=1):
        on_progress("reading the documents", number, total)
        yield document
