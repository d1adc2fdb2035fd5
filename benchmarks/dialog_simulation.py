"""Simulated users against the three example bots: success, pass^k, writes and repeats.

Levels: "act" understands perfectly, "text" reads words through the rule tracker; replies come from
templates. Intervals are Wilson's, of the share of trials; those of a scenario are not independent,
so that the interval is on the narrow side. Simulated users are easier than people.

    python -m benchmarks.dialog_simulation --json benchmarks/results/dialog_simulation.json
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from api.bot_bootstrap import simulation_connector
from benchmarks.report import REPOSITORY, Figure, share, write
from dialog.bot.loading import load_bot
from dialog.simulation.report import Report
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import read_specification

BOTS = ("restaurant", "bank", "travel")
LEVELS = ("text", "act")
CONFUSIONS = (0.05, 0.1)


def main() -> None:
    """Run all, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--bots", nargs="+", default=BOTS, choices=BOTS)
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    parser.add_argument("--dialogues", type=int, default=200)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--sweep", action="store_true", help="also with wrong commands (act level)")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    for name in chosen.bots:
        for level in chosen.levels:
            figures += _measured(name, level, chosen.dialogues, chosen.trials, 0.0)
            if chosen.json is not None:
                write(chosen.json, figures, threads=1, seed=7)
        for rate in CONFUSIONS if chosen.sweep else ():
            figures += _measured(name, "act", chosen.dialogues, chosen.trials, rate)
    if chosen.json is not None:
        write(chosen.json, figures, threads=1, seed=7)
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


def _measured(name: str, level: str, dialogues: int, trials: int, rate: float) -> list[Figure]:
    bot = load_bot(REPOSITORY / "examples" / name)
    spec = replace(read_specification(bot.simulate[0]), dialogues=dialogues, trials=trials)
    simulator = Simulator(bot=bot, spec=spec, connect=simulation_connector(), confusion=rate)
    began = time.perf_counter()
    report = simulator.run(level)
    seconds = time.perf_counter() - began
    label = f"{name}, {level}" + (f", {rate:g} confused" if rate else "")
    figures = _figures(report, label, is_gated=not rate)
    turns = sum(trial.record.turns for trial in report.trials)
    print(f"{label}: {len(report.trials)} talks, {turns} turns in {seconds:.0f} s")
    for figure in figures:
        print(f"  {figure.name:<44}{figure.value:.4g}  target {figure.target}")
    print(f"  by persona {report.by_persona()}")
    for failed in report.failed()[:8]:
        print(f"  scenario {failed.scenario} run {failed.number}: {failed.verdict.detail}")
    for error in report.simulator_errors[:8]:
        print(f"  simulator error: {error}")
    sys.stdout.flush()
    return figures


def _figures(report: Report, label: str, *, is_gated: bool) -> list[Figure]:
    reached, k = report.figures, report.spec.trials
    right = sum(trial.verdict.is_success for trial in report.trials)
    figures = [
        share(f"success ({label})", right, len(report.trials), target=0.95 if is_gated else None),
        Figure(
            name=f"pass^{k} ({label})",
            value=reached[f"pass^{k}"],
            unit="share",
            target=0.85 if is_gated else None,
        ),
        Figure(name=f"turns, 90 % ({label})", value=reached["turns_p90"], unit="turns"),
    ]
    figures += [
        Figure(
            name=f"{name.replace('_', ' ')} ({label})",
            value=reached[name],
            unit="count",
            target=0.0 if is_gated else None,
            higher_is_better=False,
        )
        for name in ("unconfirmed_writes", "exact_repeats", "simulator_errors")
    ]
    return figures


if __name__ == "__main__":
    main()
