"""Rows of the output matrix, from ordinary weights and from int8 ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm.model_runner import Span, batch_of
from llm.packed_model import pack
from llm.paged_cache import PagedCache
from llm.quantization import plain_codes, quantize_linear
from llm.runner_choice import ComputeOptions, choose_runner
from llm.torch_runner import TorchRunner
from llm.unembedding import Unembedding
from tests.llm.paged import packable_config, random_model


def weight(size: int = 1100, hidden: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, hidden, generator=torch.Generator().manual_seed(seed))


def test_rows_are_those_of_the_weight_in_the_order_asked_for() -> None:
    matrix = weight().half()
    unembedding = Unembedding.of_weight(matrix)
    ids = np.array([7, 1099, 0, 7])
    assert (unembedding.size, unembedding.hidden_size) == (1100, 64)
    assert unembedding.rows(ids).dtype == np.float32
    assert np.array_equal(unembedding.rows(ids), matrix[ids].float().numpy())


def test_rows_of_an_int8_head_are_its_codes_times_its_scales() -> None:
    linear = quantize_linear(weight(131))
    unembedding = Unembedding.of_linear(linear, 131)
    wanted = (plain_codes(linear).float() * linear.scales[:, None])[:131].numpy()
    assert unembedding.size == 131 < linear.outputs
    assert np.array_equal(unembedding.rows(np.arange(131)), wanted)


@given(st.lists(st.integers(0, 1099), max_size=1100), st.integers(0, 9))
def test_products_are_those_of_the_matrix_whichever_tokens_come_along(
    token_ids: list[int], seed: int
) -> None:
    matrix = weight()
    unembedding = Unembedding.of_weight(matrix)
    state = np.random.default_rng(seed).normal(size=64).astype(np.float32)
    ids = np.array(token_ids, np.int64)
    got = unembedding.products(ids, state)
    wanted = matrix.double().numpy() @ state.astype(np.float64)
    assert np.allclose(got, wanted[ids], rtol=0, atol=1e-12)
    assert np.array_equal(got, unembedding.products(np.arange(1100), state)[ids])


@pytest.mark.parametrize("token", [-1, 1100])
def test_a_token_beyond_the_vocabulary_is_refused(token: int) -> None:
    with pytest.raises(IndexError, match="beyond the 1100"):
        Unembedding.of_weight(weight()).rows(np.array([3, token]))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_the_runner_that_is_chosen_brings_rows_that_make_its_logits(
    kernels: str, *, tied: bool
) -> None:
    model = random_model(packable_config(tie_word_embeddings=tied, vocab_size=131))
    options = ComputeOptions(threads=1, cache_tokens=640, kernels=kernels)
    chosen = choose_runner(model, options, context_size=128)
    span = Span(token_ids=[3, 1, 4, 1, 5], start=0, blocks=[0])
    output = chosen.runner.forward(batch_of([span]))
    got = chosen.unembedding.products(np.arange(131), output.hidden[0])
    assert chosen.unembedding.size == 131
    assert np.abs(got - output.logits[0]).max() < 0.02 * np.abs(output.logits[0]).max()


def test_a_packed_and_a_plain_model_have_the_same_rows() -> None:
    model = random_model(packable_config())
    runner = TorchRunner(model, PagedCache(model.config, 4, dtype=torch.float32))
    ids = np.arange(259)
    packed, plain = pack(model).unembedding.rows(ids), runner.unembedding.rows(ids)
    assert np.abs(packed - plain).max() < 1e-3 * np.abs(plain).max()
