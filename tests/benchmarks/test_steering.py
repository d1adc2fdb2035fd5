"""The arithmetic of the trade-off, the judge, the starts, and a run on a tiny engine."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sentiment_judge import HEAD_SHARE, Judge, train_judge
from benchmarks.steering import (
    EXPERTS,
    FUDGE,
    GUIDED,
    NUM_TOKENS,
    REWARD,
    UNSTEERED,
    distinct_pairs,
    figures,
    measure,
    neutral_starts,
    settings_of,
    starts_of,
)
from benchmarks.trade_off import Point, advantage, frontier, perplexity_at, share_at
from llm.errors import TrainingDataError
from llm.head_store import PACKAGED
from llm.training.head_file import write_head
from llm.training.labelled_texts import part_of
from llm.unembedding import Unembedding
from tests.llm.paged import packable_config
from tests.llm.tiny_engine import packable_decoder, tiny_engine


def point(method: str, weight: float, positive: int, perplexity: float) -> Point:
    return Point(
        method=method,
        weight=weight,
        is_positive=tuple(i < positive for i in range(100)),
        surprises=(math.log(perplexity),) * 100,
        kl=0.1,
        distinct=0.9,
        example="",
    )


POINTS = [
    point(UNSTEERED, 0, 50, 10.0),
    point(FUDGE, 1, 60, 9.0),
    point(FUDGE, 2, 80, 11.0),
    point(FUDGE, 4, 75, 12.0),  # beaten in both by the one before
    point(FUDGE, 8, 90, 15.0),
    point(REWARD, 1, 60, 10.5),
    point(REWARD, 2, 80, 14.0),
]


def line(method: str) -> list[tuple[float, float]]:
    return frontier(POINTS, (method, UNSTEERED))


def test_a_frontier_holds_the_best_share_for_each_price() -> None:
    np.testing.assert_allclose(line(FUDGE), [(9.0, 0.6), (11.0, 0.8), (15.0, 0.9)])
    np.testing.assert_allclose(line(REWARD), [(10.0, 0.5), (10.5, 0.6), (14.0, 0.8)])


def test_between_settings_a_line_is_drawn_and_beyond_them_none() -> None:
    assert share_at(line(FUDGE), 10.0) == pytest.approx(0.7)
    assert share_at(line(FUDGE), 99.0) == 0.9
    assert math.isnan(share_at(line(REWARD), 9.5))
    assert perplexity_at(line(FUDGE), 0.85) == pytest.approx(13.0)
    assert math.isnan(perplexity_at(line(REWARD), 0.85))


def test_a_method_is_compared_with_itself_and_the_differences_are_nothing() -> None:
    copied = [*POINTS, *(replace(one, method="copy") for one in POINTS if one.method == FUDGE)]
    found = advantage(copied, FUDGE, "copy", UNSTEERED, seed=0)
    assert (found.mean, *found.interval, found.least, found.largest) == (0, 0, 0, 0, 0)


def test_starts_that_move_both_methods_alike_do_not_widen_the_interval() -> None:
    # Which starts are easy is chance, and it is the same for both; two more texts go over with one.
    rng = np.random.default_rng(3)
    easy = rng.random(200) < 0.5
    better = easy | (np.arange(200) % 100 == 0)
    alike = point(REWARD, 1, 50, 12.0)
    worse = replace(alike, is_positive=tuple(easy.tolist()), surprises=(math.log(12.0),) * 200)
    ours = replace(worse, method=FUDGE, is_positive=tuple(better.tolist()))
    found = advantage([worse, ours], FUDGE, REWARD, UNSTEERED, seed=1)
    gap = float(better.mean() - easy.mean())
    assert found.mean == pytest.approx(gap)
    low, high = found.interval
    assert low <= gap <= high
    assert high - low < 0.03  # unpaired, 0.2


def test_only_methods_that_are_there_are_compared_and_on_the_same_starts() -> None:
    with pytest.raises(ValueError, match="no setting of experts"):
        advantage(POINTS, FUDGE, GUIDED, UNSTEERED, seed=0)
    few = replace(POINTS[-1], is_positive=(True,), surprises=(2.0,))
    with pytest.raises(ValueError, match="same starts"):
        advantage([*POINTS, few], FUDGE, REWARD, UNSTEERED, seed=0)
    with pytest.raises(ValueError, match="got 1 and 2"):
        replace(few, surprises=(1.0, 2.0))


def judge() -> Judge:
    """Positive is a text with more a's than c's."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.array([[text.count("a") - text.count("c")] for text in texts], np.float64)

    return Judge(encode=encode, weights=np.ones(1), bias=0.0, num_right=9, num_held_out=10)


