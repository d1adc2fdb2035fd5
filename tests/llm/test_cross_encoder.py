"""A cross-encoder of two tiny layers, made here: scores, and what is refused."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from llm.cross_encoder import CrossEncoderModel
from llm.errors import CheckpointError, UnsupportedModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with one output, as `save_pretrained` writes it."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("cross")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "how", "long", "carrots", "need"]
    (path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab_file=str(path / "vocab.txt")).save_pretrained(path)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(path)
    return path


def test_each_text_has_a_score_of_its_own(folder: Path) -> None:
    model = CrossEncoderModel(folder)
    together = model.score_pairs("how long", ["carrots need", "need need need"])
    assert len(together) == 2
    alone = [
        model.score_pairs("how long", [text])[0] for text in ("carrots need", "need need need")
    ]
    assert together == pytest.approx(alone, abs=1e-4)
    assert model.score_pairs("how long", []) == []


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        CrossEncoderModel(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds no cross-encoder"):
        CrossEncoderModel(tmp_path)


def test_without_the_package_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "sentence_transformers":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnsupportedModelError, match="sentence-transformers"):
        CrossEncoderModel(folder)
