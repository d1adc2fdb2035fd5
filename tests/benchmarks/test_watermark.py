"""The benchmark of watermarks, and what its attacks leave of a mark."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import Figure
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
from benchmarks.watermark_generations import Reply, log_p_values
from benchmarks.watermark_kept import KeptReplies
from benchmarks.watermark_null import human_texts, null_figures, null_p_values
from benchmarks.watermark_power import allowed, calibration
from benchmarks.watermark_price import distortion_figures, text_probs, total_variation
from benchmarks.watermark_robustness import kept_runs, simulated_attack_figures
from benchmarks.watermark_simulation import Simulation
from benchmarks.watermark_step import step_figures
from llm.watermark.contexts import Seeding
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import KeyRing, WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.marker import Marker
from llm.watermark.prf import sub_key
from llm.watermark.scheme import Scheme
from llm.watermark.step_probs import step_probs
from llm.watermark.unigram import Unigram
from tests.llm.tiny_engine import tiny_engine

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
    rows = list(simulated_attack_figures(range(300), 3, 0, {"Gumbel": Gumbel()}))
    assert {row.value for row in rows if row.name == "attack, Gumbel, none"} == {1.0}
    assert len({row.name for row in rows}) == len(rows)


def test_the_largest_error_of_a_prediction_is_told() -> None:
    rows = [
        Figure(name="a", value=0.5, unit="", baseline=0.52),
        Figure(name="b", value=0.9, unit="", baseline=0.8),
        Figure(name="c", value=0.1, unit=""),
    ]
    assert calibration("x", rows, 10**9).value == pytest.approx(0.1, abs=1e-3)
    assert calibration("x", rows, 10**9).met is False
    assert calibration("x", rows, 400).value == pytest.approx(0.1 - 2 * 0.02)
    assert calibration("x", rows, 16).met is True
    assert calibration("x", rows, 16).spread == pytest.approx((0.06, 0.1))


def test_a_share_may_differ_from_the_design_s_by_their_errors() -> None:
    assert allowed(0.5, 0.5, 400) == pytest.approx(3 * 0.0433 + 0.005, abs=1e-3)
    assert allowed(1.0, 1.0, 400) < 0.02


@pytest.mark.slow
def test_unmarked_texts_keep_the_promises_of_their_p_values() -> None:
    """All schemes and calls, with few keys; the benchmark takes 10,000."""
    rng = np.random.default_rng(5)
    texts = {
        "WikiText-2": [rng.integers(0, 40_000, 120) for _ in range(4)],
        "SGD user turns": [rng.integers(0, 40_000, 90)],
        "repetitive": [np.arange(120) % 19],
    }
    rows = list(null_figures(texts, 3, num_keys=60))
    assert not [row.name for row in rows if row.met is False]
    assert len({row.name for row in rows}) == len(rows)


def test_scoring_once_tells_what_the_detector_tells_of_each_beginning() -> None:
    key = WatermarkKey(name="a", secret=SECRET)
    tokens = np.random.default_rng(2).integers(0, 30, 80).tolist()  # contexts repeat
    for scheme in (Gumbel(), GreenLists(), Unigram(vocabulary_size=997)):
        told = log_p_values(scheme, key, tokens, [20, 50, 80])
        detector = Detector(scheme, [key], least_scored=1)
        for length, log_p in zip((20, 50, 80), told, strict=True):
            text = Text(token_ids=tuple(tokens[:length]))
            assert detector.detect(text).log_p_value == pytest.approx(log_p)


@pytest.mark.slow
def test_a_mark_that_is_taken_again_for_a_repeated_context_distorts_the_model() -> None:
    """And one that is not does not, over 1,500 keys."""
    assert text_probs().sum() == pytest.approx(1)
    assert total_variation(text_probs() * 100, text_probs()) == pytest.approx(0)
    rows = {row.name.split(":")[0]: row for row in distortion_figures(1500, 1)}
    for name in ("Gumbel", "SynthID"):
        assert rows[f"distortion, {name}"].met is True
    again = rows["distortion, Gumbel, repeated contexts marked again"]
    assert again.value > 2 * rows["distortion, Gumbel"].value


def test_kept_runs_are_those_of_the_text() -> None:
    assert kept_runs([1, 2, 3, 4, 5], [9, 1, 2, 3, 4, 9]) == 0.5
    assert kept_runs([1, 2], [1, 2]) == 0.0


@pytest.mark.slow
def test_the_cost_of_a_step_is_that_of_the_draw() -> None:
    marker = Marker(
        KeyRing((WatermarkKey(name="a", secret=SECRET),)),
        {"gumbel": Gumbel()},
        sampled="gumbel",
        greedy=None,
    )
    engine = tiny_engine(marker=marker, context_size=512, cache_tokens=16 * 300)
    rng = np.random.default_rng(0)

    def read(token_ids: list[int]) -> np.ndarray:
        return rng.normal(size=(len(token_ids), 300)).astype(np.float32)

    texts = [[1 + i % 20] * 30 for i in range(8)]
    whole, gumbel = step_figures(engine, marker, read, texts, ["gumbel"], rounds=2)
    assert whole.value > 0
    assert gumbel.target == 0.03
    assert gumbel.value > 0


def test_replies_are_kept_and_those_of_another_drawing_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "gumbel.jsonl"
    drawn: dict[str, str | int | float] = {"scheme": "gumbel", "num_tokens": 3}
    kept = KeptReplies(path, drawn)
    kept.add([Reply(token_ids=[1, 2, 3], text="a\n", predicted={25: 0.5})])
    kept.add([Reply(token_ids=[4], whole_power=0.25)])
    again = KeptReplies(path, drawn)
    assert again.replies == kept.replies
    assert again.replies[0].predicted == {25: 0.5}
    with pytest.raises(ValueError, match="take another folder"):
        KeptReplies(path, {**drawn, "num_tokens": 4})
