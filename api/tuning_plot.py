"""A tuning as a picture: recall against time, a line a method and parameters."""

from collections import defaultdict
from pathlib import Path

from index.tuning import Trial, Tuning


def save_plot(tuning: Tuning, path: Path, *, title: str) -> None:
    """Write a PNG of what was measured on all rows; raises `OSError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    most = max(trial.num_rows for trial in tuning.trials)
    lines: dict[str, list[Trial]] = defaultdict(list)
    for trial in tuning.trials:
        if trial.num_rows == most:
            lines[str(trial.choice).rsplit(" ", 1)[0]].append(trial)
    for name, trials in sorted(lines.items()):
        trials.sort(key=lambda trial: trial.p50_ms)
        axes.plot(
            [trial.p50_ms for trial in trials],
            [trial.recall for trial in trials],
            marker="o",
            markersize=4,
            label=name,
        )
    chosen = tuning.chosen
    axes.plot([chosen.p50_ms], [chosen.recall], "k*", markersize=14, label=f"{tuning.choice}")
    axes.axhline(tuning.target.recall, color="grey", linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds a search, median")
    axes.set_ylabel(f"recall at {tuning.target.k}")
    axes.set_title(f"{title}: {most} rows of {tuning.dim}, {tuning.metric}")
    axes.legend(fontsize="small")
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(path, format="png")
