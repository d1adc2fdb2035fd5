"""The names in dialogues, and what is fitted on what, as the benchmark has it."""

import numpy as np

from benchmarks.rag_dstc11 import FOLDS, Context, folds_of
from benchmarks.rag_dstc11_entities import NamedEntities

NAMES = {
    ("hotel", 1): "ASHLEY HOTEL",
    ("hotel", 2): "WORTH HOUSE",
    ("restaurant", 1): "PIZZA HUT CITY CENTRE",
    ("restaurant", 2): "PIZZA HUT FEN DITTON",
    ("restaurant", 3): "ASK RESTAURANT",
    ("restaurant", 4): "FRANKIE AND BENNYS",
}


def test_names_are_found_without_what_all_have_and_where_they_are_misspelt() -> None:
    named = NamedEntities(NAMES)
    assert named.named_in("Is the Ashley any good?") == (("hotel", 1),)
    assert named.named_in("a house in the north, may I ask?") == ()
    assert named.named_in("the Ask restaurant") == (("restaurant", 3),)
    assert named.named_in("pizza hut in Fen Ditton, or Frankey and Benny's") == (
        ("restaurant", 2),
        ("restaurant", 4),
    )


def test_the_last_turn_with_a_name_says_what_is_spoken_of() -> None:
    named = NamedEntities(NAMES)
    turns = ["The Ashley, please.", "Worth House is nearer.", "Do they have wifi?"]
    assert named.last_named(turns) == (("hotel", 2),)
    assert named.last_named(["Hello."]) == ()


def test_contexts_that_begin_alike_share_a_fold() -> None:
    contexts = [
        Context(
            turns=(f"{'Hello' if i % 2 else ' HELLO'} {i // 2}", "x"),
            is_asking=False,
            gold=frozenset(),
        )
        for i in range(60)
    ]
    folds = folds_of(contexts, 3)
    assert (folds[::2] == folds[1::2]).all()
    assert set(folds.tolist()) == set(range(FOLDS))
    assert np.bincount(folds).min() >= 8
