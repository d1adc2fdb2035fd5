"""What marks do to a draw: nothing on average, nothing where there is no choice or context."""

import math

import numpy as np
import pytest

from llm.decoding.phases import Mark, Survivors
from llm.watermark.contexts import Seeding
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.prf import sub_key, units_of, words_of
from llm.watermark.scheme import Scheme, TextMark
from llm.watermark.synthid import SynthID, tournament
from llm.watermark.unigram import Unigram
from tests.llm.watermark.texts import SECRET, VOCABULARY, choose, marked_text, step

SCHEMES: dict[str, Scheme] = {
    "gumbel": Gumbel(),
    "gumbel-min": Gumbel(seeding=Seeding(kind="min")),
    "sbw": GreenLists(),
    "hard": GreenLists(delta=math.inf, seeding=Seeding(width=1)),
    "min-hash": GreenLists(seeding=Seeding(kind="min")),
    "self-hash": GreenLists(seeding=Seeding(kind="self")),
    "exact-lists": GreenLists(vocabulary_size=VOCABULARY, seeding=Seeding(width=1)),
    "synthid": SynthID(),
    "synthid-3-leaves": SynthID(leaves=3, depth=20),
    "unigram": Unigram(vocabulary_size=VOCABULARY),
}
KEY = WatermarkKey(name="ours", secret=SECRET)
P = np.array([0.45, 0.25, 0.15, 0.1, 0.05])
IDS = np.array([3, 1, 4, 15, 9])
FIVE = Survivors(token_ids=IDS, log_probs=np.log(P))


def _total_variation(counts: np.ndarray) -> float:
    return float(np.abs(counts / counts.sum() - P).sum() / 2)


def _after(scheme: Scheme, tokens: list[int], *, secret: bytes = SECRET) -> TextMark:
    mark = scheme.start(secret, seed=5)
    for token in tokens:
        mark.take(token)
    return mark


def _is_changed(mark: TextMark, survivors: Survivors = FIVE) -> bool:
    weights = mark.reweight(survivors)
    return mark.noise(survivors.token_ids) is not None or not np.array_equal(
        weights.log_probs, survivors.log_probs
    )


def _changing_context(scheme: Scheme) -> list[int]:
    """Return tokens after which the mark changes something."""
    for first in range(100):
        tokens = list(range(first, first + 4))
        if _is_changed(_after(scheme, tokens)):
            return tokens
    raise AssertionError


@pytest.mark.parametrize("name", SCHEMES)
def test_a_marked_text_is_detected_and_another_key_finds_nothing(name: str) -> None:
    scheme = SCHEMES[name]
    text = Text(token_ids=tuple(marked_text(scheme, 150)))
    assert Detector(scheme, [KEY]).detect(text).p_value < 1e-5
    other = WatermarkKey(name="other", secret=b"another secret!!")
    assert Detector(scheme, [other]).detect(text).p_value > 1e-3


@pytest.mark.parametrize("name", SCHEMES)
def test_a_mark_is_a_mark(name: str) -> None:
    mark = SCHEMES[name].start(SECRET, seed=1)
    assert isinstance(mark, Mark)
    assert isinstance(mark.fork(1), Mark)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_single_survivor_stays_as_it_is(name: str) -> None:
    single = Survivors(token_ids=np.array([7]), log_probs=np.array([-0.3]))
    mark = _after(SCHEMES[name], _changing_context(SCHEMES[name]))
    assert mark.reweight(single) is single
    assert mark.noise(single.token_ids) is None


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "unigram"])
def test_the_first_tokens_are_not_marked(name: str) -> None:
    scheme = SCHEMES[name]
    tokens = _changing_context(scheme)
    num = scheme.seeding.num_previous  # type: ignore[attr-defined]
    for count in range(num):
        assert not _is_changed(_after(scheme, tokens[4 - num :][:count]))
        assert _after(scheme, tokens[:count]).expect(FIVE, 3) is None


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "unigram"])
def test_a_context_that_came_before_gives_no_mark(name: str) -> None:
    scheme = SCHEMES[name]
    tokens = _changing_context(scheme)
    assert not _is_changed(_after(scheme, [*tokens, *tokens]))
    assert _after(scheme, [*tokens, *tokens]).expect(FIVE, 3) is None


@pytest.mark.parametrize("name", [name for name in SCHEMES if not name.startswith("synthid")])
def test_the_mark_of_a_token_does_not_depend_on_the_other_survivors(name: str) -> None:
    scheme = SCHEMES[name]
    tokens = _changing_context(scheme)
    mark = _after(scheme, tokens)
    some = Survivors(token_ids=IDS[1:4], log_probs=np.log(P[1:4]))
    raised = mark.reweight(FIVE).log_probs - FIVE.log_probs
    noise = mark.noise(IDS)
    if noise is not None:
        np.testing.assert_array_equal(mark.noise(some.token_ids), noise[1:4])
    elif len(set(raised[1:4].tolist())) > 1:
        np.testing.assert_array_equal(mark.reweight(some).log_probs - some.log_probs, raised[1:4])


def test_a_hard_list_leaves_red_tokens_where_nothing_is_green() -> None:
    scheme = GreenLists(gamma=0.01, delta=math.inf)
    mark = _after(scheme, [1, 2, 3, 4])
    assert np.isfinite(mark.reweight(FIVE).log_probs).all()


