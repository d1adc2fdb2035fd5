"""A graph of tasks as text: DOT for Graphviz, Mermaid for web pages, SVG without any tool.

What tests have touched is drawn full, the rest dashed, where a set of touched nodes is given.
"""

from collections.abc import Callable, Mapping
from html import escape

from dialog.builder.task_graph import GraphNode, TaskGraph

_COLOURS = {
    "task": "#d9e8fb", "slot": "#ffffff", "find": "#e8f5e0", "check": "#fff3cd",
    "confirm": "#fde2e2", "step": "#eee6fa", "end": "#e2e2e2",
}  # fmt: skip
_SHAPES = {"check": "diamond", "task": "box", "end": "oval"}
_WIDTH, _HEIGHT, _GAP, _LINE = 220, 26, 18, 14


def as_dot(graph: TaskGraph, touched: frozenset[str] | None = None) -> str:
    """Return the graph in the language of Graphviz."""
    lines = [f"digraph {_quoted(graph.name)} {{", "  node [fontname=sans, style=filled];"]
    tasks = dict.fromkeys(node.task for node in graph.nodes)
    for i, task in enumerate(tasks):
        lines.append(f"  subgraph cluster_{i} {{ label={_quoted(task)};")
        for node in graph.nodes:
            if node.task == task:
                style = "filled" if touched is None or node.id in touched else "filled,dashed"
                lines.append(
                    f"    {_quoted(node.id)} [label={_quoted(node.label)},"
                    f' shape={_SHAPES.get(node.kind, "box")}, style="{style}",'
                    f' fillcolor="{_COLOURS[node.kind]}", tooltip={_quoted(str(node.source))}];'
                )
        lines.append("  }")
    known = {node.id for node in graph.nodes}
    for edge in graph.edges:
        if {edge.start, edge.end} <= known:
            label = f" [label={_quoted(edge.label)}]" if edge.label else ""
            lines.append(f"  {_quoted(edge.start)} -> {_quoted(edge.end)}{label};")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def as_mermaid(graph: TaskGraph, touched: frozenset[str] | None = None) -> str:
    """Return the graph in the language of Mermaid."""
    names = {node.id: f"n{i}" for i, node in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for task in dict.fromkeys(node.task for node in graph.nodes):
        lines.append(f"  subgraph {task}")
        for node in graph.nodes:
            if node.task == task:
                text = node.label.replace('"', "#quot;").replace("\n", "<br/>")
                left, right = ("{", "}") if node.kind == "check" else ("[", "]")
                lines.append(f'    {names[node.id]}{left}"{text}"{right}')
        lines.append("  end")
    for edge in graph.edges:
        if edge.start in names and edge.end in names:
            label = f"|{edge.label}|" if edge.label else ""
            lines.append(f"  {names[edge.start]} -->{label} {names[edge.end]}")
    if touched is not None:
        missed = [names[node.id] for node in graph.nodes if node.id not in touched]
        lines.append("  classDef missed stroke-dasharray: 4 3")
        lines += [f"  class {','.join(missed)} missed"] if missed else []
    return "\n".join([*lines, ""])


def as_svg(graph: TaskGraph, touched: frozenset[str] | None = None) -> str:
    """Return the graph as a picture: a column a task, from above to below."""
    places, width, height = _layout(graph)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(graph.name)}</title>",
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    lines += [
        _arrow(places[edge.start], places[edge.end], edge.label)
        for edge in graph.edges
        if edge.start in places and edge.end in places
    ]
    for node in graph.nodes:
        is_missed = touched is not None and node.id not in touched
        lines.append(_box(node, places[node.id], is_missed=is_missed))
    return "\n".join([*lines, "</svg>", ""])


_Place = tuple[int, int, int]  # left, top, height


def _layout(graph: TaskGraph) -> tuple[Mapping[str, _Place], int, int]:
    columns = {task: i for i, task in enumerate(dict.fromkeys(n.task for n in graph.nodes))}
    tops = dict.fromkeys(columns, _GAP)
    places: dict[str, _Place] = {}
    for node in graph.nodes:
        tall = _HEIGHT + _LINE * node.label.count("\n")
        depth = node.id.count(".") if node.kind == "step" else 0
        left = _GAP + columns[node.task] * (_WIDTH + 4 * _GAP) + depth * _GAP // 2
        places[node.id] = (left, tops[node.task], tall)
        tops[node.task] += tall + _GAP
    return places, len(columns) * (_WIDTH + 4 * _GAP) + _GAP, max(tops.values(), default=0) + _GAP


def _arrow(start: _Place, end: _Place, label: str) -> str:
    middle = _WIDTH // 2
    is_next = start[0] // (_WIDTH + 4 * _GAP) == end[0] // (_WIDTH + 4 * _GAP) and end[1] > start[1]
    if is_next and not label:
        x1, y1 = start[0] + middle, start[1] + start[2]
        x2, y2 = end[0] + middle, end[1]
        path = f"M{x1} {y1}L{x2} {y2}"
    else:
        x1, y1 = start[0] + _WIDTH, start[1] + start[2] // 2
        x2 = end[0] + _WIDTH if end[0] <= start[0] else end[0]
        y2 = end[1] + end[2] // 2
        bend = max(x1, x2) + _GAP
        path = f"M{x1} {y1}C{bend} {y1} {bend if end[0] <= start[0] else x2 - _GAP} {y2} {x2} {y2}"
    words = f'<text x="{x1 + 4}" y="{y1 - 3}" fill="#555">{escape(label)}</text>' if label else ""
    return f'<path d="{path}" fill="none" stroke="#777" marker-end="url(#to)"/>{words}'


def _box(node: GraphNode, place: _Place, *, is_missed: bool) -> str:
    left, top, tall = place
    dash = ' stroke-dasharray="4 3"' if is_missed else ""
    words = "".join(
        f'<tspan x="{left + 8}" dy="{_LINE if i else 0}">{escape(line[:36])}</tspan>'
        for i, line in enumerate(node.label.split("\n"))
    )
    return (
        f'<g><title>{escape(str(node.source))}</title><rect x="{left}" y="{top}" width="{_WIDTH}"'
        f' height="{tall}" rx="4" fill="{_COLOURS[node.kind]}" stroke="#444"{dash}/>'
        f'<text y="{top + 17}">{words}</text></g>'
    )


DRAWINGS: Mapping[str, Callable[[TaskGraph, frozenset[str] | None], str]] = {
    "dot": as_dot,
    "mermaid": as_mermaid,
    "svg": as_svg,
}
"""The forms of `bot graph --format`."""
