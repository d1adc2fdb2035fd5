"""Which runner computes here: what the model and the processor allow, and what measures fastest.

`auto` takes the compiled int8 kernels where they were built and the model's sizes fit them, and
torch in float32 elsewhere; the reason is kept, so that the program can say it at start. Whether a
row's bits are independent of its batch is tried out before it is promised.
"""

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from llm.config import ModelConfig
from llm.errors import UnsupportedModelError
from llm.model import LlamaModel
from llm.model_runner import Batch, ModelRunner, Span, StepOutput, batch_of
from llm.native.loader import kernel_paths
from llm.native_runner import NativeRunner
from llm.packed_model import PackedModel, pack, why_not_packed
from llm.paged_cache import BLOCK, PagedCache, block_bytes
from llm.precision import Determinism, Device, Precision
from llm.torch_runner import TorchRunner
from llm.unembedding import Unembedding

_MEASURED_STEPS = 9
_LEAST_CONTEXTS = 2
_ROOMY_TOKENS = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """What may be asked of the choice; `auto` and None leave it to measurement.

    `kernels` is one of `kernel_paths()` or `torch`; `cache_tokens` how many positions of all
    sequences together are kept.
    """

    precision: Precision = "auto"
    kernels: str = "auto"
    threads: int | None = None
    cache_tokens: int | None = None
    determinism: Determinism = "auto"
    device: Device = "cpu"

    def __post_init__(self) -> None:
        if self.device == "cuda" and (self.precision == "int8" or self.kernels != "auto"):
            raise ValueError("a GPU computes in bfloat16 with torch; leave precision and kernels")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be >= 1, got {self.threads}")
        if self.cache_tokens is not None and self.cache_tokens < BLOCK:
            raise ValueError(f"cache_tokens must be >= {BLOCK}, got {self.cache_tokens}")
        if self.kernels not in ("auto", "torch", *kernel_paths()):
            built = ", ".join(kernel_paths()) or "none (no compiler when causerie was installed)"
            raise ValueError(
                f"kernels {self.kernels!r} cannot run here; choose auto, torch or one of: {built}"
            )
        if self.precision == "int8" and self.kernels == "torch":
            raise ValueError("the torch path computes in float32; precision int8 needs the kernels")
        if self.precision == "float32" and self.kernels not in ("auto", "torch"):
            raise ValueError(
                f"kernels {self.kernels!r} compute in int8; precision float32 is torch"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRunner:
    """A runner, what it is called, why it was taken, and the rows of the model's output matrix."""

    runner: ModelRunner
    fingerprint: str
    threads: int
    determinism: Literal["strict", "fast"]
    reason: str
    unembedding: Unembedding


def choose_runner(
    model: LlamaModel,
    options: ComputeOptions,
    *,
    context_size: int,
    notes: Path | None = None,
) -> ChosenRunner:
    """Build the runner; with `notes`, a file, what was measured is kept for the next start.

    Raises:
        ValueError: a cache that cannot hold one context, or more threads than cores.
        UnsupportedModelError: int8 was asked for, and the model's sizes do not fit the kernels.
    """
    blocks = _num_blocks(model.config, options, context_size)
    if options.device == "cuda":
        return _on_torch(_to_gpu(model), options, blocks, "as set")
    reason = _why_torch(model.config, options)
    if reason is not None:
        return _on_torch(model, options, blocks, reason)
    packed = pack(model)
    path = kernel_paths()[0] if options.kernels == "auto" else options.kernels
    fingerprint = fingerprint_of(packed, path)
    cache = PagedCache(packed.config, blocks)
    threads, measured = options.threads, "as set"
    if threads is None:
        threads, measured = _fastest_threads(packed, path, fingerprint, notes)
    runner: ModelRunner = NativeRunner(packed, cache, threads=threads, path=path)
    if not is_batch_invariant(runner):
        runner = RowByRowRunner(runner)
    return ChosenRunner(
        runner=runner,
        fingerprint=fingerprint,
        threads=threads,
        determinism="strict",
        reason=f"int8 on {path}, {threads} threads ({measured})",
        unembedding=packed.unembedding,
    )


def _why_torch(config: ModelConfig, options: ComputeOptions) -> str | None:
    if options.precision == "float32" or options.kernels == "torch":
        return "as set"
    if (misfit := why_not_packed(config)) is not None:
        if options.precision == "int8" or options.kernels != "auto":
            raise UnsupportedModelError(f"the int8 kernels cannot run this model: {misfit}")
        return misfit
    if not kernel_paths():
        if options.precision == "int8":
            raise UnsupportedModelError(
                "precision int8 needs the compiled kernels, and they were not built: install a C++"
                " compiler (on Debian: apt install g++) and install causerie again"
            )
        return "the kernels were not built: no C++ compiler when causerie was installed"
    return None


def _to_gpu(model: LlamaModel) -> LlamaModel:  # not run on any machine of ours
    if not torch.cuda.is_available():
        raise ValueError("device cuda: torch finds no GPU here; use device cpu")
    return model.to("cuda", torch.bfloat16)


def _on_torch(model: LlamaModel, options: ComputeOptions, blocks: int, reason: str) -> ChosenRunner:
    strict = options.determinism == "strict"
    weight = model.embed_tokens.weight
    cache = PagedCache(model.config, blocks, dtype=weight.dtype, device=str(weight.device))
    on_torch = TorchRunner(model, cache, strict=strict)
    runner: ModelRunner = on_torch
    if strict and not is_batch_invariant(runner):
        runner = RowByRowRunner(runner)
    digest = hashlib.blake2b(digest_size=8)
    for parameter in model.parameters():
        digest.update(parameter.detach().float().sum().cpu().numpy().tobytes())
    return ChosenRunner(
        runner=runner,
        fingerprint=f"{runner.kernels}-{digest.hexdigest()}",
        threads=torch.get_num_threads(),
        determinism="strict" if strict else "fast",
        reason=f"{runner.kernels}, {torch.get_num_threads()} threads ({reason})",
        unembedding=on_torch.unembedding,
    )


def _num_blocks(config: ModelConfig, options: ComputeOptions, context_size: int) -> int:
    tokens = options.cache_tokens or max(_LEAST_CONTEXTS * context_size, _ROOMY_TOKENS)
    blocks = -(-tokens // BLOCK)
    if tokens < context_size:
        raise ValueError(
            f"cache_tokens {tokens} cannot hold one context of {context_size} tokens; set at least"
            f" {context_size}, or a smaller context_size"
        )
    needed = blocks * block_bytes(config)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > total:
        raise ValueError(
            f"cache_tokens {tokens} need {needed / 1e9:.1f} GB, and this machine has"
            f" {total / 1e9:.1f} GB"
        )
    return blocks


def fingerprint_of(model: PackedModel, kernels: str) -> str:
    """Return a name that differs where weights, precision or arithmetic do."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr(model.config).encode())
    for linear in (model.head, *(layer.down for layer in model.layers)):
        digest.update(linear.scales.numpy().tobytes())
    digest.update(model.embedding[:: max(1, len(model.embedding) // 64)].numpy().tobytes())
    return f"{kernels}-{digest.hexdigest()}"


def is_batch_invariant(runner: ModelRunner) -> bool:
    """Try whether a row keeps its bits in other batches, at other places and in other chunks."""
    if runner.num_blocks < 2 * _TRIED_ROWS:
        return True  # a toy: too small to try, and its tests do
    prompt = [1 + i % 7 for i in range(_TRIED_LENGTH)]

    def last(spans: Sequence[Span], which: int) -> np.ndarray:
        return runner.forward(batch_of(spans)).logits[which].copy()

    def row(i: int) -> Span:
        return Span(token_ids=prompt[-1:], start=_TRIED_LENGTH - 1, blocks=[2 * i, 2 * i + 1])

    wanted = last([Span(token_ids=prompt, start=0, blocks=[0, 1])], 0)
    for i in range(1, _TRIED_ROWS):
        for start in range(0, _TRIED_LENGTH - 1, 5 + i):
            part = prompt[start : min(start + 5 + i, _TRIED_LENGTH - 1)]
            last([Span(token_ids=part, start=start, blocks=[2 * i, 2 * i + 1])], 0)
    return all(
        np.array_equal(wanted, last([row(i) for i in range(count)], which))
        for count in (1, 2, 8, _TRIED_ROWS)
        for which in {0, count // 2, count - 1}
    )


_TRIED_ROWS = 17
_TRIED_LENGTH = 21


class RowByRowRunner:
    """Gives each row a step of its own, where batches were found to change bits."""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self.kernels = f"{runner.kernels}-row-by-row"
        self.num_blocks = runner.num_blocks

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copy whole blocks of the cache."""
        self._runner.copy_blocks(copies)

    def forward(self, batch: Batch) -> StepOutput:
        """Compute each row on its own."""
        spans = np.repeat(np.arange(len(batch.sinks)), np.diff(batch.span_starts))
        outputs: dict[int, StepOutput] = {}
        wanted = set(batch.output_rows.tolist())
        for row, span in enumerate(spans.tolist()):
            output = self._runner.forward(
                replace(
                    batch,
                    token_ids=batch.token_ids[row : row + 1],
                    positions=batch.positions[row : row + 1],
                    span_starts=np.array([0, 1], np.int32),
                    block_tables=batch.block_tables[span : span + 1].copy(),
                    sinks=batch.sinks[span : span + 1].copy(),
                    windows=batch.windows[span : span + 1].copy(),
                    output_rows=np.zeros(int(row in wanted), np.int32),
                )
            )
            if row in wanted:
                outputs[row] = _copied(output)
        chosen = [outputs[row] for row in batch.output_rows.tolist()]
        exits = [output.exit_hidden for output in chosen if output.exit_hidden is not None]
        return StepOutput(
            logits=np.concatenate([output.logits for output in chosen]),
            hidden=np.concatenate([output.hidden for output in chosen]),
            exit_hidden=np.concatenate(exits) if exits else None,
        )


def _copied(output: StepOutput) -> StepOutput:
    exits = output.exit_hidden
    return StepOutput(
        logits=output.logits.copy(),
        hidden=output.hidden.copy(),
        exit_hidden=None if exits is None else exits.copy(),
    )


def _fastest_threads(
    model: PackedModel, path: str, fingerprint: str, notes: Path | None
) -> tuple[int, str]:
    """Return how many threads make single tokens fastest: a median, for each count, in turn."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = sorted({1, cores or 1})
    if len(counts) == 1:
        return 1, "the only core"
    key = f"{platform.processor() or platform.machine()} {cores} cores {fingerprint}"
    known = _read_notes(notes)
    if isinstance(found := known.get(key), int) and 1 <= found <= (cores or 1):
        return found, f"measured before, in {notes}"
    cache = PagedCache(model.config, 1)
    runners = {count: NativeRunner(model, cache, threads=count, path=path) for count in counts}
    batch = batch_of([Span(token_ids=[1], start=0, blocks=[0])])
    times: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(_MEASURED_STEPS + 1):
        for count, runner in runners.items():
            started = time.perf_counter()
            runner.forward(batch)
            times[count].append(time.perf_counter() - started)
    for runner in runners.values():
        runner.close()
    medians = {count: statistics.median(seconds[1:]) for count, seconds in times.items()}
    best = min(counts, key=medians.__getitem__)
    if notes is not None:
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text(json.dumps({**known, key: best}, indent=1) + "\n")
    said = ", ".join(f"{count}: {1e3 * medians[count]:.1f} ms" for count in counts)
    return best, f"measured a token, {said}"


def _read_notes(notes: Path | None) -> dict[str, object]:
    try:
        known = json.loads(notes.read_text()) if notes is not None else {}
    except (OSError, ValueError):
        return {}  # never measured here, or an unreadable note: measured again
    return known if isinstance(known, dict) else {}
