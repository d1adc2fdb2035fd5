from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from llm.async_engine import AsyncEngine
from llm.chat import Completion
from llm.decoding.sampler import BatchSampler
from llm.engine import Engine
from llm.errors import UnsupportedModelError
from llm.model_runner import Batch, Span, StepOutput, batch_of
from llm.native.loader import kernel_paths
from llm.paged_cache import PagedCache
from llm.precision import Precision
from llm.preparation import Submission
from llm.runner_choice import (
    ComputeOptions,
    RowByRowRunner,
    choose_runner,
    is_batch_invariant,
)
from llm.sampling_params import SamplingParams
from llm.torch_runner import TorchRunner
from tests.llm.paged import packable_config, random_model
from tests.llm.tiny_engine import packable_decoder, serve
from tests.llm.tiny_model import tiny_decoder

SAMPLED = SamplingParams(temperature=1.0, seed=4, max_tokens=20)
PROMPT = [(3 * i) % 250 + 1 for i in range(40)]


@pytest.mark.kernels
def test_the_fastest_compiled_kernels_are_taken_and_the_reason_is_said() -> None:
    chosen = choose_runner(
        random_model(packable_config()), ComputeOptions(threads=1), context_size=128
    )
    assert chosen.runner.kernels == kernel_paths()[0]
    assert chosen.determinism == "strict"
    assert kernel_paths()[0] in chosen.reason


@pytest.mark.kernels
def test_sizes_that_the_kernels_cannot_do_run_on_torch_and_say_why() -> None:
    chosen = choose_runner(tiny_decoder().model, ComputeOptions(), context_size=128)
    assert chosen.runner.kernels == "torch-float32"
    assert "multiple of 64" in chosen.reason
    assert chosen.determinism == "fast"


def test_int8_for_such_a_model_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedModelError, match="hidden size 33"):
        choose_runner(tiny_decoder().model, ComputeOptions(precision="int8"), context_size=128)


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"threads": 0}, "threads must be >= 1"),
        ({"cache_tokens": 3}, "cache_tokens must be >= 16"),
        ({"kernels": "neon"}, "'neon' cannot run here; choose auto, torch"),
        ({"kernels": "torch", "precision": "int8"}, "needs the kernels"),
        ({"kernels": "portable", "precision": "float32"}, "float32 is torch"),
        ({"device": "cuda", "precision": "int8"}, "GPU"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ComputeOptions(**options)  # type: ignore[arg-type]


def test_a_cache_smaller_than_one_context_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold one context of 128"):
        choose_runner(tiny_decoder().model, ComputeOptions(cache_tokens=64), context_size=128)


def test_a_cache_larger_than_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="GB, and this machine has"):
        choose_runner(tiny_decoder().model, ComputeOptions(cache_tokens=10**12), context_size=128)


@pytest.mark.kernels
def test_what_was_measured_is_kept_for_the_next_start(tmp_path: Path) -> None:
    notes = tmp_path / "home" / "measurements.json"
    model = random_model(packable_config())
    first = choose_runner(model, ComputeOptions(), context_size=128, notes=notes)
    if "the only core" in first.reason:
        return
    assert "measured a token" in first.reason
    again = choose_runner(model, ComputeOptions(), context_size=128, notes=notes)
    assert "measured before" in again.reason
    assert again.threads == first.threads
    notes.write_text("{ damaged")
    assert "measured a token" in (
        choose_runner(model, ComputeOptions(), context_size=128, notes=notes).reason
    )


@pytest.mark.kernels
def test_other_weights_have_another_fingerprint() -> None:
    options = ComputeOptions(threads=1)
    one, same, other = (
        choose_runner(random_model(packable_config(), seed), options, context_size=128)
        for seed in (0, 0, 1)
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    slower = ComputeOptions(threads=1, kernels="portable")
    portable = choose_runner(random_model(packable_config()), slower, context_size=128)
    assert portable.fingerprint != one.fingerprint


class CouplingRunner:
    """Lets every row feel how many there are, as a scale over the whole batch does."""

    kernels = "coupling"
    num_blocks = 64

    def __init__(self) -> None:
        model = random_model(packable_config())
        self._inner = TorchRunner(model, PagedCache(model.config, 64), strict=True)

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        self._inner.copy_blocks(copies)

    def forward(self, batch: Batch) -> StepOutput:
        output = self._inner.forward(batch)
        return StepOutput(
            logits=output.logits + np.float32(1e-6) * len(batch.token_ids), hidden=output.hidden
        )


def test_kernels_that_couple_rows_are_found_out_and_run_row_by_row() -> None:
    assert not is_batch_invariant(CouplingRunner())
    runner = RowByRowRunner(CouplingRunner())
    assert is_batch_invariant(runner)
    spans = [
        Span(token_ids=PROMPT[:7], start=0, blocks=[0]),
        Span(token_ids=PROMPT[:5], start=0, blocks=[1], wants="all"),
        Span(token_ids=PROMPT[:3], start=0, blocks=[2], wants="none"),
    ]
    assert runner.forward(batch_of(spans)).logits.shape == (6, 259)


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_the_engine_runs_on_either_path(precision: Precision) -> None:
    options = ComputeOptions(threads=1, cache_tokens=640, precision=precision)
    engine = Engine(serve(packable_decoder(), options=options), BatchSampler(None))
    ends = engine.generate_batch([PROMPT, PROMPT[:9]], SAMPLED)
    assert all(end.usage.completion_tokens <= 20 for end in ends)
    again = engine.generate_batch([PROMPT], SAMPLED)[0]
    assert isinstance(again, Completion)
    assert again.usage.cached_tokens == 32


def test_strict_torch_gives_the_same_tokens_in_company(tmp_path: Path) -> None:
    options = ComputeOptions(cache_tokens=640, kernels="torch", determinism="strict")
    alone = Engine(serve(packable_decoder(), options=options), BatchSampler(None))
    wanted = [alone.generate_batch([PROMPT[i:]], SAMPLED)[0].text for i in range(4)]
    together = Engine(serve(packable_decoder(), options=options), BatchSampler(None))
    ends = together.generate_batch([PROMPT[i:] for i in range(4)], SAMPLED)
    assert [end.text for end in ends] == wanted


def test_a_model_of_odd_sizes_is_served_on_torch() -> None:
    engine = AsyncEngine(Engine(serve(tiny_decoder()), BatchSampler(None)))
    parts = list(engine.generate(Submission(prompt_ids=PROMPT, params=SAMPLED)))
    assert isinstance(parts[-1], Completion)
    engine.close()
