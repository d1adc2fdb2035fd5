import random
import time

import numpy as np
import pytest

from rag.dedup import NearDuplicates, distinct, resemblance, shingles, signature
from rag.document import Chunk, Passage

BEES = (
    "Bees do not sleep in winter. They keep together and warm each other in a dense cluster, and"
    " live on the honey that they stored in summer. A keeper leaves the hive alone until the first"
    " warm day of spring, and then looks whether enough food is left for the weeks until bloom."
)


def passage(text: str, rank: int = 1) -> Passage:
    chunk = Chunk(start=0, end=len(text.encode()), text=text)
    return Passage(
        collection="c", document_id="d", title="t", uri="u", chunk=chunk, score=1.0, rank=rank
    )


def test_case_space_punctuation_and_accent_forms_do_not_count() -> None:
    a, b = (
        shingles("Cafés open, at NINE every day."),
        shingles("cafe\u0301s\nopen at nine every day"),
    )
    assert np.array_equal(a, b)
    assert len(a) == 2


def test_the_order_of_words_counts() -> None:
    assert resemblance(shingles("a b c d e"), shingles("e d c b a")) == 0


def test_a_script_without_spaces_is_read_by_characters() -> None:
    a, b = (
        "蜜蜂在冬天不睡觉它们聚在一起取暖并且吃夏天储存的蜂蜜",
        "蜜蜂在冬天不睡觉它们聚在一起取暖并且吃夏天储存的糖浆",
    )
    assert 0.5 < resemblance(shingles(a), shingles(b)) < 1


@pytest.mark.parametrize(("text", "num"), [("", 0), (" \n", 0), ("---", 1), ("one", 1)])
def test_texts_of_few_words_or_none(text: str, num: int) -> None:
    assert len(shingles(text)) == num
    assert resemblance(shingles(text), shingles(text)) == float(num > 0)


def test_signatures_are_fixed() -> None:
    """They may be kept: a change of any hash must be seen."""
    found = signature(shingles(BEES))
    assert [hex(int(value)) for value in found[:2]] == FIXED


FIXED = ["0xbdbce55bdb67b5b", "0x56da1c38c33a4f"]


def test_the_earlier_text_that_resembles_a_new_one_most_is_named() -> None:
    seen = NearDuplicates(threshold=0.6)
    assert seen.add("bees", BEES) is None
    assert (
        seen.add("wasps", "Wasps build their nests of paper and die in autumn, all but a queen.")
        is None
    )
    assert seen.add("bees 2", BEES.replace("spring", "March")) is not None
    found = seen.add("bees 3", BEES.upper())
    assert found is not None
    assert (found.uri, found.resemblance) == ("bees", 1.0)
    assert seen.add("blank", " ") is None


def test_passages_that_say_the_same_are_kept_once_in_the_order_of_rank() -> None:
    texts = [
        "Wasps die in autumn.",
        BEES,
        BEES.replace("spring", "March"),
        "wasps die in autumn",
        BEES,
    ]
    assert distinct([passage(text) for text in texts], threshold=0.7) == [0, 1]
    assert distinct([passage(text) for text in texts], threshold=1.0) == [0, 1, 2]
    assert distinct([], threshold=0.5) == []


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be above 0"):
        distinct([], threshold=threshold)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        NearDuplicates(threshold=threshold)


def test_a_megabyte_is_signed_within_seconds() -> None:
    source = random.Random(3)
    words = [f"word{i}" for i in range(5000)]
    text = " ".join(source.choices(words, k=130_000))
    started = time.process_time()
    NearDuplicates().add("long", text)
    assert time.process_time() - started < 20
