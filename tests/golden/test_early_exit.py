"""States of an early exit: of both runners, against the plain model cut off after that layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import Float32

from llm.model import LlamaModel
from llm.model_runner import Batch, ModelRunner, Span, batch_of
from llm.native.loader import kernel_paths
from llm.native_runner import NativeRunner
from llm.packed_model import PackedModel, pack
from llm.paged_cache import PagedCache
from llm.runner_choice import RowByRowRunner
from llm.torch_runner import TorchRunner
from tests.llm.paged import packable_config, random_model

LAYERS = 4
TOKENS = [(7 * i * i + 3 * i) % 259 for i in range(40)]
PATHS = [*kernel_paths(), "torch"]


@pytest.fixture(scope="module")
def model() -> LlamaModel:
    return random_model(packable_config(num_hidden_layers=LAYERS))


@pytest.fixture(scope="module")
def packed(model: LlamaModel) -> PackedModel:
    return pack(model)


def runner(model: LlamaModel, packed: PackedModel, path: str, threads: int = 2) -> ModelRunner:
    if path == "torch":
        cache = PagedCache(model.config, 8, dtype=torch.float32)
        return TorchRunner(model, cache, strict=True)
    return NativeRunner(packed, PagedCache(model.config, 8), threads=threads, path=path)


def spans() -> list[Span]:
    return [
        Span(token_ids=TOKENS, start=0, blocks=[4, 1, 2], wants="all"),
        Span(token_ids=TOKENS[:9], start=0, blocks=[0]),
        Span(token_ids=TOKENS[:5], start=0, blocks=[3], wants="none"),
    ]


def cut_off(model: LlamaModel, exit_layer: int) -> Float32[np.ndarray, "t c"]:
    """The states of a model that has no later layers, just before its head."""
    config = replace(model.config, num_hidden_layers=exit_layer + 1)
    shorter = LlamaModel(config).eval()
    shorter.load_state_dict(model.state_dict(), strict=False)
    seen: list[torch.Tensor] = []
    shorter.norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        shorter(torch.tensor([TOKENS]))
    return seen[0][0].numpy()


@pytest.mark.parametrize("exit_layer", range(LAYERS))
def test_an_exit_gives_the_states_of_the_model_cut_off_there(
    model: LlamaModel, packed: PackedModel, exit_layer: int
) -> None:
    wanted = cut_off(model, exit_layer)
    output = runner(model, packed, "torch").forward(batch_of(spans(), exit_layer))
    assert output.exit_hidden is not None
    assert np.abs(output.exit_hidden[:40] - wanted).max() < 1e-4
    assert np.abs(output.exit_hidden[40] - wanted[8]).max() < 1e-4


@pytest.mark.parametrize("path", kernel_paths())
@pytest.mark.parametrize("exit_layer", range(LAYERS))
def test_compiled_exits_agree_with_the_torch_twin(
    model: LlamaModel, packed: PackedModel, path: str, exit_layer: int
) -> None:
    got = runner(model, packed, path).forward(batch_of(spans(), exit_layer)).exit_hidden
    wanted = runner(model, packed, "torch").forward(batch_of(spans(), exit_layer)).exit_hidden
    assert got is not None
    assert wanted is not None
    assert got.shape == wanted.shape == (41, model.config.hidden_size)
    # int8 against float32: a few per cent; the next layer's states are far off
    assert np.abs(got - wanted).mean() < 0.03 * np.abs(wanted).mean()
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("path", PATHS)
def test_an_exit_after_the_last_layer_is_no_exit(
    model: LlamaModel, packed: PackedModel, path: str
) -> None:
    output = runner(model, packed, path).forward(batch_of(spans(), LAYERS - 1))
    assert output.exit_hidden is not None
    assert np.array_equal(output.exit_hidden, output.hidden)


@pytest.mark.parametrize("path", PATHS)
def test_an_exit_changes_no_bit_of_the_logits_and_is_not_left_when_not_asked_for(
    model: LlamaModel, packed: PackedModel, path: str
) -> None:
    one = runner(model, packed, path)
    plain = one.forward(batch_of(spans()))
    assert plain.exit_hidden is None
    logits = plain.logits.copy()
    assert np.array_equal(one.forward(batch_of(spans(), 1)).logits, logits)
    assert one.forward(batch_of(spans())).exit_hidden is None


@pytest.mark.parametrize("path", PATHS)
def test_the_bits_of_an_exit_do_not_depend_on_the_batch_or_the_threads(
    model: LlamaModel, packed: PackedModel, path: str
) -> None:
    together = runner(model, packed, path, threads=3).forward(batch_of(spans(), 2))
    alone = runner(model, packed, path, threads=1)
    first = Span(token_ids=TOKENS[:8], start=0, blocks=[5])
    alone.forward(batch_of([first]))
    last = Span(token_ids=TOKENS[8:9], start=8, blocks=[5])
    row = alone.forward(batch_of([last], 2))
    assert row.exit_hidden is not None
    assert together.exit_hidden is not None
    assert np.array_equal(row.exit_hidden[0], together.exit_hidden[40])


def test_rows_on_their_own_bring_their_exits(model: LlamaModel, packed: PackedModel) -> None:
    inner = runner(model, packed, "torch")
    wanted = inner.forward(batch_of(spans(), 0)).exit_hidden
    got = RowByRowRunner(runner(model, packed, "torch")).forward(batch_of(spans(), 0)).exit_hidden
    assert wanted is not None
    assert got is not None
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("exit_layer", [-2, LAYERS])
def test_a_layer_that_is_not_there_is_refused(
    model: LlamaModel, packed: PackedModel, path: str, exit_layer: int
) -> None:
    batch: Batch = batch_of(spans(), exit_layer)
    with pytest.raises(ValueError, match=rf"exit_layer must be in \[0, 3\].* got {exit_layer}"):
        runner(model, packed, path).forward(batch)