def test_figures_hold_the_targets() -> None:
    rows = {row.name: row for row in figures(POINTS, judge())}
    assert rows["largest share, FUDGE"].met is True
    assert rows["FUDGE above RAD at equal perplexity, mean"].met is True
    assert rows["share at +15 % perplexity, FUDGE"].value == pytest.approx(0.8125)
    worse = [
        point(UNSTEERED, 0, 50, 10.0),
        point(FUDGE, 1, 60, 14.0),
        point(REWARD, 1, 90, 12.0),
        point(REWARD, 2, 95, 14.0),
    ]
    rows = {row.name: row for row in figures(worse, judge())}
    assert rows["largest share, FUDGE"].met is False
    assert rows["FUDGE above RAD at equal perplexity, mean"].met is False


def test_distinct_pairs_are_counted_over_all_texts() -> None:
    assert distinct_pairs([[1, 2, 3], [1, 2]]) == pytest.approx(2 / 3)
    assert math.isnan(distinct_pairs([[1]]))


def test_starts_are_plain_words_of_paragraphs() -> None:
    words = "The well @-@ known harbour , built in 1904 ( rebuilt 1911 ) , is"
    rest = " still used by many of the smaller boats even today ."
    text = f" = Heading = \n {words + rest} \n <unk> {words + rest} \n too short . \n"
    assert starts_of(text) == [
        "The well-known harbour, built in 1904 ( rebuilt 1911), is still used"
    ]


def test_only_starts_that_the_judge_cannot_place_are_taken() -> None:
    rest = " ".join(["b"] * 25)
    text = f"caa one {rest}\nca two {rest}\nac three {rest}\n"
    assert [start[:6] for start in neutral_starts(text, judge(), 9)] == ["ca two", "ac thr"]
    assert len(neutral_starts(text, judge(), 1)) == 1
    with pytest.raises(ValueError, match="no start"):
        neutral_starts(f"aaa one {rest}", judge(), 1)
    with pytest.raises(ValueError, match="no paragraph"):
        neutral_starts("short", judge(), 1)


class Letters:
    """Vectors of a text's letters."""

    def encode(self, texts: Sequence[str], kind: str) -> np.ndarray:
        del kind
        return np.array([[text.count(c) for c in "abc"] for text in texts], np.float32)


def test_the_judge_learns_from_texts_that_no_head_sees(tmp_path: Path) -> None:
    seen = [f"{'a' * (i % 5 + 1)} {i}" for i in range(300)]
    lines = [f"{text}\t1\n{text.replace('a', 'c')}\t0\n" for text in seen]
    (tmp_path / "all.txt").write_text("".join(lines))
    whole = train_judge(tmp_path, Letters())  # type: ignore[arg-type]
    assert whole.num_right == whole.num_held_out > 20
    assert whole.positive(["aaa"])[0] > 0.9
    assert whole.positive(["ccc"])[0] < 0.1
    of_heads = [line for text in seen for line in (text,) if part_of(text) < HEAD_SHARE]
    (tmp_path / "all.txt").write_text("".join(f"{text}\t1\n{text}b\t0\n" for text in of_heads[:1]))
    with pytest.raises((TrainingDataError, ValueError)):
        train_judge(tmp_path, Letters())  # type: ignore[arg-type]


def test_experts_take_part_where_they_are() -> None:
    weights = {FUDGE: (1.0, 2.0), REWARD: (3.0,), GUIDED: (4.0,)}
    assert [one.method for one in settings_of([], weights)] == [UNSTEERED, FUDGE, FUDGE, REWARD]
    assert settings_of(EXPERTS, weights)[-1].method == GUIDED


@pytest.mark.kernels
def test_an_engine_is_steered_and_the_price_is_told(tmp_path: Path) -> None:
    decoder = packable_decoder()
    weight = decoder.model.head_weight.detach()
    width = packable_config().hidden_size
    wanted = decoder.tokenizer.encode("a")[0]
    tensors = {
        "query": np.zeros((1, width)),
        "query_bias": np.zeros(1),
        "key": np.zeros((1, width)),
        "token": (weight[wanted] / weight[wanted].norm() ** 2).numpy() * 8,
        "prefix": np.zeros(width),
        "bias": np.array([-4.0]),
    }
    for name, scorer in (("one", "positive"), ("two", "reward:positive")):
        card = {"kind": "bilinear", "scorers": {scorer: 1}}
        write_head(tmp_path, name, tensors, card, Unembedding.of_weight(weight))
    engine = tiny_engine(decoder=decoder, head_folders=(tmp_path,))
    settings = settings_of([], {FUDGE: (40.0,), REWARD: (40.0,)})
    points = measure(engine, judge(), ["bb", "bc", "cb"], settings, seed=3)
    assert [one.method for one in points] == [UNSTEERED, FUDGE, REWARD]
    assert points[0].kl == 0
    for steered in points[1:]:
        assert steered.num_positive == 3
        assert steered.kl > 0.5
        assert steered.example.count("a") > NUM_TOKENS // 2
    again = measure(engine, judge(), ["bb", "bc", "cb"], settings, seed=3)
    assert again == points


def test_the_shipped_heads_left_the_judge_its_sentences() -> None:
    store = {path.stem: path.read_text() for path in PACKAGED.glob("sentiment*.json")}
    for name in ("sentiment", "sentiment_reward"):
        assert f'"share": {HEAD_SHARE}' in store[name]
