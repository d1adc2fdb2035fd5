"""`eval gate`: a gate for a collection, fitted on its own questions."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.eval_build import default_set
from api.cli.index_options import AsJson, Collection, Tenant, settings_for
from api.cli.progress import progress_bars
from rag.dialogue_context import context_of
from rag.errors import EvaluationSetError
from rag.evaluation_set import EvaluationItem, read_set
from rag.gate_fitting import FeaturesOf, GateFigures, GateFit, fit, judged
from rag.gate_model import GateFeatures

GATE_EXAMPLE = "Example: python -m api eval gate manuals --dry-run"


def gate(  # noqa: PLR0913  # options of a command
    collection: Collection,
    set_file: Annotated[
        Path | None,
        typer.Option(
            "--set", metavar="FILE", help="The set; that of 'eval build'.", show_default=False
        ),
    ] = None,
    with_model: Annotated[
        bool,
        typer.Option(
            "--with-model", help="Let the chat model read what is found; costs each turn a pass."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell the figures and keep nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Keep the new gate though it decides no better.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Go back to the gate that is shipped.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Fit what decides whether a collection answers a question.

    Each question is asked with and without the documents that answer it. The new gate is kept where
    it decides more of them right than the present one, on documents it was not fitted on. A running
    server uses it at once. Exit code 1: there is no set, or too few questions.
    """
    # Here and not above: torch costs seconds, and help needs none of it.
    from api.evaluation_bootstrap import gate_fitting  # noqa: PLC0415

    settings = settings_for(tenant)
    with gate_fitting(settings, tenant, collection, with_model=with_model) as (pipeline_for, gates):
        if reset:
            gates.forget(collection)
            if as_json:
                print(json.dumps({"kept": False, "reset": True}))
            else:
                print(f"{collection}: the gate that is shipped is used again")
            return
        path = set_file or default_set(settings, tenant, collection)
        if set_file is None and not path.exists():
            raise EvaluationSetError(
                f"collection {collection!r} has no set yet; make one with 'python -m api eval build"
                f" {collection}', or name one with --set"
            )

        def features_of(item: EvaluationItem) -> GateFeatures:
            context = context_of(item.history)
            return pipeline_for(item).find(item.query, collection, context=context).gate.features

        items = read_set(path)
        with progress_bars(Console(stderr=True)) as on_progress:
            told = _told(features_of, lambda n: on_progress("asking the questions", n, len(items)))
            examples = list(judged(items, told))
        found = fit(examples, seed=seed, present=gates.gate_of(collection))
        is_kept = not dry_run and (found.is_better or force)
        if is_kept:
            gates.save(collection, found.gate)
    if as_json:
        print(json.dumps(_to_json(found, is_kept), indent=2))
    else:
        _print(found, is_kept, dry_run)


def _told(features_of: FeaturesOf, tell: Callable[[int], None]) -> FeaturesOf:
    """Count questions as they come, each once."""
    asked: dict[str, None] = {}

    def told(item: EvaluationItem) -> GateFeatures:
        asked[item.id] = None
        found = features_of(item)
        tell(len(asked))
        return found

    return told


def _to_json(found: GateFit, is_kept: bool) -> dict[str, Any]:
    return {
        "gate": json.loads(found.gate.to_json()),
        "fitted": asdict(found.fitted),
        "present": asdict(found.present),
        "kept": is_kept,
    }


def _print(found: GateFit, is_kept: bool, dry_run: bool) -> None:
    console = Console()
    table = Table("", "AUROC", "calibration error", "answered", "abstained", box=None)
    for name, figures in (("present gate", found.present), ("new gate", found.fitted)):
        table.add_row(name, *_cells(figures))
    console.print(table)
    weights = ", ".join(f"{name} {weight:+.2f}" for name, weight in found.gate.weights.items())
    threshold = found.gate.threshold
    console.print(Text(f"answers from p >= {threshold:.2f}; weights: {weights}"), soft_wrap=True)
    if is_kept:
        console.print("the new gate is kept and used from now on; --reset takes it away")
    elif dry_run:
        would = "would be kept" if found.is_better else "decides no better and would not be kept"
        console.print(f"nothing was kept; the new gate {would}")
    else:
        console.print("the new gate decides no better and was not kept; --force keeps it")


def _cells(figures: GateFigures) -> tuple[str, str, str, str]:
    area = figures.auroc
    return (
        f"{area.value:.3f} [{area.low:.3f}, {area.high:.3f}]",
        f"{figures.calibration_error:.3f}",
        f"{figures.num_answered} of {figures.num_answerable} answerable",
        f"{figures.num_abstained} of {figures.num_unanswerable} held out",
    )
