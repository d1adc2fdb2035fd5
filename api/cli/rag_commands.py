"""`python -m api rag …`: which techniques a collection is searched with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.eval_build import default_set
from api.cli.index_options import (
    AsJson,
    Collection,
    Tenant,
    opened_store,
    print_json,
    settings_for,
)
from api.cli.progress import progress_bars
from api.plan_files import PLANS, KeptPlan, PlanFiles
from api.tenant import place_of
from rag.plan_tuning import DEFAULT_BUDGET_MS

SHOW_EXAMPLE = "Example: python -m api rag show manuals"
TUNE_EXAMPLE = "Example: python -m api rag tune manuals --budget-ms 500"

rag_app = typer.Typer(
    help="Which techniques a collection is searched with: tried on its questions, kept, shown.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@rag_app.callback()
def _options() -> None:
    """Which techniques a collection is searched with: tried on its questions, kept, shown."""


@rag_app.command("tune", epilog=TUNE_EXAMPLE)
def tune(  # options of a command
    collection: Collection,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Questions; the set of 'eval build', else 100 by rules.",
            show_default=False,
        ),
    ] = None,
    budget_ms: Annotated[
        float, typer.Option("--budget-ms", metavar="MS", help="What a search may take.", min=1)
    ] = DEFAULT_BUDGET_MS,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the rules.", min=0)] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the choice and keep the old one.")
    ] = False,
    as_json: AsJson = False,
    tenant: Tenant = "",
) -> None:
    """Try each technique on a collection's questions and turn on what surely helps.

    Chats and searches of the collection then use it. Exit code 1: it cannot be tried.
    """
    # Here and not above: torch costs seconds, and help needs none of it.
    from api.plan_bootstrap import plan_tuning  # noqa: PLC0415

    settings = settings_for(tenant)
    with (
        progress_bars(Console(stderr=True)) as on_progress,
        plan_tuning(
            settings,
            tenant,
            collection,
            queries=queries,
            kept_set=default_set(settings, tenant, collection),
            budget_ms=budget_ms,
            seed=seed,
            on_progress=on_progress,
        ) as tuning,
    ):
        tuned = tuning.tuner.tune(tuning.missing)
        report = {
            "tuned_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "num_questions": tuning.num_questions,
            "questions_from": tuning.questions_from,
            "seed": seed,
            **tuned.to_json(),
            "kept": not dry_run,
        }
        if not dry_run:
            tuning.files.save(collection, KeptPlan(plan=tuned.plan, report=report))
    _show(collection, report, as_json=as_json)
    if dry_run and not as_json:
        print("nothing was kept")


@rag_app.command("show", epilog=SHOW_EXAMPLE)
def show(collection: Collection, as_json: AsJson = False, tenant: Tenant = "") -> None:
    """Show the plan of a collection, and the tuning that chose it.

    Exit code 1: there is no such collection.
    """
    settings = settings_for(tenant)
    with opened_store(settings, tenant) as store:
        store.info(collection)
        files = PlanFiles(place_of(settings, tenant).state / PLANS, store.info)
        kept = files.kept(collection)
    _show(collection, {**kept.report, "plan": kept.plan.changes()}, as_json=as_json)


def _show(collection: str, report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"collection": collection, **report})
        return
    console = Console()
    plan = ", ".join(f"{name} {value}" for name, value in report["plan"].items())
    console.print(Text(f"plan of {collection!r}: {plan or 'the usual one'}"), soft_wrap=True)
    if "trials" not in report:
        console.print(Text(f"nobody tuned it: python -m api rag tune {collection}"), soft_wrap=True)
        return
    usual = report["usual"]
    console.print(
        Text(
            f"on {report['num_questions']} questions ({report['questions_from']}), nDCG@10 without"
            f" techniques {usual['value']:.3f} [{usual['low']:.3f}, {usual['high']:.3f}], p95"
            f" {report['usual_p95_ms']:.0f} ms; budget {report['budget_ms']:.0f} ms;"
            f" {report['tuned_at']}"
        ),
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("technique", "", "gain", "p50 ms", "p95 ms"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why")
    for trial in report["trials"]:
        gain = trial["gain"]
        said = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else ""
        times = [f"{trial[name]:.0f}" if gain else "" for name in ("median_ms", "p95_ms")]
        is_on = "on" if trial["is_on"] else "off"
        table.add_row(trial["name"], is_on, said, *times, trial["why"])
    console.print(table)
