"""`bot simulate`: users compiled from the bot file talk to it, and what came of it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import typer
from rich.console import Console

from api.bot_bootstrap import simulation_connector
from api.cli.bot_options import AsJson, BotFolder, print_json, read_bot
from api.cli.progress import progress_bars
from api.own_trackers import own_trackers
from dialog.bot.definition import BotDefinition
from dialog.simulation.failure_story import failure_story
from dialog.simulation.report import Report
from dialog.simulation.shrinking import Shrinker
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import SimulationSpec, read_specification

Level = Literal["act", "text", "both"]


def simulate(  # noqa: PLR0913
    bot: BotFolder,
    level: Annotated[
        Level, typer.Option("--level", help="Acts, words through the tracker, or both.")
    ] = "both",
    dialogues: Annotated[
        int | None, typer.Option("--dialogues", help="Scenarios; default: as the file says.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Runs of each scenario; default 5.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of all that is drawn.")] = None,
    confusion: Annotated[
        float, typer.Option("--confusion", help="Rate of wrong commands, at the level of acts.")
    ] = 0.0,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Print the smallest failing talk as a test.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let simulated users talk to a bot.

    Exit code 1: a figure that the file expects was missed; 2: the bot cannot be used.
    """
    definition = read_bot(bot)
    written = definition.simulate or ({},)
    specs = [
        _with(read_specification(entry), dialogues=dialogues, trials=trials, seed=seed)
        for entry in written
    ]
    levels = ("act", "text") if level == "both" else (level,)
    reports: list[Report] = []
    with progress_bars(Console(stderr=True)) as bars, own_trackers() as own:
        connect = simulation_connector(own.of(definition))
        for spec in specs:
            simulator = Simulator(
                bot=definition,
                spec=spec,
                connect=connect,
                confusion=confusion,
            )
            for name in levels:
                on_trial = partial(bars, f"{definition.name}, {name} level")
                reports.append(simulator.run(name, on_trial))
                if shrink and not as_json:
                    _print_shrunk(simulator, reports[-1])
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        _print(definition, reports)
    if any(report.missed for report in reports):
        raise typer.Exit(1)


def _with(
    spec: SimulationSpec, *, dialogues: int | None, trials: int | None, seed: int | None
) -> SimulationSpec:
    """Return what the file asks for, as far as the command does not say otherwise."""
    return replace(
        spec,
        dialogues=spec.dialogues if dialogues is None else dialogues,
        trials=spec.trials if trials is None else trials,
        seed=spec.seed if seed is None else seed,
    )


def _print(bot: BotDefinition, reports: Sequence[Report]) -> None:
    for report in reports:
        spec: SimulationSpec = report.spec
        print(
            f"{bot.name}, {report.level} level: {spec.dialogues} scenarios x {spec.trials} runs,"
            f" seed {spec.seed}"
        )
        for name, value in report.figures.items():
            print(f"  {name:<20}{value:g}" if value != round(value, 4) else f"  {name:<20}{value}")
        personas = ", ".join(f"{name} {rate:.3f}" for name, rate in report.by_persona().items())
        print(f"  by persona          {personas}")
        for failure, count in report.failures.items():
            print(f"  failed {count:>5}        {failure}")
        for trial in report.failed()[:5]:
            place = f"scenario {trial.scenario}, run {trial.number}, {trial.goal.persona.value}"
            print(f"    {place}: {trial.verdict.detail}")
        for error in report.simulator_errors[:5]:
            print(f"  simulator error     {error}")
        for bound in report.unmeasured:
            print(f"  not measured        {bound}")
        for words in report.missed:
            print(f"  MISSED              {words}")
    print("Simulated users are easier than people: these rates bound from above.")


def _print_shrunk(simulator: Simulator, report: Report) -> None:
    for trial in report.failed()[:1]:
        shrinker = Shrinker(simulator=simulator, level=report.level)
        found = shrinker.shrink(trial)
        name = f"scenario {trial.scenario} run {trial.number} of seed {report.spec.seed}"
        print(f"# smallest failing talk after {found.runs} runs", file=sys.stderr)
        print(failure_story(found, name=name))
