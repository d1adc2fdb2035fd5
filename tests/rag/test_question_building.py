import re

import pytest

from rag.corpus import Corpus
from rag.errors import EvaluationSetError
from rag.evaluation_set import EvaluationItem
from rag.question_building import RULE_KINDS, build_set
from rag.question_makers import GAP
from tests.rag.question_corpus import TEXTS, stored


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(stored())


def made(corpus: Corpus, kind: str, *, num: int = 50) -> tuple[EvaluationItem, ...]:
    return build_set(corpus, num=num, kinds=[kind], seed=0).items


def shown(item: EvaluationItem) -> list[str]:
    """The texts of what is relevant."""
    return [
        " ".join(TEXTS[one.uri].encode()[one.start : one.end].decode().split())
        for one in item.relevant
    ]


def test_a_heading_asks_for_the_text_below_it(corpus: Corpus) -> None:
    items = made(corpus, "heading")
    by_query = {item.query: item for item in items}
    assert "Oven O3: Baking bread" in by_query
    (text,) = shown(by_query["Oven O3: Baking bread"])
    assert "Heat the oven" in text
    assert "Let the oven cool" not in text


def test_a_gap_is_filled_by_its_answer(corpus: Corpus) -> None:
    items = made(corpus, "cloze")
    assert len(items) >= 6
    for item in items:
        (answer,) = item.answers
        assert GAP in item.query
        assert not re.search(rf"\b{re.escape(answer)}\b", item.query)
        assert item.query.replace(GAP, answer) in shown(item)


def test_a_name_is_asked_for_by_what_it_is_or_what_is_said_of_it(corpus: Corpus) -> None:
    items = {item.query: item for item in made(corpus, "entity")}
    assert "What is Saltmarsh Mill?" in items
    assert "supplier of flour" in shown(items["What is Saltmarsh Mill?"])[0]
    (about,) = [query for query in items if query.startswith("What about Ada Blackwood and ")]
    assert items[about].relevant[0].uri == "kettle.md"


def test_a_trap_is_right_in_one_of_the_documents_that_are_alike(corpus: Corpus) -> None:
    (item,) = made(corpus, "trap")
    right = item.relevant[0].uri
    assert right in {"kettle.md", "steamer.md"}
    title, _, gapped = item.query.partition(": ")
    assert title == ("Kettle K1" if right == "kettle.md" else "Steamer S2")
    assert gapped.replace(GAP, item.answers[0]) == shown(item)[0]


def test_an_unanswerable_question_holds_out_all_that_could_answer_it(corpus: Corpus) -> None:
    items = made(corpus, "unanswerable")
    assert {item.answerable for item in items} == {False}
    for item in items:
        assert item.relevant == ()
        assert 1 <= len(item.held_out) < len(TEXTS)
    (mill,) = [item for item in items if "Saltmarsh" in item.query]
    assert mill.held_out == ("oven.md",)


def test_the_same_seed_makes_the_same_set_and_kinds_do_not_mix(corpus: Corpus) -> None:
    first = build_set(corpus, num=20, kinds=RULE_KINDS, seed=1)
    assert build_set(Corpus(stored()), num=20, kinds=RULE_KINDS, seed=1) == first
    assert len({item.id for item in first.items}) == len(first.items)
    assert all(item.made_by for item in first.items)
    cloze = [item for item in first.items if item.kind == "cloze"]
    alone = build_set(corpus, num=len(cloze), kinds=["cloze"], seed=1).items
    assert list(alone) == cloze
    assert first.short["trap"] == (1, 4)


def test_documents_are_asked_about_in_turn(corpus: Corpus) -> None:
    items = build_set(corpus, num=3, kinds=["cloze"], seed=0).items
    assert {item.relevant[0].uri for item in items} == set(TEXTS)


def test_what_cannot_be_built_is_told(corpus: Corpus) -> None:
    with pytest.raises(ValueError, match="got riddle"):
        build_set(corpus, num=5, kinds=["riddle"], seed=0)
    with pytest.raises(ValueError, match="at least 2"):
        build_set(corpus, num=1, kinds=["cloze", "heading"], seed=0)
    with pytest.raises(EvaluationSetError, match="0 documents yield no question"):
        build_set(Corpus([]), num=5, kinds=["cloze"], seed=0)
    one = Corpus(stored()[:1])
    with pytest.raises(EvaluationSetError, match="second document"):
        build_set(one, num=5, kinds=["unanswerable"], seed=0)


def test_a_sentence_that_stands_twice_is_right_in_both_places() -> None:
    documents = stored()
    twice = [
        *documents,
        documents[2].__class__(
            uri="copy.md",
            title="A copy",
            media_type=documents[2].media_type,
            source_sha256=documents[2].source_sha256,
            text=documents[2].text,
            items=documents[2].items,
            vectors=documents[2].vectors,
        ),
    ]
    items = build_set(Corpus(twice), num=40, kinds=["cloze"], seed=0).items
    (loaf,) = [item for item in items if "loaf" in [*item.answers, *item.query.split()]]
    assert {one.uri for one in loaf.relevant} == {"oven.md", "copy.md"}
