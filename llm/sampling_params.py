"""The knobs of sampling that everybody knows, validated and frozen.

Does not know how they are applied (`llm/decoding/`) nor what a token is.
"""

import math
from dataclasses import dataclass
from typing import Literal

MAX_STOP_STRINGS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How to draw tokens and when to end.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 switch those cuts off. `seed` None
    asks the engine for a fresh one, which it records in the completion. `max_tokens` None means
    "until the context is full". With `overflow` "roll", prompt and completion may be longer than
    the context: the model then sees the first few tokens and the last ones that fit. After
    `timeout_s` seconds the request ends with what it has.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    overflow: Literal["error", "roll"] = "error"
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 10):
            raise ValueError(f"temperature must be in [0, 10], got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be >= 0 (0 switches it off), got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be in [0, 1], got {self.min_p}")
        if self.seed is not None and not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"seed must fit in 64 bits, got {self.seed}")
        self._check_the_end()

    def _check_the_end(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be >= 1, got {self.max_tokens}")
        if self.overflow not in ("error", "roll"):
            raise ValueError(f"overflow must be 'error' or 'roll', got {self.overflow!r}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be > 0 seconds, got {self.timeout_s}")
        if len(self.stop) > MAX_STOP_STRINGS:
            raise ValueError(
                f"at most {MAX_STOP_STRINGS} stop strings are taken, got {len(self.stop)}"
            )
        if any(not s for s in self.stop):
            raise ValueError("a stop string must not be empty; leave it out instead")
