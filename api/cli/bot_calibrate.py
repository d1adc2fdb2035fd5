"""`bot calibrate`: what a bot's tracker says of its values, made to mean how often it is right."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.bot_bootstrap import simulation_connector
from api.bot_trackers import CALIBRATION_FILE
from api.cli.bot_options import BotFolder, read_bot
from api.cli.progress import progress_bars
from api.own_trackers import own_trackers
from dialog.simulation.labels import outcomes_of
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import read_specification
from dialog.tracker.calibration import ENOUGH, fit


def calibrate(
    bot: BotFolder,
    dialogues: Annotated[int, typer.Option("--dialogues", help="Conversations to learn from.")] = (
        60
    ),
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated users.")] = 1,
) -> None:
    """Fit the probabilities of a bot with `model:` on simulated users; write calibration.json.

    Exit code 2: the bot has no `model:`, or nothing was read.
    """
    definition = read_bot(bot)
    if definition.model is None:
        print(
            "error: the bot has no model: its tracker reads by rules and is not calibrated; add"
            " model: {tracker: constrained} (or rule)",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    written = definition.simulate[0] if definition.simulate else {}
    spec = replace(read_specification(written), dialogues=dialogues, trials=1, seed=seed)
    with progress_bars(Console(stderr=True)) as bars, own_trackers() as own:
        connect = simulation_connector(own.plain(definition))
        simulator = Simulator(bot=definition, spec=spec, connect=connect)
        report = simulator.run("text", partial(bars, f"{definition.name}, simulated users"))
    outcomes = outcomes_of(definition, report.trials)
    if not outcomes:
        print("error: nothing was read in any conversation; give more --dialogues", file=sys.stderr)
        raise typer.Exit(2)
    found = fit(outcomes, bot_hash=definition.hash)
    path = Path(definition.folder) / CALIBRATION_FILE
    path.write_text(json.dumps(found.to_payload(), indent=1) + "\n", encoding="utf-8")
    right = sum(outcome.is_right for outcome in outcomes)
    steps = "with isotonic steps" if len(outcomes) >= ENOUGH else f"no steps below {ENOUGH} values"
    print(f"{path}: of {len(outcomes)} values read {right} were meant; {steps}")
