"""A run as one HTML file that needs nothing else: tables, and plots as inline SVG."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from api.evaluation_runs import RunRecord
from rag.evaluation_summary import Comparison, Summary
from rag.metrics import Difference, Interval, RiskPoint

_STYLE = """
:root{color-scheme:light dark;--ink:#1e2321;--muted:#5a625e;--line:#d5d2c8;--paper:#faf9f6;
--accent:#0b6655;--bad:#a3291f}
@media (prefers-color-scheme:dark){:root{--ink:#e5e9e6;--muted:#a0a9a4;--line:#3a423f;
--paper:#151817;--accent:#74d0b9;--bad:#f2988e}}
body{max-width:62rem;margin:2rem auto;padding:0 1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem}h2{margin-top:2.2rem;font-size:1.15rem}
p,figcaption{color:var(--muted)}figure{margin:0;overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left}.scroll{overflow-x:auto}.bad{color:var(--bad)}
svg{max-width:100%;height:auto}text{fill:var(--ink);font:13px system-ui,sans-serif}
.faint{fill:var(--muted)}.axis{stroke:var(--line)}.mark{fill:var(--accent)}
.line{stroke:var(--accent);stroke-width:2;fill:none}.worse{stroke:var(--bad);fill:var(--bad)}
"""
_WIDTH = 720
_LEFT = 170
_RIGHT = 130
_ROW = 26


def page_of(
    record: RunRecord, summary: Summary, comparison: Comparison | None, before: RunRecord | None
) -> str:
    """Return the page."""
    parts = [
        f"<h1>Answers from {escape(record.collection)}</h1>",
        f"<p>{_facts(record, summary)}</p>",
        "<h2>Figures and their 95 % intervals</h2>",
        _intervals(summary.rows["all"]),
        "<h2>By kind of question</h2>",
        _table(summary),
    ]
    if comparison is not None and before is not None:
        parts += ["<h2>Less the accepted run</h2>", _differences(comparison, before)]
    if summary.risk:
        parts += ["<h2>Risk and coverage</h2>", _risk(summary)]
    parts += ["<h2>Seconds of a question</h2>", _times(record)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Answers from {escape(record.collection)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _facts(record: RunRecord, summary: Summary) -> str:
    facts = [
        f"{summary.num} questions, {summary.num_answered} answered ({record.mode}), the first"
        f" {record.k} passages count",
        f"{record.created_at:%Y-%m-%d %H:%M} UTC, causerie {record.version}, set"
        f" {record.set_digest}",
    ]
    if summary.auroc is not None:
        facts.append(f"abstention AUROC {_shown(summary.auroc)}")
    facts.append(f"calibration error {summary.calibration:.3f}")
    return escape("; ".join(facts)) + "."


def _table(summary: Summary) -> str:
    kinds = list(summary.rows)
    head = "".join(f'<th scope="col">{escape(kind)}</th>' for kind in ["figure", *kinds])
    rows = []
    for name in summary.rows["all"]:
        cells = [summary.rows[kind].get(name) for kind in kinds]
        shown = "".join(f"<td>{'' if one is None else f'{one.value:.3f}'}</td>" for one in cells)
        rows.append(f'<tr><th scope="row">{_words(name)}</th>{shown}</tr>')
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _intervals(row: Mapping[str, Interval]) -> str:
    lines = [
        _bar(i, _words(name), one, _shown(one), reach=(0.0, 1.0))
        for i, (name, one) in enumerate(row.items())
    ]
    return _figure(lines, len(row), "each figure with its interval", axis=("0", "1"))


def _differences(comparison: Comparison, before: RunRecord) -> str:
    found: dict[str, Difference] = dict(comparison.differences)
    most = max((abs(x) for d in found.values() for x in (d.low, d.high)), default=0.0) or 0.1
    lines = [
        _bar(
            i,
            _words(name),
            one,
            f"{one.value:+.3f}",
            reach=(-most, most),
            is_bad=name in comparison.losses,
        )
        for i, (name, one) in enumerate(found.items())
    ]
    worse = ", ".join(_words(name) for name in comparison.losses) or "nothing"
    said = (
        f"{comparison.num_pairs} questions are those of the run of {before.created_at:%Y-%m-%d};"
        f" surely worse: {worse}"
    )
    figure = _figure(
        lines, len(found), "differences", axis=(f"-{most:.2f}", f"+{most:.2f}"), zero=True
    )
    return f"<p>{escape(said)}.</p>{figure}"


def _bar(
    i: int,
    name: str,
    one: Interval | Difference,
    said: str,
    *,
    reach: tuple[float, float],
    is_bad: bool = False,
) -> str:
    y = _ROW * i + _ROW / 2
    width = (_WIDTH - _LEFT - _RIGHT) / (reach[1] - reach[0])
    a, b, c = (_LEFT + (v - reach[0]) * width for v in (one.low, one.value, one.high))
    kind = " worse" if is_bad else ""
    return (
        f'<text x="0" y="{y + 4:.1f}">{name}</text>'
        f'<line class="line{kind}" x1="{a:.1f}" x2="{c:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle class="mark{kind}" cx="{b:.1f}" cy="{y:.1f}" r="4.5"/>'
        f'<text class="faint" x="{_WIDTH - _RIGHT + 12}" y="{y + 4:.1f}">{escape(said)}</text>'
    )


def _figure(
    lines: Sequence[str], num: int, label: str, *, axis: tuple[str, str], zero: bool = False
) -> str:
    height = _ROW * num + 24
    right = _WIDTH - _RIGHT
    middle = (_LEFT + right) / 2
    ends = [(_LEFT, axis[0]), (right, axis[1]), *([(middle, "0")] if zero else [])]
    ticks = "".join(
        f'<line class="axis" x1="{x}" x2="{x}" y1="0" y2="{_ROW * num}"/>'
        f'<text class="faint" x="{x}" y="{height - 6}" text-anchor="middle">{words}</text>'
        for x, words in ends
    )
    return _svg(height, label, [ticks, *lines])


def _risk(summary: Summary) -> str:
    points: tuple[RiskPoint, ...] = summary.risk
    height = 260

    def at(point: RiskPoint) -> str:
        x = 50 + point.coverage * (_WIDTH - 80)
        return f"{x:.1f},{height - 40 - point.risk * (height - 60):.1f}"

    axes = (
        f'<line class="axis" x1="50" x2="{_WIDTH - 30}" y1="{height - 40}" y2="{height - 40}"/>'
        f'<line class="axis" x1="50" x2="50" y1="20" y2="{height - 40}"/>'
        f'<text class="faint" x="44" y="{height - 36}" text-anchor="end">0</text>'
        '<text class="faint" x="44" y="25" text-anchor="end">1</text>'
        f'<text class="faint" x="{_WIDTH / 2}" y="{height - 12}" text-anchor="middle">'
        "share of the answers that are surest</text>"
    )
    line = f'<polyline class="line" points="{" ".join(at(point) for point in points)}"/>'
    caption = (
        f"The share of wrong answers among the surest; its mean is {summary.area_under_risk:.3f}."
    )
    return _svg(height, "share of wrong answers against coverage", [axes, line], caption)


def _times(record: RunRecord) -> str:
    times = sorted(result.total_s for result in record.results)
    most = times[-1] or 1e-9
    height = 200
    points = [
        f"{50 + second / most * (_WIDTH - 80):.1f},"
        f"{height - 40 - (i + 1) / len(times) * (height - 60):.1f}"
        for i, second in enumerate(times)
    ]
    axes = (
        f'<line class="axis" x1="50" x2="{_WIDTH - 30}" y1="{height - 40}" y2="{height - 40}"/>'
        f'<text class="faint" x="50" y="{height - 22}" text-anchor="middle">0 s</text>'
        f'<text class="faint" x="{_WIDTH - 30}" y="{height - 22}" text-anchor="end">'
        f"{most:.2f} s</text>"
    )
    line = f'<polyline class="line" points="{" ".join(points)}"/>'
    return _svg(height, "share of questions done by a time", [axes, line], "Done by then.")


def _svg(height: float, label: str, parts: Iterable[str], caption: str = "") -> str:
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>{words}</figure>'
    )


def _shown(one: Interval) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))