def test_hard_lists_write_green_tokens_alone() -> None:
    scheme = GreenLists(delta=math.inf)
    tokens = np.array(marked_text(scheme, 60))
    scores = scheme.score(tokens, sub_key(SECRET, scheme.label, 0)[None])
    assert scores.totals()[0] == scores.counts()[0] == 56


def test_over_keys_gumbel_draws_from_the_distribution_itself() -> None:
    """The total variation of 40,000 draws from p itself exceeds 0.01 once in a million."""
    keys = np.random.default_rng(0).integers(0, 2**63, 40_000).astype(np.uint64)
    noise = -np.log(-np.log(units_of(words_of(IDS, keys[:, None]))))
    drawn = (np.log(P) + noise).argmax(axis=1)
    assert _total_variation(np.bincount(drawn, minlength=5)) < 0.01


def test_over_keys_a_tournament_of_two_leaves_the_distribution_as_it_is() -> None:
    keys = np.random.default_rng(1).integers(0, 2**63, 20_000).astype(np.uint64)
    words = words_of(IDS, keys[:, None])
    marked = tournament(np.broadcast_to(P, words.shape), words, 30)
    np.testing.assert_allclose(marked.sum(axis=1), 1)
    assert float(np.abs(marked.mean(axis=0) - P).sum() / 2) < 0.01
    assert marked.max(axis=1).mean() > 0.9  # each key is nearly decided


def test_a_single_row_has_the_tournament_of_a_row_of_many() -> None:
    rng = np.random.default_rng(2)
    for num in (2, 7, 300):
        p = rng.dirichlet(np.full(num, 0.3))
        words = rng.integers(0, 2**32, num, dtype=np.uint32)
        many = tournament(np.stack([p, p]), np.stack([words, words]), 30)[1]
        np.testing.assert_allclose(tournament(p, words, 30), many, rtol=1e-9, atol=1e-15)


def test_one_layer_of_a_tournament_is_that_of_contestants_drawn_from_p() -> None:
    words = np.array([0, 1, 0, 1, 1], np.uint32)
    for leaves in (2, 4):
        drawn = np.random.default_rng(leaves).choice(5, size=(60_000, leaves), p=P)
        bits = words[drawn]
        lot = np.random.default_rng(9).random(bits.shape)
        winner = np.take_along_axis(drawn, (bits + lot).argmax(axis=1)[:, None], axis=1)
        share = np.bincount(winner[:, 0], minlength=5) / len(drawn)
        np.testing.assert_allclose(tournament(P, words, 1, leaves), share, atol=0.01)


@pytest.mark.parametrize("name", SCHEMES)
def test_two_seeds_give_two_replies_and_both_are_detected(name: str) -> None:
    scheme = SCHEMES[name]
    replies = [marked_text(scheme, 120, seed=seed) for seed in (5, 6)]
    assert replies[0] != replies[1]
    detector = Detector(scheme, [KEY])
    for reply in replies:
        assert detector.detect(Text(token_ids=tuple(reply))).p_value < 1e-4


def test_samples_of_one_request_have_sub_keys_of_their_own() -> None:
    scheme = Gumbel()
    found = set()
    for stream in (0, 1, 15):
        rng = np.random.default_rng(3)
        mark = scheme.start(SECRET, seed=5).fork(stream)
        tokens = []
        for position in range(60):
            tokens.append(choose(mark, step(rng), seed=5, position=position, stream=stream))
            mark.take(tokens[-1])
        found.add(Detector(scheme, [KEY]).detect(Text(token_ids=tuple(tokens))).sub_key)
    assert found == {5, 6, 4}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_fork_goes_its_own_way(name: str) -> None:
    """The parent goes on as if there had been no fork, and the fork as the parent would have."""
    scheme = SCHEMES[name]
    mark = scheme.start(SECRET, seed=5)
    rng = np.random.default_rng(4)
    alone = scheme.start(SECRET, seed=5)
    fork: TextMark | None = None
    for position in range(30):
        survivors = step(rng)
        token = choose(mark, survivors, seed=5, position=position)
        assert token == choose(alone, survivors, seed=5, position=position)
        if fork is not None:
            fork.take(token + position % 2)
        mark.take(token)
        alone.take(token)
        if position == 9:
            forked = mark.fork(0)
            assert isinstance(forked, TextMark)
            fork = forked
            same = step(np.random.default_rng(5))
            assert choose(fork, same, seed=5, position=10) == choose(
                mark, same, seed=5, position=10
            )


def test_settings_without_meaning_are_refused() -> None:
    for make in (
        lambda: GreenLists(gamma=1.0),
        lambda: GreenLists(delta=-1.0),
        lambda: GreenLists(vocabulary_size=1),
        lambda: SynthID(depth=31),
        lambda: SynthID(leaves=1),
        lambda: SynthID(seeding=Seeding(kind="self")),
        lambda: Gumbel(seeding=Seeding(kind="self")),
        lambda: Gumbel(num_sub_keys=0),
        lambda: Seeding(width=0),
        lambda: Unigram(vocabulary_size=10, gamma=0.01),
    ):
        with pytest.raises(ValueError, match=r"must|takes|needs|has 1|all or none"):
            make()
