from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.document import Chunk, Passage
from rag.quotes import MAX_QUOTES, Quote, choose_quotes
from rag.testing import HashingEmbedder

QUESTION = "When is the cleanup handler executed?"
ANSWER = "The cleanup handler is executed when the block ends."
NEAR = [
    "The cleanup handler is executed when an error occurs.",
    "The cleanup handler is executed when a loop breaks.",
    "The cleanup handler is executed when the function returns.",
    "The cleanup handler is executed when the generator closes.",
    "The cleanup handler is executed when the program exits.",
]
FAR = "Bananas grow in warm countries near the sea."


def passage(
    text: str, *, document: str = "one", start: int = 0, score: float = 0.5, rank: int = 1
) -> Passage:
    return Passage(
        collection="texts",
        document_id=document,
        title="Handlers",
        uri=f"docs/{document}.txt",
        chunk=Chunk(start=start, end=start + len(text.encode()), text=text),
        score=score,
        rank=rank,
    )


def choose(
    passages: Sequence[Passage],
    question: str = QUESTION,
    term_weights: Mapping[str, float] | None = None,
) -> list[Quote]:
    return choose_quotes(
        question,
        passages,
        embedder=HashingEmbedder(dim=1024),
        term_weights=term_weights or {},
        priors={},
    )


def texts(quotes: Sequence[Quote]) -> list[str]:
    return [quote.sentence.text for quote in quotes]


def test_the_best_sentence_comes_first_wherever_it_stands() -> None:
    first = passage(f"{FAR} The handler has a name of its own.")
    second = passage(f"The block has a handler of its own. {ANSWER}", document="two", rank=2)
    chosen = choose([first, second])
    assert chosen[0].sentence.text == ANSWER
    assert chosen[0].passage is second
    assert chosen[0].score == max(quote.score for quote in chosen)


def test_what_follows_the_best_stands_in_the_order_of_its_passage() -> None:
    chosen = choose([passage(f"{NEAR[0]} {NEAR[1]} {QUESTION}")])
    assert texts(chosen) == [QUESTION, NEAR[0], NEAR[1]]


def test_sentences_of_one_passage_stand_together() -> None:
    passages = [
        passage(f"{QUESTION} {NEAR[0]}"),
        passage(f"{NEAR[1]} {NEAR[2]}", document="two", rank=2),
    ]
    assert [quote.passage.document_id for quote in choose(passages)] == ["one", "one", "two", "two"]


def test_at_most_three_sentences_of_one_document_are_chosen() -> None:
    one = [
        passage(" ".join(NEAR[:2])),
        passage(" ".join(NEAR[2:4]), start=500, rank=2),
    ]
    assert len(choose(one)) == 3
    other = passage(NEAR[4], document="two", rank=3)
    chosen = choose([*one, other])
    assert len(chosen) == MAX_QUOTES == 4
    assert sum(quote.passage.document_id == "one" for quote in chosen) == 3


def test_no_more_than_the_bound_are_chosen_of_many_documents() -> None:
    passages = [passage(text, document=text[-12:]) for text in (*NEAR, ANSWER)]
    assert len(choose(passages)) == MAX_QUOTES


def test_a_sentence_far_behind_the_best_is_left_out() -> None:
    assert texts(choose([passage(f"{ANSWER} {FAR}")])) == [ANSWER]


def test_a_sentence_alone_is_chosen_however_far_it_is() -> None:
    assert texts(choose([passage(FAR)])) == [FAR]


def test_the_same_sentence_is_quoted_once() -> None:
    passages = [
        passage(ANSWER),
        passage(ANSWER.replace(" is ", "\n  is "), document="two", rank=2),
    ]
    chosen = choose(passages)
    assert texts(chosen) == [ANSWER]
    assert chosen[0].passage.document_id == "one"


