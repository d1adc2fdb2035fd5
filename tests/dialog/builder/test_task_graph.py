"""The drawing of a bot: its nodes, its ways, and the three forms of text."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from dialog.bot.loading import load_bot
from dialog.builder.graph_text import DRAWINGS, as_dot, as_mermaid, as_svg
from dialog.builder.task_graph import TaskGraph, graph_of
from tests.dialog.bot.harbour import harbour_in


def graph(tmp_path: Path) -> TaskGraph:
    return graph_of(load_bot(harbour_in(tmp_path / "harbour")))


def test_a_graph_has_a_node_for_all_that_happens_with_its_line(tmp_path: Path) -> None:
    drawn = graph(tmp_path)
    book = {node.id: node for node in drawn.nodes if node.task == "book_hotel"}
    assert [node.kind for node in book.values()] == [
        "task", *["slot"] * 7, "check", "confirm", *["step"] * 3, "end",
    ]  # fmt: skip
    assert book["book_hotel"].label == "book_hotel\nneeds logged_in"
    assert book["book_hotel.smoking"].label == "smoking: bool\nwhen hotel.smoking_rooms"
    assert str(book["book_hotel:check:0"].source) == "bot.yaml:43:9"


def test_edges_lead_back_where_it_is_asked_again_and_on_to_other_tasks(tmp_path: Path) -> None:
    drawn = graph(tmp_path)
    named = {(e.start, e.end, e.label) for e in drawn.edges if e.label}
    assert ("book_hotel:check:0", "book_hotel.check_in", "else") in named
    assert ("book_hotel:do:1", "book_hotel:do:1.yes.0", "yes") in named
    assert ("find_hotel:done", "book_hotel", "next") in named
    assert ("find_hotel.check_in", "book_hotel.check_in", "same") in named


def test_all_forms_draw_all_nodes_and_dash_what_no_test_touched(tmp_path: Path) -> None:
    drawn = graph(tmp_path)
    touched = frozenset({"find_hotel", "find_hotel.city"})
    dot, mermaid = as_dot(drawn, touched), as_mermaid(drawn, touched)
    assert dot.count("tooltip=") == len(drawn.nodes)
    assert dot.count("filled,dashed") == len(drawn.nodes) - 2
    assert dot.count("{") == dot.count("}")
    assert len(re.findall(r"^ {4}n\d+[\[{]", mermaid, re.MULTILINE)) == len(drawn.nodes)
    root = ET.fromstring(as_svg(drawn, touched))
    boxes = root.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(drawn.nodes)
    assert sum("stroke-dasharray" in box.attrib for box in boxes) == len(drawn.nodes) - 2
    assert set(DRAWINGS) == {"dot", "mermaid", "svg"}


def test_a_picture_is_well_formed_whatever_the_words(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text(
        'bot: "A <b> & \\"c\\""\ntasks: {a: {slots: {n: {type: integer}, d: {type: date,'
        ' when: "n < 3 and n > 1"}}, done: Done.}}\n'
    )
    drawn = graph_of(load_bot(tmp_path))
    ET.fromstring(as_svg(drawn))
    assert '\\"c\\"' in as_dot(drawn)
