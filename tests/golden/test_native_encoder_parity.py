"""The compiled int8 encoder against its torch twin, on every path, and against float32."""

import numpy as np
import pytest
import torch

from llm.checkpoint import load_encoder
from llm.encoder_choice import PROBES
from llm.encoder_runner import TorchEncoderRunner
from llm.model_store import ModelStore
from llm.native.loader import kernel_paths
from llm.native_encoder import NativeEncoderRunner
from llm.packed_encoder import pack_encoder, quantize_encoder_linear
from llm.tokenizer import raw_tokenizer
from tests.golden.encoder_reference import reference_states, reference_vector
from tests.llm.small_encoder import LONGEST, small_encoder, some_texts

PATHS = kernel_paths()
MODEL = "all-minilm-l6-v2"
pytestmark = pytest.mark.kernels


def native(encoder: torch.nn.Module, path: str, threads: int = 2) -> NativeEncoderRunner:
    return NativeEncoderRunner(pack_encoder(encoder), threads=threads, path=path)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("hidden", "heads"), [(128, 4), (192, 12), (64, 1), (128, 2)])
def test_every_path_agrees_with_the_twin(path: str, hidden: int, heads: int) -> None:
    encoder = small_encoder(hidden=hidden, heads=heads)
    packed = pack_encoder(encoder)
    runner = native(encoder, path)
    rows = some_texts(1, 2, 5, 6, 7, 15, 16, 17, 33, 64, 65, LONGEST)
    vectors, states = runner.vectors(rows), runner.states(rows)
    for row, vector, state in zip(rows, vectors, states, strict=True):
        assert float(vector @ reference_vector(packed, row).numpy()) > 0.9999
        wanted = reference_states(packed, row).numpy()
        assert state.shape == wanted.shape
        # A value halfway between two codes may be rounded either way: a step here and there.
        assert np.abs(state - wanted).mean() < 0.01
        assert np.abs(state - wanted).max() < 0.1
    runner.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_text_has_the_same_bits_alone_in_any_batch_and_on_any_threads(path: str) -> None:
    encoder = small_encoder()
    rows = some_texts(9, 40, 3, 73, 73, 73, 73, 73, 73, 12, 1, 60, seed=1)
    together = native(encoder, path).vectors(rows)
    alone, backwards = native(encoder, path, threads=1), native(encoder, path, threads=3)
    assert np.array_equal(backwards.vectors(rows[::-1])[::-1], together)
    for row, vector in zip(rows, together, strict=True):
        assert np.array_equal(alone.vectors([row])[0], vector)


@pytest.mark.parametrize("path", PATHS)
def test_no_text_gives_no_vector(path: str) -> None:
    assert native(small_encoder(), path).vectors([]).shape == (0, 128)


def test_vectors_are_near_those_of_float32() -> None:
    encoder = small_encoder()
    rows = some_texts(4, 20, 70)
    exact = TorchEncoderRunner(encoder).vectors(rows)
    assert (native(encoder, PATHS[0]).vectors(rows) * exact).sum(axis=1).min() > 0.999


def test_sizes_that_do_not_fit_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="head width 24 is no multiple of 16"):
        pack_encoder(small_encoder(hidden=192, heads=8))
    with pytest.raises(ValueError, match="MLP 200 is no multiple of 64"):
        pack_encoder(small_encoder(mlp=200))


def test_rounding_moves_a_weight_by_half_a_step_at_most() -> None:
    torch.manual_seed(2)
    weight, m = torch.randn(64, 48), torch.rand(48) + 0.1
    linear = quantize_encoder_linear(weight, torch.zeros(64), m)
    back = linear.codes.float() * linear.scales[:, None] * linear.spread
    half = linear.scales[:, None] * linear.spread * 0.5001
    assert bool(((back - weight).abs() <= half).all())


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_real_weights_give_nearly_the_vectors_of_float32(models: ModelStore, path: str) -> None:
    folder = models.path(MODEL)
    tokenizer = raw_tokenizer(folder / "tokenizer.json")
    tokenizer.no_padding()
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(PROBES))]
    encoder = load_encoder(folder)
    exact = TorchEncoderRunner(encoder).vectors(rows)
    vectors = native(encoder, path).vectors(rows)
    assert (vectors * exact).sum(axis=1).min() >= 0.994  # a single word
    assert np.median((vectors * exact).sum(axis=1)) >= 0.999
    packed = pack_encoder(encoder)
    twins = np.stack([reference_vector(packed, row).numpy() for row in rows])
    assert np.median((vectors * twins).sum(axis=1)) >= 0.999