def test_of_equal_sentences_the_one_in_the_better_passage_is_quoted() -> None:
    passages = [passage(ANSWER, score=0.4), passage(ANSWER, document="two", score=0.8, rank=2)]
    assert [quote.passage.document_id for quote in choose(passages)] == ["two"]


def test_a_rare_term_of_the_question_counts() -> None:
    question = "Which sea has it?"
    text = "The Baltic basin has less salt. The Arctic basin has less salt."
    plain, weighed = (
        {quote.sentence.text: quote.score for quote in choose([passage(text)], question, weights)}
        for weights in ({}, {"arctic": 5.0, "less": 0.1})
    )
    arctic, baltic = "The Arctic basin has less salt.", "The Baltic basin has less salt."
    assert weighed[arctic] - plain[arctic] > weighed[baltic] - plain[baltic] > 0


def test_a_sentence_that_only_leads_to_the_answer_stands_back() -> None:
    # The same marks in both, so that their vectors are equal.
    saying = "Thus: the cleanup handler is executed."
    leading = "Thus. the cleanup handler is executed:"
    scores = {
        quote.sentence.text: quote.score
        for quote in choose([passage(leading), passage(saying, document="two", rank=2)])
    }
    assert scores[leading] < scores[saying]


def test_the_signature_above_a_sentence_counts_as_its_context() -> None:
    text = (
        "object.__exit__(self)\n\n   Leaves the context that was entered before.\n\n"
        "object.__hash__(self)\n\n   Leaves the value that was computed before.\n"
    )
    chosen = choose([passage(text)], "What does object.__hash__ do?")
    assert chosen[0].sentence.text == "Leaves the value that was computed before."


@pytest.mark.parametrize(
    "passages",
    [
        [],
        [passage("A heading\n*********\n"), passage("# Another", document="two", rank=2)],
    ],
)
def test_without_a_text_to_quote_nothing_is_chosen_or_embedded(passages: list[Passage]) -> None:
    embedder = HashingEmbedder()
    assert choose_quotes(QUESTION, passages, embedder=embedder, term_weights={}, priors={}) == []
    assert embedder.num_encoded == 0


def test_code_alone_is_quoted_by_its_head() -> None:
    assert texts(choose([passage("x = compute(1)\ny = compute(2)\n")])) == [
        "x = compute(1) y = compute(2)"
    ]


def test_a_citation_is_the_verbatim_span_of_its_document() -> None:
    before = "Préface naïve: 茶.\n\n"
    body = "The cleanup “handler” is executed à côté.\n\nThe cleanup\n  handler is executed: ü."
    document = (before + body).encode()
    chosen = choose([passage(body, start=len(before.encode()))])
    assert len(chosen) == 2
    for number, quote in enumerate(chosen, start=7):
        citation = quote.citation(number)
        assert citation.id == number
        assert document[citation.start : citation.end].decode() == citation.quote
        assert " ".join(citation.quote.split()) == quote.sentence.text
        assert (citation.collection, citation.document_id) == ("texts", "one")
        assert (citation.title, citation.uri) == ("Handlers", "docs/one.txt")
        assert citation.score == quote.score
    assert any("\n  " in quote.citation(1).quote for quote in chosen)


@given(
    st.lists(
        st.lists(st.sampled_from([*NEAR, ANSWER, FAR, "x = 1", "Ä ö ü ß."]), min_size=1),
        max_size=5,
    )
)
def test_the_bounds_hold_for_any_passages(bodies: list[list[str]]) -> None:
    passages = [
        passage(" ".join(body), document=str(number % 2), start=10_000 * number, rank=number + 1)
        for number, body in enumerate(bodies)
    ]
    chosen = choose(passages)
    assert len(chosen) <= MAX_QUOTES
    assert len(set(texts(chosen))) == len(chosen)
    for document in ("0", "1"):
        assert sum(quote.passage.document_id == document for quote in chosen) <= 3
    if chosen:
        assert chosen[0].score == max(quote.score for quote in chosen)
