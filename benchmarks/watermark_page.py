"""Fills the measured tables of `docs/watermark.md` from the files of `benchmarks/results`.

What takes hours is measured part by part, each on the commit of its time, so there are several.

python -m benchmarks.watermark_page
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import REPOSITORY

PAGE = REPOSITORY / "docs" / "watermark.md"
RESULTS = sorted((REPOSITORY / "benchmarks" / "results").glob("watermark*.json"))
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_NULL = re.compile(r"null, (?P<row>.+), (?P<kind>[^,:]+): (?P<column>KS p|at 0\.01|at 0\.001)")
_POWER = re.compile(r"(?P<what>power|design), (?P<row>.+ nat), (?P<column>\d+) tokens")
_COLUMNS = ("KS p", "at 0.01", "at 0.001")

Row = Mapping[str, Any]


def tables(report: Mapping[str, Any]) -> str:
    """Return the measured part of the page."""
    rows: Sequence[Row] = report["figures"]
    told = [
        f"Commit `{report['commit'][:10]}`, {report['machine']['cpu']}, seed {report['seed']}.",
        _null_table(rows),
        _power_table(rows),
        _other_table([row for row in rows if not _is_in_a_table(row)]),
    ]
    return "\n\n".join(part for part in told if part)


def _is_in_a_table(row: Row) -> bool:
    is_fine = row["name"].startswith("null, ") and row["met"] is True
    return bool(is_fine or _NULL.fullmatch(row["name"]) or _POWER.fullmatch(row["name"]))


def _null_table(rows: Sequence[Row]) -> str:
    cells: dict[str, dict[str, Row]] = {}
    for row in rows:
        if found := _NULL.fullmatch(row["name"]):
            cells.setdefault(f"{found['row']}, {found['kind']}", {})[found["column"]] = row
    if not cells:
        return ""
    lines = [
        "Texts without the mark under random keys: the Kolmogorov-Smirnov p of their p-values, and"
        "\nthe shares below 1 % and 0.1 % with intervals of three standard errors.",
        "",
        "| looked for, in | keys | KS p | at 1 % | at 0.1 % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, given in cells.items():
        num = next(iter(given.values()))["unit"].split()[1:2]
        keys = given["at 0.01"]["unit"].rsplit(" ", 1)[1] if "at 0.01" in given else num[0]
        told = [_null_cell(given.get(column)) for column in _COLUMNS]  # a bound has no KS test
        lines.append(f"| {name} | {keys} | {' | '.join(told)} |")
    return "\n".join(lines)


def _null_cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row["spread"] is None:
        return f"{row['value']:.3f}"
    low, high = row["spread"]
    return f"{row['value']:.4f} ({low:.4f}-{high:.4f})"


def _power_table(rows: Sequence[Row]) -> str:
    cells: dict[str, dict[int, dict[str, Row]]] = {}
    for row in rows:
        if found := _POWER.fullmatch(row["name"]):
            lengths = cells.setdefault(found["row"], {})
            lengths.setdefault(int(found["column"]), {})[found["what"]] = row
    if not cells:
        return ""
    columns = sorted({length for given in cells.values() for length in given})
    lines = [
        "Simulated replies found at 1 % false positives: measured / predicted, and in brackets what"
        "\nthe design's own simulation of 200 replies gave.",
        "",
        f"| scheme, entropy per token | {' | '.join(f'{n} tokens' for n in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for name, given in cells.items():
        told = [_power_cell(given.get(length, {})) for length in columns]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)


def _power_cell(given: Mapping[str, Row]) -> str:
    if "power" not in given:
        return ""
    words = f"{given['power']['value']:.2f} / {given['power']['baseline']:.2f}"
    return words + (f" [{given['design']['baseline']:.2f}]" if "design" in given else "")


def _other_table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = ["| what | measured | interval | beside | wanted |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        spread = "" if row["spread"] is None else "-".join(f"{x:.3g}" for x in row["spread"])
        beside = "" if row["baseline"] is None else f"{row['baseline']:.3g}"
        wanted = "" if row["target"] is None else f"{row['target']:.3g}"
        missed = " (missed)" if row["met"] is False else ""
        value = f"{row['value']:.3g} {row['unit']}"
        lines.append(f"| {row['name']} | {value}{missed} | {spread} | {beside} | {wanted} |")
    return "\n".join(lines)


def filled(page: str, *reports: Mapping[str, Any]) -> str:
    """Return the page with its measured part replaced by the tables of all reports.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between {BEGIN!r} and {END!r}")
    told = "\n\n".join(map(tables, reports))
    return f"{before}{BEGIN}\n\n{told}\n\n{END}{after}"


def main() -> None:
    """Write the page."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS]
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), *reports), encoding="utf-8")


if __name__ == "__main__":
    main()
