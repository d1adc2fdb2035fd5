import json
from pathlib import Path

import pytest

from llm.chat import Message
from rag.document import Chunk, Passage
from rag.errors import EvaluationSetError
from rag.evaluation_set import (
    EvaluationItem,
    Relevant,
    item_from_json,
    item_to_json,
    ranked_keys,
    read_set,
    relevant_keys,
    write_set,
)
from rag.metrics import recall_at_k, reciprocal_rank


def item(**changes: object) -> EvaluationItem:
    values = {
        "id": "1",
        "query": "how long does it bake?",
        "kind": "heading",
        "made_by": "hand",
        "relevant": (Relevant(uri="bread.md", start=10, end=30),),
    }
    return EvaluationItem(**(values | changes))  # type: ignore[arg-type]


def passage(uri: str, start: int, end: int, rank: int = 1) -> Passage:
    chunk = Chunk(start=start, end=end, text="x" * (end - start))
    return Passage(
        collection="c", document_id=uri, title=uri, uri=uri, chunk=chunk, score=1, rank=rank
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    items = (
        item(answers=("20 minutes", "twenty minutes")),
        item(
            id="2",
            relevant=(),
            answerable=False,
            held_out=("bread.md", "brot.md"),
            history=(Message(role="user", content="Brot?\u2028"),),
        ),
        item(id="3", relevant=(Relevant(uri="bread.md"),), answers=("x",)),
    )
    path = tmp_path / "set.jsonl"
    write_set(path, items)
    assert read_set(path) == items
    assert len(path.read_text(encoding="utf-8").split("\n")) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["set.jsonl"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"relevent": []}, "unknown key 'relevent'"),
        ({"query": 7}, "query must be a string"),
        ({"query": "  "}, "query is empty"),
        ({"relevant": []}, "has no judgment"),
        ({"answerable": False}, "names something relevant"),
        ({"answerable": "no"}, "answerable is true or false"),
        ({"relevant": [{"uri": "a", "start": 3}]}, "both start and end"),
        ({"relevant": [{"uri": "a", "start": 3, "end": 3}]}, "0 <= start < end"),
        ({"relevant": [{"uri": "a", "start": "3", "end": 4}]}, "numbers of bytes"),
        ({"relevant": ["a"]}, "has uri"),
        ({"held_out": ["bread.md"]}, "holds out 'bread.md'"),
        ({"history": [{"role": "system", "content": "x"}]}, "role of a turn"),
        ({"answer": 3}, "answer must be"),
    ],
)
def test_a_bad_line_is_told_with_its_number(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    good = item_to_json(item())
    path = tmp_path / "set.jsonl"
    path.write_text(f"{json.dumps(good)}\n\n{json.dumps({**good, 'id': '2', **change})}\n")
    with pytest.raises(EvaluationSetError, match=said) as caught:
        read_set(path)
    assert f"{path}:3: " in str(caught.value)


def test_ids_are_unique_and_files_are_told_when_they_are_none(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    line = json.dumps(item_to_json(item()))
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(EvaluationSetError, match=":2: id '1' stands in line 1 already"):
        read_set(path)
    path.write_text("{")
    with pytest.raises(EvaluationSetError, match=":1: no JSON"):
        read_set(path)
    path.write_text("\n")
    with pytest.raises(EvaluationSetError, match="no question"):
        read_set(path)
    path.write_bytes(b"\xff")
    with pytest.raises(EvaluationSetError, match="not UTF-8"):
        read_set(path)
    with pytest.raises(EvaluationSetError, match="cannot be read"):
        read_set(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="JSON object, got list"):
        item_from_json([])


def test_a_passage_stands_for_the_spans_that_it_shows() -> None:
    asked = item(
        relevant=(
            Relevant(uri="bread.md", start=10, end=30),
            Relevant(uri="bread.md", start=40, end=50),
            Relevant(uri="cake.md"),
        )
    )
    found = [
        passage("bread.md", 30, 40),  # between the two: shows neither
        passage("bread.md", 0, 45),  # both
        passage("bread.md", 20, 30),  # the first again: says nothing new
        passage("cake.md", 0, 5),
        passage("cake.md", 5, 9),
    ]
    ranked = ranked_keys(asked, found)
    assert len(ranked) == 4
    assert ranked[0] == ("bread.md", 30, 40)
    assert set(ranked[1:]) == relevant_keys(asked)
    assert reciprocal_rank(ranked, relevant_keys(asked)) == 0.5
    assert recall_at_k(ranked, relevant_keys(asked), 3) == pytest.approx(2 / 3)
