"""What is noted on a source after an ingest: how it ended, and which folder it belongs to.

A document belongs to the folder that a run stored it from. What came by an upload or from a program
belongs to none, and a run that finds the same bytes in a folder leaves it so.
"""

from dataclasses import replace

from index.source_notes import SourceNote
from rag.ingest_plan import IngestPlan, PlannedSource
from rag.ingest_recipe import Recipe
from rag.ingest_report import FileReport, Outcome


def root_after(one: PlannedSource, outcome: Outcome) -> str:
    """Return the folder that the document of a source belongs to, after this outcome."""
    note, here = one.note, one.source.root
    is_known = note is not None and bool(note.recipe)
    if note is None or outcome not in {Outcome.UNCHANGED, Outcome.FAILED, Outcome.SKIPPED}:
        return here
    if not note.root or not here:
        return note.root if is_known else here
    return here  # the folder was moved


def note_of_stored(one: PlannedSource, report: FileReport, recipe: Recipe) -> SourceNote:
    """Return the note on a source whose document is stored as the recipe has it."""
    return SourceNote(
        uri=one.uri,
        outcome=report.outcome.value,
        root=root_after(one, report.outcome),
        source_sha256=one.look.sha256,
        recipe=str(recipe),
        reason=report.reason,
        num_bytes=one.look.num_bytes,
        num_chunks=report.num_chunks,
    )


def note_of_refused(one: PlannedSource, report: FileReport) -> SourceNote:
    """Return the note on a source that was not read; what is stored of it stays what it was."""
    known = one.note
    return SourceNote(
        uri=one.uri,
        outcome=report.outcome.value,
        root=root_after(one, report.outcome),
        source_sha256=one.look.sha256,
        recipe="" if known is None else known.recipe,
        code=report.code or "",
        reason=report.reason,
        num_bytes=one.look.num_bytes,
        num_chunks=0 if known is None else known.num_chunks,
    )


def is_news(one: PlannedSource, note: SourceNote) -> bool:
    """Whether a note says more than the last one, but for its time."""
    known = one.note
    return (
        known is None
        or Outcome.FAILED in {known.outcome, note.outcome}
        or (known.root, known.recipe, known.reason) != (note.root, note.recipe, note.reason)
    )


def news(plan: IngestPlan) -> IngestPlan:
    """Return what of a plan is left to do, without what is not read and was noted so before."""
    plan = plan.changes()
    return replace(plan, steps=[one for one in plan.steps if not _is_known_refusal(one)])


def _is_known_refusal(one: PlannedSource) -> bool:
    refused = one.look.refused
    if refused is None or one.note is None:
        return False
    return (one.note.outcome, one.note.reason) == (refused.outcome.value, refused.reason)
