import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.answers import ask, figures, table_row
from benchmarks.questions import Judgement, Question, judge, plain, read_questions
from dialog.reply import EvidenceFound, Reply, Timings, TurnRequest
from llm.chat import TextDelta, Usage
from rag.citations import Citation

QUESTION = Question(
    text="How do I leave a loop?", topics=("break",), key_phrases=("nearest enclosing loop",)
)
OTHER = Question(text="How far is the moon?")


def reply(text: str, *uris: str, abstained: bool = False) -> Reply:
    return Reply(
        text=text,
        citations=tuple(
            Citation(
                id=i,
                collection="python",
                document_id=str(i),
                title="",
                uri=uri,
                start=0,
                end=1,
                quote="x",
                score=0.5,
            )
            for i, uri in enumerate(uris, start=1)
        ),
        finish_reason="stop",
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        timings=Timings(total_s=2.0),
        seed=7,
        abstained=abstained,
    )


class OneReply:
    """An agent that always gives the same reply."""

    def __init__(self, *items: EvidenceFound | TextDelta | Reply) -> None:
        self.items = items
        self.requests: list[TurnRequest] = []

    def stream(self, request: TurnRequest) -> Iterator[EvidenceFound | TextDelta | Reply]:
        self.requests.append(request)
        yield from self.items


def test_a_question_is_asked_as_one_turn_in_its_collection() -> None:
    agent = OneReply(TextDelta(text="It"), reply("It ends.", "python/topics/break"))
    row = ask(agent, QUESTION, "python", seed=3)
    assert row.has_right_topic
    assert agent.requests[0].collection == "python"
    assert agent.requests[0].params.seed == 3
    assert agent.requests[0].messages[0].content == QUESTION.text


def test_a_turn_without_a_reply_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="one reply, got 0"):
        ask(OneReply(), QUESTION, "python", seed=0)


def test_the_key_phrase_is_found_across_lines_quotes_and_marks() -> None:
    text = '> It terminates the "nearest\n> enclosing" [2] Loop.'
    assert judge(QUESTION, reply(text)).has_key_phrase
    assert not judge(QUESTION, reply("It terminates the loop.")).has_key_phrase
    assert plain("*n* >> 3\N{RIGHT SINGLE QUOTATION MARK}s “x”") == "n >> 3's x"


def test_the_first_citation_and_any_citation_are_told_apart() -> None:
    row = judge(QUESTION, reply("x", "python/topics/while", "python/topics/break"))
    assert row.has_right_topic
    assert not row.is_first_right
    assert not judge(QUESTION, reply("x", "python/library/break")).has_right_topic
    assert not judge(QUESTION, reply("x", "python/topics/outbreak")).has_right_topic
    library = Question(text="?", topics=("library/json",), key_phrases=("x",))
    assert judge(library, reply("x", "python/library/json")).is_first_right


def test_totals_count_each_kind_of_question_by_itself() -> None:
    rows: list[Judgement] = [
        judge(QUESTION, reply("The nearest enclosing loop.", "python/topics/break")),
        judge(QUESTION, reply("I found nothing.", abstained=True)),
        judge(OTHER, reply("I found nothing.", abstained=True)),
        judge(OTHER, reply("Far.", "python/topics/break")),
    ]
    by_name = {figure.name: figure for figure in figures(rows)}
    assert by_name["right topic cited"].value == 0.5
    assert by_name["right topic cited"].met is False
    assert by_name["key phrase in the answer"].value == 0.5
    assert by_name["answerable, not abstained"].value == 0.5
    assert by_name["unanswerable, told so"].value == 0.5
    assert by_name["seconds a turn, median"].value == 2.0
    assert all(figure.met is None for figure in figures(rows, has_targets=False))


def test_a_table_row_shows_what_was_cited_and_what_was_missed() -> None:
    right = judge(QUESTION, reply("The nearest enclosing loop.", "python/topics/break"))
    assert table_row(right) == "| How do I leave a loop? | break | yes | yes | yes | no | 2.0 |"
    told = judge(OTHER, reply("Nothing.", abstained=True))
    assert table_row(told) == "| How far is the moon? | none |  |  |  | yes | 2.0 |"


def test_a_file_that_is_no_question_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps({"answerable": [{"question": "x"}]}))
    with pytest.raises(ValueError, match="'topics'"):
        read_questions(path)
