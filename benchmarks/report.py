"""The common form of a benchmark's result: figures, and where, on what and how they were measured.

Knows no host name and no path, so that a result can be shown to anybody.
"""

import importlib.metadata
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    `spread` is (low, high): an interval or the extremes, as the benchmark says in its docstring.
    `baseline` is what it is compared with, `target` what it should reach.
    """

    name: str
    value: float
    unit: str
    spread: tuple[float, float] | None = None
    baseline: float | None = None
    target: float | None = None
    higher_is_better: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        is_met = self.value >= self.target if self.higher_is_better else self.value <= self.target
        return bool(is_met)  # a numpy value would make it one that is no JSON


def wilson(num_right: int, num: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a share; 0..1 where nothing was counted."""
    if not 0 <= num_right <= num:
        raise ValueError(f"cannot have {num_right} right of {num}")
    if num == 0:
        return 0.0, 1.0
    share = num_right / num
    centre = share + z * z / (2 * num)
    half = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    scale = 1 + z * z / num
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def share(name: str, num_right: int, num: int, *, target: float | None = None) -> Figure:
    """Return the figure of a share with its Wilson interval."""
    return Figure(
        name=name,
        value=num_right / num if num else math.nan,
        unit=f"share of {num}",
        spread=wilson(num_right, num),
        target=target,
    )


def machine() -> dict[str, str | int | float]:
    """Describe this computer: processor, cores, memory, and the versions that matter for speed."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": _version("torch"),
    }


def commit() -> str:
    """Return the commit that is measured, `-dirty` where files differ, "unknown" without git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"

    def run(*arguments: str) -> str | None:
        done = subprocess.run(  # noqa: S603
            [git, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    head = run("rev-parse", "HEAD")
    if head is None:
        return "unknown"
    return f"{head}-dirty" if run("status", "--porcelain", "--untracked-files=no") else head


def as_json(figures: Sequence[Figure], *, threads: int, seed: int) -> str:
    """Return the report; a value that is no number becomes null."""
    rows = []
    for figure in figures:
        row = {**asdict(figure), "met": figure.met}
        del row["higher_is_better"]
        if not math.isfinite(figure.value):
            row |= {"value": None, "met": None}
        rows.append(row)
    report = {
        "machine": machine(),
        "commit": commit(),
        "threads": threads,
        "seed": seed,
        "figures": rows,
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def write(path: Path, figures: Sequence[Figure], *, threads: int, seed: int) -> None:
    """Write the report to `path`."""
    path.write_text(as_json(figures, threads=threads, seed=seed), encoding="utf-8")


def read(path: Path, *, seed: int) -> list[Figure]:
    """Return the figures of a report, to which more of the same commit and seed are to be added.

    Raises:
        ValueError: it was measured on another commit, or with another seed.
    """
    report = json.loads(path.read_text(encoding="utf-8"))
    if (report["commit"], report["seed"]) != (commit(), seed):
        raise ValueError(
            f"{path} is of commit {report['commit']} and seed {report['seed']}, not of {commit()}"
            f" and {seed}; measure it anew"
        )
    return [_figure(row) for row in report["figures"]]


def _figure(row: dict[str, Any]) -> Figure:
    given = {name: row[name] for name in ("name", "unit", "baseline", "target")}
    value, target = row["value"], row["target"]
    spread = None if row["spread"] is None else (row["spread"][0], row["spread"][1])
    is_up = target is None or row["met"] is None or (value >= target) == row["met"]
    return Figure(
        **given,
        value=math.nan if value is None else value,
        spread=spread,
        higher_is_better=is_up,
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Hardware"}:
                return value.strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return 0.0  # Windows


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
