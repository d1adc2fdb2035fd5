import json
from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding import utilities
from llm.decoding.spec import UtilityName
from llm.decoding.utilities import UTILITIES, chrf, exact, slot_f1, token_f1, utility_matrix

TEXTS = st.text("ab \né😀", max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("xy"), JSON, max_size=4).map(json.dumps)


def slow_chrf(hypothesis: str, reference: str) -> float:
    """chrF by its formula, one n-gram after the other."""
    hypothesis, reference = "".join(hypothesis.split()), "".join(reference.split())
    if hypothesis == reference:
        return 1.0
    precisions, recalls = [], []
    for order in range(1, 7):
        bags = [
            Counter(text[i : i + order] for i in range(len(text) - order + 1))
            for text in (hypothesis, reference)
        ]
        if bags[0] and bags[1]:
            overlap = (bags[0] & bags[1]).total()
            precisions.append(overlap / bags[0].total())
            recalls.append(overlap / bags[1].total())
    precision = sum(precisions) / max(len(precisions), 1)
    recall = sum(recalls) / max(len(recalls), 1)
    return 5 * precision * recall / (4 * precision + recall) if precision else 0.0


def test_every_utility_has_its_name() -> None:
    assert set(UTILITIES) == set(get_args(UtilityName))


@given(st.sampled_from(get_args(UtilityName)), st.lists(TEXTS | OBJECTS, max_size=5))
def test_a_matrix_holds_the_utilities_of_pairs(name: UtilityName, texts: list[str]) -> None:
    one_by_one = [[UTILITIES[name](text, other) for other in texts] for text in texts]
    matrix = utility_matrix(name, texts)
    assert matrix.shape == (len(texts), len(texts))
    np.testing.assert_allclose(matrix, np.reshape(one_by_one, matrix.shape), rtol=1e-12)
    assert np.all((matrix >= 0) & (matrix <= 1 + 1e-12))
    assert np.all(np.diag(matrix) == 1)
    if name != "chrf":
        np.testing.assert_array_equal(matrix, matrix.T)


@given(TEXTS, TEXTS)
def test_chrf_is_its_formula(hypothesis: str, reference: str) -> None:
    assert chrf(hypothesis, reference) == pytest.approx(slow_chrf(hypothesis, reference), rel=1e-12)


def test_chrf_by_hand() -> None:
    """Orders 1 and 2: precisions 1 and 1, recalls 2/3 and 1/2; "ab" has no n-gram of order 3."""
    assert chrf("ab", "abc") == pytest.approx(7 / 11)  # 5 x 1 x 7/12 over 4 + 7/12
    assert chrf("abc", "ab") == pytest.approx(35 / 40)  # 5 x 7/12 x 1 over 4 x 7/12 + 1


def test_chrf_is_that_of_sacrebleu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two figures of its own tests, which are for beta 3."""
    monkeypatch.setattr(utilities, "BETA", 3.0)
    assert chrf(
        " risk assessment must be made of those who are qualified and expertise in the sector -"
        " these are the scientists .",
        "risk assessment has to be undertaken by those who are qualified and expert in that area -"
        " that is the scientists .",
    ) == pytest.approx(0.63361730303214769, rel=1e-12)
    assert chrf(
        " Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ",
        "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.",
    ) == pytest.approx(0.64130269831561459, rel=1e-12)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "value"),
    [("", "", 1), ("", "a", 0), ("a", "", 0), ("a", "b", 0), ("a b c", "abc", 1), (" ", "\n", 1)],
)
def test_chrf_of_little(hypothesis: str, reference: str, value: float) -> None:
    assert chrf(hypothesis, reference) == value


def test_lone_surrogates_are_characters() -> None:
    assert chrf("\ud800", "\ud800a") > 0


def test_exact_minds_all_but_the_borders() -> None:
    assert exact(" a b\n", "a b") == 1
    assert exact("a  b", "a b") == 0
    assert exact("A", "a") == 0


def test_token_f1_counts_words_and_signs() -> None:
    assert token_f1("The cat, the dog.", "the cat") == pytest.approx(2 * 2 / (6 + 2))
    assert token_f1("a a b", "a b b") == pytest.approx(2 / 3)
    assert token_f1("!", "?") == 0
    assert token_f1("", " ") == 1


@pytest.mark.parametrize(
    ("text", "other", "value"),
    [
        ('{"area": "north", "people": 2}', '{"people": 2, "area": "south"}', 1 / 2),
        ('{"a": {"b": 1, "c": 2}}', '{"a": {"b": 1}}', 2 / 3),
        ('{"a": [1, 2, 2]}', '{"a": [2, 1]}', 4 / 5),
        ('{"a": 1}', '{"a": 1.0}', 1),
        ('{"a": 1}', '{"a": true}', 0),
        ('{"a": 1}', '{"a": "1"}', 0),
        ('{"a": null}', '{"b": null}', 0),
        ("{}", "{ }", 1),
        ('{"a": {}}', '{"a": []}', 0),
        ('{"a": {}}', '{"a": "dict"}', 0),
        ('{"a": 1}', "a is 1", 0),
        ("a is 1", "a is 1 ", 1),
        ("[1]", "[1]", 1),
        ("[1]", "[1, 1]", 0),
        ('{"a": NaN}', '{"a": NaN}', 1),
        ('{"a": NaN}', '{"a":  NaN}', 0),
    ],
)
def test_slot_f1(text: str, other: str, value: float) -> None:
    assert slot_f1(text, other) == pytest.approx(value)


def test_hostile_json_is_a_text() -> None:
    deep = '{"a":' * 100_000
    assert slot_f1(deep, deep) == 1
    assert slot_f1(deep, "{}") == 0
    digits = '{"a": ' + "9" * 10_000 + "}"
    assert slot_f1(digits, digits) == 1
    wide = json.dumps({str(i): i for i in range(20_000)})
    assert slot_f1(wide, wide[:-1] + " }") == 0
