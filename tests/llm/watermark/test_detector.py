"""Detection: whole texts, parts, conversations, several keys; and when it cannot tell."""

import math

import numpy as np
import pytest

from llm.errors import UndecidableTextError
from llm.watermark.contexts import Seeding, context_seeds
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import WatermarkKey, generate
from llm.watermark.kgw import GreenLists, lowest
from llm.watermark.prf import sub_key, words_of
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.windows import parts_of
from tests.llm.watermark.texts import SECRET, choose, human_like, marked_text, step

KEY = WatermarkKey(name="ours", secret=SECRET)
OTHERS = [WatermarkKey(name=f"other-{i}", secret=bytes([i] * 16)) for i in range(1, 4)]
SCHEMES: list[Scheme] = [Gumbel(), GreenLists(), SynthID()]


def _text(tokens: object) -> Text:
    return Text(token_ids=tuple(np.asarray(tokens).tolist()))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.label)
def test_the_key_and_the_sub_key_are_found_among_several(scheme: Scheme) -> None:
    found = Detector(scheme, [*OTHERS, KEY]).detect(_text(marked_text(scheme, 100, seed=21)))
    assert found.key == "ours"
    assert found.sub_key == 21 % scheme.num_sub_keys
    assert found.num_tests == 4 * scheme.num_sub_keys
    assert found.num_scored == 96
    assert found.z_score > 4


def test_more_keys_and_unknown_sub_keys_make_a_p_value_larger() -> None:
    scheme = Gumbel()
    text = _text(marked_text(scheme, 25))
    known = Text(token_ids=text.token_ids, sub_key=5)
    p = [
        Detector(scheme, [KEY]).detect(known).p_value,
        Detector(scheme, [KEY]).detect(text).p_value,
        Detector(scheme, [KEY, *OTHERS]).detect(text).p_value,
    ]
    assert p[1] == pytest.approx(16 * p[0], rel=0.01)
    assert p[2] == pytest.approx(64 * p[0], rel=0.01)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.label)
def test_a_pasted_passage_is_found_where_it_is(scheme: Scheme) -> None:
    before, after = human_like(700, 1), human_like(500, 2)
    passage = marked_text(scheme, 120)
    text = _text([*before, *passage, *after])
    detector = Detector(scheme, [KEY])
    part = detector.search(text)
    assert part.p_value < 1e-4
    assert part.start < 760 < part.stop
    assert part.stop - part.start < 600
    assert part.log_p_value < detector.detect(text).log_p_value


def test_parts_cover_the_text_and_the_whole_is_one() -> None:
    for num in (1, 63, 64, 65, 300, 5000):
        parts = parts_of(num)
        assert parts[0].tolist() == [0, num]
        assert parts.min() >= 0
        assert parts.max() == num
        covered = np.zeros(num, bool)
        for start, stop in parts[1:].tolist():
            covered[start:stop] = True
        assert covered.all() or len(parts) == 1


def test_searching_for_parts_finds_no_more_in_unmarked_text_than_it_says() -> None:
    keys = [generate() for _ in range(100)]
    text = _text(human_like(400, 5))
    p = [Detector(GreenLists(), [key]).search(text).p_value for key in keys]
    assert sum(x <= 0.05 for x in p) <= 13  # binomial(100, 0.05) exceeds it once in 2000


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.label)
def test_short_replies_are_detected_together(scheme: Scheme) -> None:
    replies = [_text(marked_text(scheme, 16, seed=i, law=i)) for i in range(12)]
    detector = Detector(scheme, [OTHERS[0], KEY])
    pooled = detector.detect_conversation(replies)
    assert pooled.key == "ours"
    assert pooled.num_scored == 144
    assert pooled.log_p_value < min(reply.log_p_value for reply in pooled.replies)
    known = [Text(token_ids=text.token_ids, sub_key=i) for i, text in enumerate(replies)]
    assert detector.detect_conversation(known).log_p_value <= pooled.log_p_value


def test_a_reply_said_twice_counts_once() -> None:
    detector = Detector(Gumbel(), [KEY])
    reply = _text(marked_text(Gumbel(), 40))
    once = detector.detect_conversation([reply])
    twice = detector.detect_conversation([reply, reply])
    assert twice.num_scored == once.num_scored
    assert twice.log_p_value == pytest.approx(once.log_p_value)


