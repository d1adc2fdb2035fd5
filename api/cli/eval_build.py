"""`eval build`: a set of questions from a collection's own documents."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from api.cli.index_options import Collection, Tenant, settings_for
from api.cli.progress import OnProgress, progress_bars
from api.settings import Settings
from api.state_database import state_database
from api.tenant import place_of
from index.protocol import NewDocument
from rag.errors import EvaluationSetError

BUILD_EXAMPLE = "Example: python -m api eval build manuals --num 200 --seed 1"


def evaluation_folder(settings: Settings, tenant: str) -> Path:
    """Return where the sets of a tenant lie, and what interrupted runs left."""
    return place_of(settings, tenant).state / "evaluation"


def default_set(settings: Settings, tenant: str, collection: str) -> Path:
    """Return where the set of a collection lies if nobody says otherwise."""
    return evaluation_folder(settings, tenant) / f"{collection}.jsonl"


def build(  # options of a command
    collection: Collection,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the set goes; into the state folder.", show_default=False
        ),
    ] = None,
    num: Annotated[int, typer.Option(help="How many questions.", min=1)] = 100,
    kinds: Annotated[
        str,
        typer.Option(
            metavar="KIND,…",
            help="Of heading, cloze, entity, trap, unanswerable; all if not given.",
            show_default=False,
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed, the same set.", min=0)] = 0,
    tenant: Tenant = "",
) -> None:
    """Make a set of questions from a collection's own documents.

    Rules make them from headings, sentences, names and near duplicates; some are made unanswerable
    by holding their documents out. Exit code 1: the collection yields none.
    """
    # Here and not above: help needs none of it.
    from index.portable import exported  # noqa: PLC0415
    from rag.corpus import Corpus  # noqa: PLC0415
    from rag.evaluation_set import write_set  # noqa: PLC0415
    from rag.question_building import RULE_KINDS, build_set  # noqa: PLC0415

    settings = settings_for(tenant)
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] or list(RULE_KINDS)
    errors = Console(stderr=True)
    with (
        state_database(settings, tenant) as database,
        progress_bars(errors) as on_progress,
        exported(database, collection) as (header, documents),
    ):
        told = _told(documents, header.num_documents, on_progress)
        corpus = Corpus(told, language=header.language)
    try:
        built = build_set(corpus, num=num, kinds=wanted, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    path = out or default_set(settings, tenant, collection)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_set(path, built.items)
    except OSError as error:
        raise EvaluationSetError(f"{path} cannot be written: {error.strerror}") from error
    console = Console()
    counts = Counter(item.kind for item in built.items)
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    console.print(Text(f"{path}: {len(built.items)} questions ({said})"), soft_wrap=True)
    for kind, (made, asked) in built.short.items():
        console.print(
            Text(f"{kind}: {made} of {asked}; the documents yield no more"), soft_wrap=True
        )
    if corpus.num_unread:
        console.print(Text(f"{corpus.num_unread} documents were left out: the collection is large"))


def _told(
    documents: Iterable[NewDocument], total: int, on_progress: OnProgress
) -> Iterator[NewDocument]:
    for number, document in enumerate(documents, start=1):
        on_progress("reading the documents", number, total)
        yield document
