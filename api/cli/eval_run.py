"""`eval run`: a set of questions through the real pipeline, beside the last accepted run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.eval_build import default_set, evaluation_folder
from api.cli.index_options import Collection, Tenant, settings_for
from api.cli.progress import OnProgress, progress_bars
from api.evaluation_desk import OnResult, RunPlan, run_plan
from api.evaluation_page import page_of
from api.evaluation_runs import RunRecord, RunStore
from api.settings import Settings
from api.state_database import state_database
from rag.errors import EvaluationSetError
from rag.evaluation import Answerer, QuestionResult
from rag.evaluation_set import read_set
from rag.evaluation_summary import Comparison, Summary, compare, summary_of
from rag.metrics import Interval

RUN_EXAMPLE = "Example: python -m api eval run manuals --gate"


def run(  # noqa: PLR0913  # options of a command
    collection: Collection,
    set_file: Annotated[
        Path | None,
        typer.Option(
            "--set", metavar="FILE", help="The set; that of 'eval build'.", show_default=False
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="How many passages count.", min=1, max=100)] = 10,
    with_model: Annotated[
        bool, typer.Option("--with-model", help="Let the chat model speak too; takes longer.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="All figures as JSON.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A report with plots, one file.", show_default=False),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 3 where a figure is surely worse.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Compare later runs with this one.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    tenant: Tenant = "",
) -> None:
    """Ask the questions of a set and tell how good the answers are.

    What was interrupted goes on where it was. Figures are compared with the last accepted run,
    question by question. Exit code 1: it cannot be run; 3: with --gate, something is worse.
    """
    settings = settings_for(tenant)
    path = set_file or default_set(settings, tenant, collection)
    if set_file is None and not path.exists():
        raise EvaluationSetError(
            f"collection {collection!r} has no set yet; make one with 'python -m api eval build"
            f" {collection}', or name one with --set"
        )
    items = read_set(path)
    with state_database(settings, tenant) as database:
        runs = RunStore(database)
        with _answering(settings, tenant, collection, with_model) as (answerer, seq):
            plan = RunPlan(
                collection=collection,
                seq=seq,
                mode="model" if with_model else "extractive",
                k=k,
                seed=seed,
                items=items,
            )
            with progress_bars(Console(stderr=True)) as on_progress:
                record = run_plan(
                    plan,
                    answerer,
                    folder=evaluation_folder(settings, tenant),
                    on_result=_ticker(on_progress),
                )
        before = runs.last_accepted(collection, mode=plan.mode, k=k)
        number = runs.save(record)
        summary = summary_of(record.results, seed=seed)
        comparison = None if before is None else compare(record.results, before.results, seed=seed)
        if accept and not (gate and comparison is not None and comparison.losses):
            runs.accept(number)
    _print(record, summary, comparison, before)
    if json_file is not None:
        json_file.write_text(json.dumps(to_json(record, summary, comparison), indent=2) + "\n")
    if html is not None:
        html.write_text(page_of(record, summary, comparison, before), encoding="utf-8")
        print(f"report: {html}")
    if gate and comparison is not None and comparison.losses:
        raise typer.Exit(3)


def to_json(record: RunRecord, summary: Summary, comparison: Comparison | None) -> dict[str, Any]:
    """Return all figures of a run, and those of each question."""
    return {
        "run": record.to_json(),
        "summary": asdict(summary),
        "comparison": None if comparison is None else asdict(comparison),
    }


@contextmanager
def _answering(
    settings: Settings, tenant: str, collection: str, with_model: bool
) -> Iterator[tuple[Answerer, int]]:
    """Give what answers, and the number of the collection's last write."""
    # Here and not above: torch costs seconds, and help needs none of it.
    from api.evaluation_bootstrap import answering  # noqa: PLC0415

    with answering(settings, tenant, collection, with_model=with_model) as found:
        yield found


def _ticker(on_progress: OnProgress) -> OnResult:
    def tick(_: QuestionResult, done: int, total: int) -> None:
        on_progress("asking the questions", done, total)

    return tick


def _print(
    record: RunRecord,
    summary: Summary,
    comparison: Comparison | None,
    before: RunRecord | None,
) -> None:
    console = Console()
    first, *others = summary.rows
    table = Table("figure", first, box=None, pad_edge=False)
    if comparison is not None:
        table.add_column("less the accepted run")
    for kind in others:
        table.add_column(kind, justify="right")
    for name, interval in summary.rows[first].items():
        cells = [name.replace("_", " "), _interval(interval)]
        if comparison is not None:
            cells.append(_difference(comparison, name))
        for kind in others:
            found = summary.rows[kind].get(name)
            cells.append("" if found is None else f"{found.value:.3f}")
        table.add_row(*cells)
    console.print(table)
    console.print(Text(_closing(record, summary)), soft_wrap=True)
    if comparison is not None and before is not None:
        said = f"{comparison.num_pairs} questions are those of the run of {before.created_at:%F %R}"
        worse = ", ".join(comparison.losses) or "nothing"
        console.print(Text(f"{said}; surely worse: {worse}"), soft_wrap=True)


def _interval(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _difference(comparison: Comparison, name: str) -> str:
    found = comparison.differences.get(name)
    if found is None:
        return ""
    mark = " worse" if name in comparison.losses else ""
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]{mark}"


def _closing(record: RunRecord, summary: Summary) -> str:
    parts = [f"{summary.num} questions, {summary.num_answered} answered ({record.mode})"]
    if summary.auroc is not None:
        parts.append(f"abstention AUROC {_interval(summary.auroc)}")
    if summary.area_under_risk is not None:
        parts.append(f"area under risk {summary.area_under_risk:.3f}")
    parts.append(
        f"a question {1000 * summary.total.p50:.0f} ms in the median,"
        f" {1000 * summary.total.p95:.0f} ms at p95"
    )
    return "; ".join(parts)
