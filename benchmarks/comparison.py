"""Races and scores as figures and as a table: who is how much faster, at what quality.

Two rivals matter for each task: the fastest of all, against which the targets are set, and the
fastest whose perplexity is as near to fp32 as ours must be.
"""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.perplexity import PEER, TARGET_RATIO, Score
from benchmarks.report import Figure
from benchmarks.rounds import Race

_SETTING = ", no flash attention"


def setting_name(model: str, *, flash_attention: bool) -> str:
    """Return what a loaded model is called when it runs with or without flash attention."""
    return model if flash_attention else model + _SETTING


def model_name(setting: str) -> str:
    """Return the model of a setting, by which its perplexity is known."""
    return setting.removesuffix(_SETTING)


def faithful(scores: Sequence[Score]) -> frozenset[str]:
    """Return the names of those within the bound that is set for our own number formats."""
    return frozenset(score.name for score in scores if score.ratio <= TARGET_RATIO)


def figures(races: Sequence[Race], scores: Sequence[Score]) -> list[Figure]:
    """Return our speeds, all rivals' speeds, and the ratios; spreads are extremes by round."""
    rows = []
    near = faithful(scores)
    for race in races:
        fastest = race.fastest()
        name = race.task.name
        rows.append(_speed(name, race.ours, race.rivals[fastest] if fastest else None))
        rows += [_speed(f"{name}, {rival}", speeds) for rival, speeds in race.rivals.items()]
        if fastest is not None:
            rows.append(
                Figure(
                    name=f"{name} over the fastest {PEER}",
                    value=race.ratio(fastest),
                    unit="ratio",
                    spread=race.ratio_extremes(fastest),
                    baseline=1.0,
                    target=race.task.target,
                )
            )
        if (rival := race.fastest(lambda setting: model_name(setting) in near)) is not None:
            rows.append(
                Figure(
                    name=f"{name} over the fastest {PEER} within {100 * (TARGET_RATIO - 1):.0f} %"
                    " of fp32's perplexity",
                    value=race.ratio(rival),
                    unit="ratio",
                    spread=race.ratio_extremes(rival),
                    baseline=1.0,
                )
            )
    return rows


def _speed(name: str, speeds: Sequence[float], baseline: Sequence[float] | None = None) -> Figure:
    return Figure(
        name=name,
        value=statistics.median(speeds),
        unit="tokens/s",
        spread=(min(speeds), max(speeds)),
        baseline=None if baseline is None else statistics.median(baseline),
    )


def table(races: Sequence[Race], scores: Sequence[Score]) -> str:
    """Return a Markdown table: medians of tokens a second, ratios, targets; (…): extremes."""
    near = faithful(scores)
    lines = [
        f"| tokens/s | ours | fastest {PEER} | ratio | target |"
        f" fastest within {100 * (TARGET_RATIO - 1):.0f} % of fp32 | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for race in races:
        cells = [race.task.name, _median(race.ours)]
        cells += _against(race, race.fastest())
        cells.append(_target(race))
        cells += _against(race, race.fastest(lambda setting: model_name(setting) in near))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _against(race: Race, rival: str | None) -> list[str]:
    if rival is None:
        return ["", ""]
    low, high = race.ratio_extremes(rival)
    named = f"{_median(race.rivals[rival])} {rival.removeprefix(PEER).strip()}"
    return [named, f"{race.ratio(rival):.2f} ({low:.2f} to {high:.2f})"]


def _target(race: Race) -> str:
    fastest = race.fastest()
    if race.task.target is None or fastest is None:
        return ""
    is_met = race.ratio(fastest) >= race.task.target
    return f"{race.task.target:.1f}: {'met' if is_met else '**missed**'}"


def _median(speeds: Sequence[float]) -> str:
    return f"{statistics.median(speeds):.0f} ({min(speeds):.0f} to {max(speeds):.0f})"


def settings_table(races: Sequence[Race], scores: Sequence[Score]) -> str:
    """Return every rival's medians beside its perplexity; empty where it was left out as slow."""
    percent: Mapping[str, str] = {
        score.name: f"{100 * (score.ratio - 1):+.1f} %" for score in scores
    }
    names = list(dict.fromkeys(name for race in races for name in race.rivals))
    lines = [
        "| tokens/s | perplexity over fp32 | "
        + " | ".join(race.task.name for race in races)
        + " |",
        "|---" * (len(races) + 2) + "|",
    ]
    for name in names:
        medians = [
            f"{statistics.median(race.rivals[name]):.0f}" if name in race.rivals else ""
            for race in races
        ]
        cells = [name, percent.get(model_name(name), ""), *medians]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
