"""How the command `ingest` shows plans, reports and notes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from index.source_notes import SourceNote
from rag.ingest_plan import IngestPlan, Step
from rag.ingest_report import FileReport, Outcome, summary

_STYLES = {
    "failed": "red", "removed": "magenta", "skipped": "yellow", "not read": "yellow",
    "unchanged": "dim",
}  # fmt: skip
_NO_FOLDING = 1_000_000  # characters; a table is as wide as its longest row needs


def print_plan(collection: str, plan: IngestPlan, *, is_new: bool) -> None:
    """Print what would be done, and why files are not read; of what is unchanged, the number."""
    failed = set(plan.failed_before)
    rows = []
    for one in plan.steps:
        if one.uri in failed and one.note is not None:
            rows.append((one.uri, "failed before", f"{one.note.code}; it is tried again"))
        elif one.look.refused is not None:
            rows.append((one.uri, Step.REFUSE.value, one.look.refused.reason))
        elif one.step is not Step.KEEP:
            rows.append((one.uri, one.step.value, f"was {one.was}" if one.was else ""))
    rows += [(uri, "removed", "its file is gone") for uri in plan.removed]
    _print_rows(("file", "plan", "remark"), rows)
    where = f"{collection} (new)" if is_new else collection
    counts = plan_counts(plan)
    words = ", ".join(f"{num} {name}" for name, num in counts.items() if num) or "no file found"
    line = f"{where}: {words}; up to about {chunks_in_words(plan.num_chunks)} to embed"
    console = Console()
    console.print(Text(line), soft_wrap=True)
    for doubt in plan.doubts:
        console.print(Text(f"Without --yes this would be refused: {doubt}"), soft_wrap=True)
    console.print(Text("Nothing was changed."), soft_wrap=True)


def plan_counts(plan: IngestPlan) -> dict[str, int]:
    """Return how many sources there are of each kind; each source counts once."""
    return {
        **{step.value: plan.count(step) for step in Step if step is not Step.REFUSE},
        "removed": len(plan.removed),
        Step.REFUSE.value: plan.count(Step.REFUSE),
        "failed before": len(plan.failed_before),
    }


def plan_json(collection: str, plan: IngestPlan) -> dict[str, Any]:
    """Return a plan for programs."""
    failed = set(plan.failed_before)
    return {
        "collection": collection,
        **{name.replace(" ", "_"): num for name, num in plan_counts(plan).items()},
        "estimated_chunks": plan.num_chunks,
        "doubts": list(plan.doubts),
        "files": [
            {
                "uri": one.uri,
                "plan": one.step.value,
                "was": one.was,
                "num_bytes": one.look.num_bytes,
                "reason": one.look.refused.reason if one.look.refused else "",
                "code": one.look.refused.code if one.look.refused else None,
                "failed_before": one.note.code if one.uri in failed and one.note else None,
            }
            for one in plan.steps
        ]
        + [{"uri": uri, "plan": "removed"} for uri in plan.removed],
    }


def print_reports(collection: str, reports: Sequence[FileReport]) -> None:
    """Print what became of each file but the unchanged ones, and the sum."""
    table = _table("file", "outcome", "passages", "remark")
    for report in reports:
        if report.outcome is Outcome.UNCHANGED:
            continue
        table.add_row(
            Text(report.uri),
            Text(outcome_words(report), style=_STYLES.get(report.outcome.value, "green")),
            Text(str(report.num_chunks) if report.num_chunks else "", justify="right"),
            Text(remark(report)),
        )
    _print_table(table)
    Console().print(Text(f"{collection}: {summary(reports)}"), soft_wrap=True)


def chunks_in_words(num: int) -> str:
    """Return a number of chunks in words."""
    return f"{num} chunk{'' if num == 1 else 's'}"


def outcome_words(report: FileReport) -> str:
    """Return the outcome with its code."""
    return f"{report.outcome.value}({report.code})" if report.code else report.outcome.value


def remark(report: FileReport) -> str:
    """Return what is worth saying beside the outcome."""
    said = [report.reason]
    if report.was:
        said.append(f"was {report.was}")
    if report.near_duplicate_of:
        how = "the same" if report.is_same_text else "nearly the same"
        said.append(f"{how} text as {report.near_duplicate_of}")
    if report.num_reused:
        said.append(f"{report.num_embedded} embedded, {report.num_reused} reused")
    return "; ".join(filter(None, said))


def reports_json(collection: str, reports: Sequence[FileReport]) -> dict[str, Any]:
    """Return reports for programs."""
    counts = Counter(report.outcome for report in reports)
    return {
        "collection": collection,
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "chunks_embedded": sum(report.num_embedded for report in reports),
        "chunks_reused": sum(report.num_reused for report in reports),
        "files": [report_json(report) for report in reports],
    }


def report_json(report: FileReport) -> dict[str, Any]:
    """Return what became of one file."""
    return {
        "uri": report.uri,
        "outcome": report.outcome.value,
        "reason": report.reason,
        "code": report.code,
        "document_id": report.document_id,
        "num_chunks": report.num_chunks,
        "num_embedded": report.num_embedded,
        "num_reused": report.num_reused,
        "was": report.was,
        "near_duplicate_of": report.near_duplicate_of,
    }


def print_notes(collection: str, notes: Mapping[str, SourceNote]) -> None:
    """Print the last outcome of every source, what went wrong first."""
    table = _table("file", "outcome", "passages", "when", "remark")
    bad = {"failed": 0, "skipped": 1}
    for note in sorted(notes.values(), key=lambda one: (bad.get(one.outcome, 2), one.uri)):
        words = f"{note.outcome}({note.code})" if note.code else note.outcome
        table.add_row(
            Text(note.uri),
            Text(words, style=_STYLES.get(note.outcome, "green")),
            Text(str(note.num_chunks) if note.num_chunks else "", justify="right"),
            Text(f"{note.at.astimezone():%m-%d %H:%M}"),
            Text(note.reason),
        )
    _print_table(table)
    counts = Counter(note.outcome for note in notes.values())
    words = ", ".join(f"{num} {name}" for name, num in sorted(counts.items()))
    Console().print(Text(f"{collection}: {words or 'nothing is noted yet'}"), soft_wrap=True)


def notes_json(collection: str, notes: Mapping[str, SourceNote]) -> dict[str, Any]:
    """Return notes for programs."""
    return {
        "collection": collection,
        "files": [
            {
                "uri": note.uri,
                "outcome": note.outcome,
                "code": note.code or None,
                "reason": note.reason,
                "at": note.at.isoformat(),
                "root": note.root,
                "num_chunks": note.num_chunks,
            }
            for note in notes.values()
        ],
    }


def _print_rows(head: Sequence[str], rows: Iterable[tuple[str, str, str]]) -> None:
    table = _table(*head)
    for name, what, said in rows:
        style = _STYLES.get(what.partition(" ")[0], _STYLES.get(what, "green"))
        table.add_row(Text(name), Text(what, style=style), Text(said))
    _print_table(table)


def _print_table(table: Table) -> None:
    """Print a table that has rows; folded to a terminal's width, elsewhere a line a row."""
    console = Console()
    if not table.row_count:
        return
    if console.is_terminal:
        console.print(table)
        return
    console.width = _NO_FOLDING
    with console.capture() as printed:
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _table(*names: str) -> Table:
    table = Table(*names, box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in {"outcome", "when"}
    return table
