"""From text files to an n-gram model that is found by its name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from llm.decoding.ngram_model import NGramModel
from llm.errors import TrainingDataError
from llm.head_store import HeadStore
from llm.training.ngram import NGramPlan, train_ngram
from llm.unembedding import Unembedding
from tests.llm.tiny_model import tiny_tokenizer

TEXT = "the cat sat on the mat. the cat ran. " * 20
ROWS = Unembedding.of_weight(torch.randn(259, 8, generator=torch.Generator().manual_seed(1)))


def test_a_model_is_counted_stored_and_found(tmp_path: Path) -> None:
    path = tmp_path / "cats.txt"
    path.write_text(TEXT, encoding="utf-8")
    encode = tiny_tokenizer().encode
    card = train_ngram(
        encode,
        ROWS,
        NGramPlan(paths=(path,), order=4, max_entries=500),
        folder=tmp_path / "heads",
        name="cats",
        about={"data_licence": "ours"},
    )
    assert card["data"] == ["cats.txt"]
    assert card["entries"] <= 500
    assert card["metric"]["perplexity"] < 2.5  # three letters say nearly everything here
    found, tensors = HeadStore([tmp_path / "heads"], ROWS).head("cats", "ngram")
    assert found.about["data_licence"] == "ours"
    model = NGramModel.of(tensors)
    counted = encode(TEXT)
    again = NGramModel.fit(
        [counted[: -(len(counted) // 10)]], order=4, vocab_size=259, max_entries=500
    )
    for word in ("", "the ca", "mat", "x"):
        context = encode(word)
        every = np.arange(259)
        assert np.array_equal(model.log_probs(context, every), again.log_probs(context, every))
    assert model.best(encode("the ca")) == encode("t")[0]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"too little"])
def test_files_that_cannot_be_counted_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingDataError, match=r"text\.txt cannot be read|at least 100"):
        train_ngram(
            tiny_tokenizer().encode,
            ROWS,
            NGramPlan(paths=(path,)),
            folder=tmp_path / "heads",
            name="x",
            about={},
        )
    assert not (tmp_path / "heads").exists()
