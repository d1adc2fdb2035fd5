"""`eval feedback`: what users said of answers, reviewed before it becomes questions."""

import json
import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.index_options import AsJson, Tenant, settings_for
from api.errors import FeedbackError
from api.feedback import Feedback, FeedbackStore
from api.state_database import state_database
from rag.evaluation_set import Relevant

FEEDBACK_EXAMPLE = "Example: python -m api eval feedback accept 12 --relevant manual.md:120-610"
_SPAN = re.compile(r"(?P<uri>.+):(?P<start>\d+)-(?P<end>\d+)")

feedback_app = typer.Typer(
    help="What users said of answers: listed, accepted as questions, rejected.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Number = Annotated[
    int, typer.Argument(metavar="NUMBER", help="Of 'eval feedback list'.", show_default=False)
]


@feedback_app.command("list")
def list_(
    collection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of one collection.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was accepted or rejected.")
    ] = False,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """List the thumbs that nobody has reviewed yet."""
    with state_database(settings_for(tenant), tenant) as database:
        found = FeedbackStore(database).list(
            collection=collection, status=None if everything else "new"
        )
    if as_json:
        print(json.dumps([_to_json(one) for one in found], indent=2, ensure_ascii=False))
        return
    table = Table("", "thumb", "status", "collection", "question", "cites", box=None)
    for one in found:
        cites = ", ".join(f"{c.uri}:{c.start}-{c.end}" for c in one.answer.cited)
        cites = cites or ("abstained" if one.answer.abstained else "")
        said = one.answer.query + (f"\n“{one.comment}”" if one.comment else "")
        cells = (str(one.id), one.rating, one.status, one.answer.collection, said, cites)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table if found else "no feedback to review")


@feedback_app.command("accept", epilog=FEEDBACK_EXAMPLE)
def accept(
    number: Number,
    relevant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI[:START-END]",
            help="Where the answer stands; may be given again. Of a thumb up: what was cited.",
            show_default=False,
        ),
    ] = None,
    unanswerable: Annotated[
        bool, typer.Option("--unanswerable", help="The collection does not answer it.")
    ] = False,
    tenant: Tenant = "",
) -> None:
    """Make a question of a thumb; 'eval build --from-feedback' writes them.

    Exit code 1: it does not say what would be right.
    """
    if relevant and unanswerable:
        raise typer.BadParameter("--relevant and --unanswerable contradict each other")
    right = [parse_relevant(one) for one in relevant or ()]
    with state_database(settings_for(tenant), tenant) as database:
        item = (
            FeedbackStore(database)
            .accept(number, right=right, is_answerable=False if unanswerable else None)
            .to_item()
        )
    what = f"{len(item.relevant)} relevant" if item.answerable else "unanswerable"
    Console().print(Text(f"{item.id}: {item.query} ({what})"), soft_wrap=True)


@feedback_app.command("reject")
def reject(number: Number, tenant: Tenant = "") -> None:
    """Leave a thumb out of sets."""
    with state_database(settings_for(tenant), tenant) as database:
        FeedbackStore(database).reject(number)


def parse_relevant(text: str) -> Relevant:
    """Return what `URI` or `URI:START-END` names.

    Raises:
        FeedbackError: the span is none.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        return Relevant(uri=text)
    try:
        return Relevant(uri=found["uri"], start=int(found["start"]), end=int(found["end"]))
    except ValueError as error:
        raise FeedbackError(f"--relevant {text}: {error}") from error


def _to_json(one: Feedback) -> dict[str, object]:
    return {
        "id": one.id,
        "conversation_id": one.conversation_id,
        "rating": one.rating,
        "comment": one.comment,
        "status": one.status,
        "created_at": one.created_at.isoformat(),
        "collection": one.answer.collection,
        **one.answer.to_json(),
    }