def test_a_conversation_of_one_reply_is_that_reply() -> None:
    for scheme in SCHEMES:
        detector = Detector(scheme, [KEY, *OTHERS])
        reply = _text(marked_text(scheme, 40))
        alone = detector.detect(reply).log_p_value
        assert detector.detect_conversation([reply]).log_p_value == pytest.approx(alone, abs=1e-6)


def test_forced_tokens_are_dropped_and_the_rest_says_more() -> None:
    """Half of the tokens could not be others: they are chance, and dilute what there is."""
    scheme = GreenLists()
    rng = np.random.default_rng(3)
    mark, tokens, is_free = scheme.start(SECRET, seed=5), [], []
    for position in range(120):
        if position % 2:
            tokens.append(int(rng.integers(5000)))
        else:
            tokens.append(choose(mark, step(rng), seed=5, position=position))
        is_free.append(position % 2 == 0)
        mark.take(tokens[-1])
    detector = Detector(scheme, [KEY])
    naive = detector.detect(_text(tokens))
    replayed = detector.detect(Text(token_ids=tuple(tokens), is_free=tuple(is_free)))
    assert replayed.num_scored == 58
    assert replayed.log_p_value < naive.log_p_value
    assert replayed.z_score > naive.z_score


def test_weights_by_entropy_say_more_than_equal_ones() -> None:
    """A third of the tokens is certain, as entropies tell; the weighted p-value knows it."""
    scheme = GreenLists()
    rng = np.random.default_rng(6)
    mark, tokens, weights = scheme.start(SECRET, seed=5), [], []
    for position in range(90):
        survivors = step(rng, spread=0.3 if position % 3 else 0.003)
        p = np.exp(survivors.log_probs)
        weights.append(max(-float((p * np.log(p)).sum()), 0.0))
        tokens.append(choose(mark, survivors, seed=5, position=position))
        mark.take(tokens[-1])
    detector = Detector(scheme, [KEY])
    plain = detector.detect(_text(tokens))
    weighted = detector.detect(Text(token_ids=tuple(tokens), weights=tuple(weights)))
    assert weighted.log_p_value < plain.log_p_value
    equal = detector.detect(Text(token_ids=tuple(tokens), weights=(1.0,) * 90))
    assert equal.log_p_value == pytest.approx(plain.log_p_value, rel=0.1)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.label)
def test_what_says_too_little_is_undecidable(scheme: Scheme) -> None:
    detector = Detector(scheme, [KEY])
    for tokens in ([], [5], list(range(11)), [7] * 200):
        with pytest.raises(UndecidableTextError, match="cannot tell, because"):
            detector.detect(_text(tokens))
        with pytest.raises(UndecidableTextError, match="cannot tell, because"):
            detector.detect_conversation([_text(tokens)])
    with pytest.raises(UndecidableTextError, match="there is no reply"):
        detector.detect_conversation([])


def test_huge_texts_and_foreign_tokens_are_undecidable() -> None:
    with pytest.raises(UndecidableTextError, match="at most"):
        Text(token_ids=(1,) * 200_001)
    for token in (-1, 2**31):
        with pytest.raises(UndecidableTextError, match="tokenizer"):
            Text(token_ids=(1, token))
    with pytest.raises(ValueError, match="1 entries for 2 tokens"):
        Text(token_ids=(1, 2), is_free=(True,))
    with pytest.raises(ValueError, match="finite"):
        Text(token_ids=(1,), weights=(math.nan,))


def test_tokens_of_exact_lists_are_those_of_the_lowest_words() -> None:
    """A detector compares a token's word with the others; the list itself is the slow twin."""
    scheme = GreenLists(gamma=0.25, vocabulary_size=97, seeding=Seeding(width=2))
    tokens = np.random.default_rng(6).integers(0, 97, 60)
    keys = np.stack([sub_key(bytes([i] * 16), scheme.label, 0) for i in range(3)])
    scores = scheme.score(tokens, keys)
    seeds = context_seeds(tokens, scheme.seeding, keys)
    for row, position in np.argwhere(scores.is_scored):
        words = words_of(np.arange(97), seeds[row, position - 2, None])
        is_green = lowest(words, round(0.25 * 97))[tokens[position]]
        assert scores.values[row, position] == is_green
    assert 0 < scores.totals().sum() < scores.counts().sum()
