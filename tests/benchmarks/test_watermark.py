"""The benchmark of watermarks, and what its attacks leave of a mark."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import Figure
from benchmarks.watermark import (
    ATTACKED_TOKENS,
    attack_figures,
    calibration,
    human_texts,
    null_p_values,
)
from benchmarks.watermark_attacks import (
    attacks,
    delete,
    insert,
    paste,
    replace,
    retokenise,
    swap_words,
    synonyms,
    truncate,
)
from benchmarks.watermark_simulation import Simulation, step_probs
from llm.watermark.contexts import Seeding
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.prf import sub_key
from llm.watermark.scheme import Scheme
from llm.watermark.unigram import Unigram

HUMAN = list(range(900, 1000))
SECRET = bytes(16)


def _surviving(scheme: Scheme, rate: float) -> float:
    """Return the share of the coins of a long text that are still there after replacements."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 50_000, 4000)
    edited = np.array(replace(tokens.tolist(), rate, rng, HUMAN))
    key = sub_key(SECRET, scheme.label, 0)[None]
    before, after = scheme.score(tokens, key), scheme.score(edited, key)
    both = (before.coins == after.coins) & before.is_scored & (tokens == edited)
    return float(both.sum() / before.is_scored.sum())


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("width", [0, 1, 4])
def test_replacements_leave_the_share_that_the_context_predicts(rate: float, width: int) -> None:
    """A token counts as before if it and its h context tokens are unchanged: (1 - rate)^(h + 1)."""
    scheme: Scheme = Unigram(vocabulary_size=50_000)
    if width:
        scheme = GreenLists(seeding=Seeding(width=width))
    assert _surviving(scheme, rate) == pytest.approx((1 - rate) ** (width + 1), abs=0.03)


def test_stronger_edits_leave_less_of_a_mark() -> None:
    scheme = Gumbel(num_sub_keys=1)
    simulation = Simulation(scheme, 20, seed=3)
    for _ in range(100):
        simulation.step(step_probs(1.5, 20, simulation.rng))
    edits = {attack.name: attack.edit for attack in attacks(HUMAN)}
    for name in ("delete", "insert", "replace"):
        evidence = []
        for rate in ("none", f"{name} 10%", f"{name} 20%", f"{name} 30%"):
            totals = []
            for tokens, key in simulation.pairs():
                rng = np.random.default_rng(4)
                edited = np.array(edits[rate](tokens.tolist(), rng), np.int64)
                scores = scheme.score(edited, key[None])
                totals.append(float((scores.totals() - scores.counts())[0]))
            evidence.append(np.mean(totals))
        assert evidence == sorted(evidence, reverse=True)
        assert evidence[0] > 1.5 * evidence[3]


def test_edits_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    tokens = list(range(400))
    assert len(delete(tokens, 0.25, rng)) == pytest.approx(300, abs=40)
    longer = insert(tokens, 0.25, rng, HUMAN)
    assert [token for token in longer if token < 400] == tokens
    assert len(longer) == pytest.approx(500, abs=40)
    assert truncate(tokens, 0.5) == tokens[:200]
    pasted = paste(tokens, HUMAN, rng)
    at = pasted.index(0)
    assert pasted[at : at + 400] == tokens
    assert len(pasted) == 500
    for attack in attacks(HUMAN):
        assert attack.edit(list(tokens), np.random.default_rng(1))


def test_words_are_swapped_for_synonyms_and_back() -> None:
    rng = np.random.default_rng(0)
    text = "Begin the big job; HTML stays."
    swapped = swap_words(text, 1.0, rng)
    assert swapped == "Start the large task; HTML stays."
    assert swap_words(text, 0.0, rng) == text
    words = synonyms()
    assert all(words[word] != word for word in words)


def test_retokenising_goes_through_the_text() -> None:
    assert retokenise([1, 2], lambda ids: "".join(map(str, ids)), lambda text: [int(text)]) == [12]


def test_texts_are_read_from_both_data_sets(tmp_path: Path) -> None:
    (tmp_path / "wikitext2").mkdir()
    (tmp_path / "sgd").mkdir()
    (tmp_path / "wikitext2" / "valid.txt").write_text("short\n" + "word " * 400 + "\n")
    dialogue = {"turns": [{"speaker": "USER", "utterance": "hi"}, {"speaker": "SYSTEM"}]}
    (tmp_path / "sgd" / "dev_600.jsonl").write_text(json.dumps(dialogue) + "\n")
    texts = human_texts(tmp_path, lambda text: list(text.encode()), 5)
    assert {kind: len(given) for kind, given in texts.items()} == {
        "WikiText-2": 1,
        "SGD user turns": 1,
        "repetitive": 1,
    }
    assert bytes(texts["SGD user turns"][0].tolist()) == b"hi"


def test_null_p_values_are_one_for_each_key() -> None:
    texts = [np.arange(60), np.arange(60) % 7]
    p = null_p_values(GreenLists(), texts, 700, 0)
    assert len(p) == 700
    assert 0 <= p.min() < 0.05
    assert 0.95 < p.max() <= 1
    np.testing.assert_array_equal(p, null_p_values(GreenLists(), texts, 700, 0))


@pytest.mark.slow
def test_attacks_are_measured_for_each_scheme() -> None:
    rows = attack_figures(np.arange(ATTACKED_TOKENS), 3, 0)
    assert {row.value for row in rows if row.name == "attack, gumbel, none"} == {1.0}
    assert len({row.name for row in rows}) == len(rows)


def test_the_largest_error_of_a_prediction_is_told() -> None:
    rows = [
        Figure(name="a", value=0.5, unit="", baseline=0.52),
        Figure(name="b", value=0.9, unit="", baseline=0.8),
        Figure(name="c", value=0.1, unit=""),
    ]
    assert calibration(rows, 10**9).value == pytest.approx(0.1, abs=1e-3)
    assert calibration(rows, 10**9).met is False
    assert calibration(rows, 400).value == pytest.approx(0.1 - 2 * 0.02)
    assert calibration(rows, 16).met is True
