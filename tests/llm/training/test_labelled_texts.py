"""Formats, choices and splits of labelled texts, and what is refused."""

import json
from pathlib import Path

import pytest

from llm.errors import TrainingDataError
from llm.training.labelled_texts import DataFormat, LabelledText, part_of, read_labelled
from llm.training.recipe import TextChoice

GOOD, BAD = (
    LabelledText(text="good, it is", is_positive=True),
    LabelledText(text="bad", is_positive=False),
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "good, it is\t1\nbad\t0\n"),
        ("a.tsv", "good, it is  \t\t1\r\n\r\nbad\t0"),
        ("a.csv", 'text,label\n"good, it is",1\nbad,0\n'),
        ("a.jsonl", '{"text": "good, it is", "label": 1}\n\n{"text": "bad", "label": "0"}\n'),
    ],
)
def test_each_format_gives_the_same_texts(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read_labelled([path], label="1") == [GOOD, BAD]
    assert read_labelled([tmp_path], label="1", against="0") == [GOOD, BAD]


def test_a_folder_gives_its_data_files_and_not_its_readme(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("bad\t0\n")
    (tmp_path / "a.txt").write_text("good, it is\t1\n")
    (tmp_path / "readme.txt").write_text("No tab here.\n")
    (tmp_path / "c.md").write_text("Nor here.\n")
    assert read_labelled([tmp_path], label="1") == [GOOD, BAD]


def test_without_against_all_other_labels_count_and_a_text_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ta\ntwo\tb\nthree\tc\none\tb\n")
    found = read_labelled([path], label="a")
    assert [(one.text, one.is_positive) for one in found] == [
        ("one", True),
        ("two", False),
        ("three", False),
    ]
    assert len(read_labelled([path], label="a", against="c")) == 2


def test_foreign_texts_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Tệ\t1\nA long text about a small café in the middle of Paris.\t1\nbad\t0\n")
    assert len(read_labelled([path], label="1")) == 3
    kept = read_labelled([path], label="1", is_ascii_only=True)
    assert [one.text for one in kept] == [
        "A long text about a small café in the middle of Paris.",
        "bad",
    ]


def test_acts_of_dialogues_are_labels_of_system_turns_with_that_act_alone(tmp_path: Path) -> None:
    def turn(speaker: str, words: str, *acts: str) -> dict[str, object]:
        actions = [{"act": act} for act in acts]
        return {"speaker": speaker, "utterance": words, "frames": [{"actions": actions}]}

    turns = [
        turn("USER", "where?", "REQUEST"),
        turn("SYSTEM", "When?", "REQUEST", "REQUEST"),
        turn("SYSTEM", "At nine.", "INFORM"),
        turn("SYSTEM", "At nine, or when?", "INFORM", "REQUEST"),
        turn("SYSTEM", "Bye.", "GOODBYE"),
    ]
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"turns": turns}) + "\n")
    found = read_labelled([path], label="REQUEST", against="INFORM", data_format="sgd")
    assert [(one.text, one.is_positive) for one in found] == [("When?", True), ("At nine.", False)]


@pytest.mark.parametrize(
    ("content", "data_format", "said"),
    [
        ("no tab\n", "tsv", "line 1 has no tab"),
        ("a\t1\nb\t2\n", "tsv", "no text has the label '0'; there are: 1, 2"),
        ("a,b,c\n", "csv", "is no csv file"),
        ("{\n", "jsonl", "is no jsonl file"),
        ('{"text": "a"}\n', "jsonl", "'label'"),
        ("[1]\n", "jsonl", "is no jsonl file"),
        ("{}\n", "sgd", "'turns'"),
        ("\n", "tsv", "there are: none"),
        (b"\xff\xfe\t1\n", "tsv", "is no tsv file"),
    ],
)
def test_what_is_no_labelled_text_is_told(
    tmp_path: Path, content: str | bytes, data_format: DataFormat, said: str
) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TrainingDataError, match=said):
        read_labelled([path], label="1", against="0", data_format=data_format)


def test_texts_of_one_kind_alone_or_a_missing_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\t1\nb\t1\n")
    with pytest.raises(TrainingDataError, match="only one kind"):
        read_labelled([path], label="1")
    with pytest.raises(TrainingDataError, match="there is no file"):
        read_labelled([tmp_path / "b.txt"], label="1")


def test_the_part_of_a_text_depends_on_its_words_and_the_purpose_alone() -> None:
    assert part_of("A  nice day") == part_of("a nice DAY ")
    assert part_of("a nice day") != part_of("a nice day", "judge")
    parts = [part_of(f"text {i}") for i in range(2000)]
    assert all(0 <= part < 1 for part in parts)
    assert 0.57 < sum(part < 0.6 for part in parts) / 2000 < 0.63


def test_a_share_and_a_bound_leave_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"text {i}\t{int(i % 4 == 0)}\n" for i in range(400)))
    whole = TextChoice(paths=(path,), label="1").texts()
    part = TextChoice(paths=(path,), label="1", share=0.5).texts()
    assert len(whole) == 400
    assert set(part) == {one for one in whole if part_of(one.text) < 0.5}
    few = TextChoice(paths=(path,), label="1", most=60).texts()
    assert sum(one.is_positive for one in few) == 30
    assert len(few) == 60
    assert few == TextChoice(paths=(path,), label="1", most=60).texts()
    with pytest.raises(TrainingDataError, match="at least 40"):
        TextChoice(paths=(path,), label="1", share=0.01).texts()


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.1}, {"most": 10}, {"paths": ()}])
def test_choices_without_meaning_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"share|at least|no file"):
        TextChoice(**{"paths": (tmp_path,), "label": "1", **wrong})  # type: ignore[arg-type]
