"""The desk of the command `ingest`, and one pass of its work with its progress shown."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from api.cli.ingest_progress import shown_progress
from api.cli.progress import progress_bars
from api.ingest_desk import IngestDesk
from api.settings import Settings
from rag.errors import RemovalDoubtError
from rag.ingest_plan import IngestPlan
from rag.ingest_report import FileReport


@contextmanager
def opened_desk(settings: Settings, tenant: str) -> Iterator[IngestDesk]:
    """Give a running server's desk, else one of our own."""
    # Here and not above: the libraries of a desk cost a second, and help needs none of them.
    from api.cli.desks import remote_desk  # noqa: PLC0415
    from api.cli.index_options import opened_store  # noqa: PLC0415

    with ExitStack() as stack:
        if (remote := remote_desk(settings, tenant)) is not None:
            from api.served_ingest import ServedIngest  # noqa: PLC0415

            stack.callback(remote.close)
            store = stack.enter_context(opened_store(settings, tenant))
            yield ServedIngest(remote, store)
            return
        from api.ingest_bootstrap import open_ingest  # noqa: PLC0415

        # A log line in the middle of a table helps nobody; what fails is told by the command.
        logging.getLogger().setLevel(logging.ERROR)
        errors = Console(stderr=True)
        yield stack.enter_context(open_ingest(settings, tenant, lambda: progress_bars(errors)))


def applied(
    desk: IngestDesk,
    plan: IngestPlan,
    collection: str,
    *,
    is_confirmed: bool,
    cancel: threading.Event,
) -> list[FileReport]:
    """Do what was planned, with progress on standard error.

    Raises:
        RemovalDoubtError: the plan has doubts and was not confirmed; says what to do then.
    """
    with shown_progress(Console(stderr=True), plan.num_chunks) as note:
        try:
            return desk.apply(
                plan, collection, is_confirmed=is_confirmed, on_progress=note, cancel=cancel
            )
        except RemovalDoubtError as error:
            what_to_do = (
                "nothing was changed: give --yes to remove them, or --keep to remove nothing"
            )
            raise RemovalDoubtError([*error.doubts, what_to_do]) from error
