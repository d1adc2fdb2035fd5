"""Adapters learn the texts of a label, and their files are found again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.decoding.compose import ExpertGuidance, compose
from llm.decoding.phases import Forwards, ShapedLogits
from llm.errors import HeadError, TrainingDataError
from llm.head_adapter import HeadAdapter
from llm.head_store import HeadStore
from llm.model_runner import Span, batch_of
from llm.paged_cache import PagedCache
from llm.torch_runner import TorchRunner
from llm.training.adapters import AdapterRecipe, train_adapter, train_adapter_head
from llm.training.frozen_decoder import FrozenDecoder
from llm.training.recipe import TextChoice
from llm.unembedding import Unembedding
from tests.llm.tiny_engine import packable_decoder

TEXTS = [f"aababb{i % 7}abba{i % 11}" for i in range(60)]
RECIPE = AdapterRecipe(rank=4, epochs=8, learning_rate=1e-2, sampled=64)


def frozen() -> FrozenDecoder:
    decoder = packable_decoder()
    cache = PagedCache(decoder.model.config, 64 * 8, dtype=torch.float32)
    rows = decoder.model.head_weight.detach().numpy()
    return FrozenDecoder(
        TorchRunner(decoder.model, cache), decoder.tokenizer, decoder.template, rows
    )


def test_an_adapter_learns_texts_that_it_did_not_see() -> None:
    trained = train_adapter(frozen(), TEXTS, RECIPE)
    assert trained.num_held_out + trained.num_texts == len(TEXTS)
    assert trained.perplexity < 0.5 * trained.perplexity_before
    again = train_adapter(frozen(), TEXTS, RECIPE)
    assert np.array_equal(again.adapter.up, trained.adapter.up)


def test_an_epoch_that_makes_it_worse_is_not_kept() -> None:
    wild = AdapterRecipe(rank=4, epochs=1, learning_rate=100.0, sampled=64)
    trained = train_adapter(frozen(), TEXTS, wild)
    assert trained.perplexity == trained.perplexity_before
    assert not trained.adapter.up.any()


def test_a_trained_pair_is_stored_and_guides(tmp_path: Path) -> None:
    data = tmp_path / "letters.tsv"
    lines = [f"{text}\ta" for text in TEXTS] + [f"{text.upper()}\tA" for text in TEXTS]
    data.write_text("\n".join(lines), encoding="utf-8")
    decoder = frozen()
    for label, name in (("a", "small"), ("A", "capital")):
        card = train_adapter_head(
            decoder,
            TextChoice(paths=(data,), label=label),
            RECIPE,
            folder=tmp_path / "heads",
            name=name,
            about={"model": "tiny"},
        )
        assert card["metric"]["perplexity"] < card["metric"]["perplexity_before"]
        assert json.loads((tmp_path / "heads" / f"{name}.json").read_text())["kind"] == "adapter"
    rows = Unembedding.of_weight(torch.from_numpy(decoder.embedding))
    store = HeadStore([tmp_path / "heads"], rows)
    small, capital = (HeadAdapter.of(store.head(n, "adapter")[1]) for n in ("small", "capital"))
    runner = TorchRunner(
        packable_decoder().model,
        PagedCache(packable_decoder().model.config, 4, dtype=torch.float32),
    )
    ids = [min(decoder.tokenizer.eos_ids)]  # where texts of either kind begin
    output = runner.forward(batch_of([Span(token_ids=ids, start=0, blocks=[0])]))
    a, capital_a = decoder.tokenizer.encode("aA")

    def gap(weight: float) -> float:
        guide = ExpertGuidance(
            expert=small, anti_expert=capital, weight=weight, top_p=1.0, unembedding=rows
        )
        row = ShapedLogits(output.logits[0].copy())
        composed = compose(row, [guide], Forwards(hidden=output.hidden[0]))
        return float(composed[a] - composed[capital_a])

    assert gap(-2.0) < gap(0.0) < gap(2.0)
    other = Unembedding.of_weight(torch.from_numpy(decoder.embedding * np.float32(2)))
    with pytest.raises(HeadError, match="trained for another model"):
        HeadStore([tmp_path / "heads"], other).head("small", "adapter")


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="1 texts are too few"):
        train_adapter(frozen(), ["aa"], RECIPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be >= 1, got 0"),
        ({"epochs": 0}, "epochs must be >= 1"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0"),
    ],
)
def test_recipes_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdapterRecipe(**options)  # type: ignore[arg-type]
