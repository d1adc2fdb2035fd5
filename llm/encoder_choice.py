"""Which runner computes a text encoder here: what was built, what is as good, what is faster.

The int8 path is taken in place of float32 only after it gave nearly the same vectors for the
sentences below, on this machine and with these weights: vectors of both may then stand in one
collection, and the encoder keeps its fingerprint. Where the processor multiplies bytes in one
instruction int8 is known to be faster; elsewhere both are timed once, and the note is kept.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from llm.encoder import BertEncoder
from llm.encoder_runner import EncoderRunner, TorchEncoderRunner
from llm.errors import UnsupportedModelError
from llm.native.encoder_interface import has_encoder
from llm.native.loader import kernel_paths
from llm.native_encoder import NativeEncoderRunner
from llm.packed_encoder import pack_encoder, why_not_packed_encoder
from llm.precision import Precision

LEAST_COSINE = 0.99  # of any one sentence
LEAST_MEAN = 0.998
_FAST_BYTES = ("amx-int8", "avx512-vnni")
_ROUNDS = 3
_TIMED_TOKENS = 96

PROBES = (
    "Yes.",
    "How do I reset the router?",
    "The warranty lasts 24 months from the day of purchase.",
    "Bookings can be cancelled free of charge until 6 pm on the day before arrival.",
    "which of the two plans is cheaper if I only travel within Europe",
    "def mean(values): return sum(values) / len(values)",
    "Zellen, die kein Insulin bilden, wurden in der dritten Woche untersucht.",
    "Patients over 65 who received the higher dose had fewer infections, but their mortality after"
    " thirty days did not differ from that of the group that was given a placebo (p = 0.41).",
    "Your card was declined because the billing address does not match the one that your bank has"
    " on file. Change the address in your settings, wait ten minutes, and pay again; no money was"
    " taken. If it fails a second time, another card or a transfer will work.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenEncoder:
    """A runner, why it was taken, and whether its vectors may stand beside float32's."""

    runner: EncoderRunner
    reason: str
    is_compatible: bool


def choose_encoder(
    encoder: BertEncoder,
    *,
    precision: Precision,
    threads: int,
    tokens_of: Callable[[str], list[int]],
    name: str,
    kernels: str | None = None,
    notes: Path | None = None,
) -> ChosenEncoder:
    """Build the runner; `kernels` is one of `kernel_paths()`, None the fastest.

    With `notes`, a file, what was timed is kept for the next start under `name`.

    Raises:
        UnsupportedModelError: int8 was asked for, and the kernels cannot run this encoder.
    """
    torch_runner = TorchEncoderRunner(encoder)
    if (reason := _why_torch(encoder, precision)) is not None:
        return _in_float32(torch_runner, reason)
    path = kernels or kernel_paths()[0]
    native = NativeEncoderRunner(pack_encoder(encoder), threads=threads, path=path)
    rows = [tokens_of(text)[: native.longest] for text in PROBES]
    same = _cosines(torch_runner, native, rows)
    parity = f"cosine with float32 {same.mean():.4f}, at least {same.min():.4f}"
    is_compatible = bool(same.min() >= LEAST_COSINE and same.mean() >= LEAST_MEAN)
    if precision == "int8":
        return ChosenEncoder(
            runner=native, reason=f"int8 on {path}, as set; {parity}", is_compatible=is_compatible
        )
    if not is_compatible:
        native.close()
        return _in_float32(torch_runner, f"int8 gives other vectors: {parity}")
    speed = "which multiplies bytes"
    if path not in _FAST_BYTES:
        key = f"{platform.processor() or platform.machine()} {threads} threads {path} {name}"
        gain = _gain(torch_runner, native, rows, key, notes)
        speed = f"{gain:.1f} times as fast as float32"
        if gain <= 1:
            native.close()
            return _in_float32(torch_runner, f"int8 on {path} is {speed}")
    return ChosenEncoder(
        runner=native, reason=f"int8 on {path}, {speed}; {parity}", is_compatible=True
    )


def _in_float32(runner: TorchEncoderRunner, reason: str) -> ChosenEncoder:
    return ChosenEncoder(runner=runner, reason=f"float32 on torch ({reason})", is_compatible=True)


def _why_torch(encoder: BertEncoder, precision: Precision) -> str | None:
    if precision == "float32":
        return "as set"
    if not has_encoder():
        known = "are of an older build" if kernel_paths() else "were not built"
        reason = f"the compiled kernels {known}: install causerie again, with a C++ compiler"
    elif (misfit := why_not_packed_encoder(encoder.config)) is not None:
        reason = misfit
    else:
        return None
    if precision == "int8":
        raise UnsupportedModelError(f"the int8 kernels cannot run this encoder: {reason}")
    return reason


def _cosines(one: EncoderRunner, other: EncoderRunner, rows: Sequence[list[int]]) -> np.ndarray:
    return np.asarray((one.vectors(rows) * other.vectors(rows)).sum(axis=1))


def _gain(
    slow: EncoderRunner,
    fast: EncoderRunner,
    rows: Sequence[list[int]],
    key: str,
    notes: Path | None,
) -> float:
    """Return by what factor `fast` is faster, timed in turn, or as noted before."""
    known = _read(notes)
    if isinstance(found := known.get(key), float):
        return found
    longest = max(rows, key=len)
    text = (longest * (_TIMED_TOKENS // len(longest) + 1))[: min(_TIMED_TOKENS, fast.longest)]
    times: dict[Literal["slow", "fast"], list[float]] = {"slow": [], "fast": []}
    for _ in range(_ROUNDS + 1):
        for which, runner in (("slow", slow), ("fast", fast)):
            started = time.perf_counter()
            runner.vectors([text] * 4)
            times["slow" if which == "slow" else "fast"].append(time.perf_counter() - started)
    gain = statistics.median(times["slow"][1:]) / statistics.median(times["fast"][1:])
    if notes is not None:
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text(json.dumps({**known, key: gain}, indent=1) + "\n", encoding="utf-8")
    return gain


def _read(notes: Path | None) -> dict[str, object]:
    try:
        known = json.loads(notes.read_text(encoding="utf-8")) if notes is not None else {}
    except (OSError, ValueError):
        return {}  # never measured here, or an unreadable note: measured again
    return known if isinstance(known, dict) else {}
