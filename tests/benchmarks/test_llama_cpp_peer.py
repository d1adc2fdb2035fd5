"""llama.cpp itself, where it has been built."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import llama_cpp
from benchmarks.llama_cpp import LlamaCpp, Quantisation, Setting
from benchmarks.llama_cpp_build import find, peers_folder
from benchmarks.perplexity import Fp32Model, measure
from llm.checkpoint import Decoder, load_decoder
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from rag.python_reference import language_topics

TEXT = "\n".join(document.text for document in language_topics()[:9])
SHIPPED = Quantisation(kind="Q4_1", is_shipped=True)

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def peer(models: ModelStore) -> Iterator[LlamaCpp]:
    peers = peers_folder()
    if (python := find(peers)) is None:
        pytest.skip("llama.cpp is not built; python -m benchmarks.engine --peer llama.cpp does it")
    path = models.path(DEFAULT_CHAT_MODEL)
    with llama_cpp.open_models(python, path, [SHIPPED], peers, threads=1) as opened:
        yield opened["Q4_1"]


@pytest.fixture(scope="module")
def decoder(models: ModelStore) -> Decoder:
    return load_decoder(models.path(DEFAULT_CHAT_MODEL))


def test_the_peer_reads_the_same_weights_and_tokens_as_we(peer: LlamaCpp, decoder: Decoder) -> None:
    window = decoder.tokenizer.encode(TEXT)[:400]
    _, theirs = measure({"fp32": Fp32Model(decoder.model), "peer": peer}, [window])
    assert theirs.ratio == pytest.approx(1.0, abs=0.03)
    assert theirs.max_difference < 5
    assert theirs.num_same >= 0.9 * theirs.num_tokens


def test_sequences_of_a_batch_share_nothing(peer: LlamaCpp, decoder: Decoder) -> None:
    window = decoder.tokenizer.encode(TEXT)
    prompts = [window[:13], window[13:26], window[:13]]

    def written(order: list[int]) -> Any:
        rows = [prompts[i] for i in order]
        return peer._ask("decode", prompts=rows, new_tokens=5)["token_ids"]

    first, second, third = written([0, 1, 2])
    assert first == third != second
    assert written([1, 0, 2]) == [second, first, third]


def test_times_are_those_of_all_steps(peer: LlamaCpp) -> None:
    for flash_attention in (True, False):
        setting = Setting(model=peer, flash_attention=flash_attention)
        decoded = setting.decode([[7, 8, 9], [10, 11, 12]], 5)
        assert decoded.num_tokens == 10
        assert 0 < decoded.seconds < 60
        assert 0 < setting.prefill([7] * 300) < 60
    assert "CPU" in peer.system_info()
