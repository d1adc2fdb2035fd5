"""Engines over tiny random models, on either path."""

import itertools
from collections.abc import Callable
from pathlib import Path

from llm.async_engine import AsyncEngine
from llm.checkpoint import Decoder
from llm.decoding.sampler import BatchSampler
from llm.engine import Engine
from llm.engine_statistics import EngineLimits
from llm.model_runner import ModelRunner
from llm.native.loader import load_library
from llm.runner_choice import ChosenRunner, ComputeOptions, choose_runner
from llm.sampling_params import SamplingParams
from llm.served_model import ServedModel
from llm.watermark.marker import Marker
from tests.llm.paged import packable_config, random_model
from tests.llm.tiny_model import tiny_decoder, tiny_tokenizer


def serve(
    decoder: Decoder,
    *,
    context_size: int = 128,
    options: ComputeOptions | None = None,
    wrap: Callable[[ModelRunner], ModelRunner] = lambda runner: runner,
    head_folders: tuple[Path, ...] = (),
) -> ServedModel:
    chosen = choose_runner(
        decoder.model,
        options or ComputeOptions(threads=1, cache_tokens=16 * 40),
        context_size=context_size,
    )
    compute = ChosenRunner(
        runner=wrap(chosen.runner),
        fingerprint=chosen.fingerprint,
        threads=chosen.threads,
        determinism=chosen.determinism,
        reason=chosen.reason,
        unembedding=chosen.unembedding,
    )
    return ServedModel(
        name="tiny",
        compute=compute,
        tokenizer=decoder.tokenizer,
        template=decoder.template,
        context_size=context_size,
        size=decoder.model.config.vocab_size,
        num_layers=decoder.model.config.num_hidden_layers,
        head_folders=head_folders,
    )


def packable_decoder(seed: int = 0) -> Decoder:
    tokenizer = tiny_tokenizer()
    return Decoder(
        model=random_model(packable_config(), seed),
        tokenizer=tokenizer,
        template=tiny_decoder().template,
    )


def tiny_engine(
    *,
    limits: EngineLimits | None = None,
    decoder: Decoder | None = None,
    context_size: int = 128,
    cache_tokens: int = 16 * 40,
    wrap: Callable[[ModelRunner], ModelRunner] = lambda runner: runner,
    ticks: bool = False,
    head_folders: tuple[Path, ...] = (),
    marker: Marker | None = None,
) -> Engine:
    """An engine on the compiled path where it was built; with `ticks` its clock counts calls."""
    served = serve(
        decoder or packable_decoder(),
        context_size=context_size,
        options=ComputeOptions(threads=1, cache_tokens=cache_tokens),
        wrap=wrap,
        head_folders=head_folders,
    )
    sampler = BatchSampler(load_library())
    if ticks:
        clock = itertools.count()
        return Engine(
            served, sampler, limits=limits, marker=marker, clock=lambda: float(next(clock))
        )
    return Engine(served, sampler, limits=limits, marker=marker)


def tiny_async_engine(**options: object) -> AsyncEngine:
    return AsyncEngine(tiny_engine(**options))  # type: ignore[arg-type]


GREEDY = SamplingParams(max_tokens=12)
