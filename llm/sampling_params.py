"""The knobs of sampling that everybody knows, validated and frozen.

Does not know how they are applied (`llm/decoding/`) nor which tokens a model has.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm.stop_pattern import StopPattern

LogProbsMode = Literal["raw", "feasible", "final"]

MAX_STOP_STRINGS = 16
MAX_STOP_PATTERNS = 4
MAX_TOP_LOGPROBS = 20
MAX_TOKEN_IDS = 2**18
MAX_STRINGS = 1024
MAX_STRING_BYTES = 2**14
MAX_BREAKERS = 64
BAN = -100.0  # a bias so low is no preference but a ban
FORCE = 100.0  # and one so high an order


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirostat:
    """Mirostat version 2 (arXiv 2007.14966): a cut that keeps the surprise of the text at `tau`.

    `tau` is in bits per token; `eta` is how fast the cut follows.
    """

    tau: float = 5.0
    eta: float = 0.1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tau) and self.tau > 0):
            raise ValueError(f"mirostat tau must be > 0 bits, got {self.tau}")
        if not 0 < self.eta <= 1:
            raise ValueError(f"mirostat eta must be in (0, 1], got {self.eta}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dry:
    """A penalty on tokens that would prolong a repetition ("don't repeat yourself").

    A token that would continue a match of m >= `allowed_length` tokens with earlier text loses
    `multiplier * base ** (m - allowed_length)`. Matches do not reach over a token whose text
    contains one of the `breakers`, and such tokens are not penalised.
    """

    multiplier: float
    base: float = 1.75
    allowed_length: int = 2
    breakers: tuple[str, ...] = ("\n", ":", '"', "*")

    def __post_init__(self) -> None:
        if not 0 <= self.multiplier <= 100:
            raise ValueError(f"dry multiplier must be in [0, 100], got {self.multiplier}")
        if not 1 <= self.base <= 100:
            raise ValueError(f"dry base must be in [1, 100], got {self.base}")
        if self.allowed_length < 1:
            raise ValueError(f"dry allowed_length must be >= 1, got {self.allowed_length}")
        _check_strings("dry breakers", self.breakers, limit=MAX_BREAKERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How to draw tokens and when to end.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1, `min_p` 0, `typical_p` 1, `epsilon_cutoff` 0,
    `eta_cutoff` 0 and `top_n_sigma` 0 switch those cuts off; `mirostat` stands alone. `seed` None
    asks the engine for a fresh one, which it records in the completion.

    Penalties look at the tokens written; `repetition_penalty` at the prompt too unless its scope is
    "output". `logit_bias` holds pairs of token and bias, of which <= -100 bans and >= 100 forces.
    `allowed_token_ids` are the only ones that come, so the end of the text must be listed if it may
    come. With `allowed_strings` the text is a series of these strings, whole at its end;
    `banned_strings` never occur in it. No end before `min_tokens`.

    `max_tokens` None means "until the context is full". A string of `stop` or a match of a
    `stop_regex` ends the text before it. With `overflow` "roll", prompt and completion may be
    longer than the context: the model then sees the first few tokens and the last ones that fit.
    After `timeout_s` seconds the request ends with what it has.

    With `logprobs` the log-probability of each token is told, as the model has it ("raw"), among
    the tokens that the constraints leave ("feasible") or among those that could be drawn ("final").
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    top_n_sigma: float = 0.0
    mirostat: Mirostat | None = None
    seed: int | None = None
    repetition_penalty: float = 1.0
    repetition_scope: Literal["all", "output"] = "all"
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    dry: Dry | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    allowed_token_ids: tuple[int, ...] | None = None
    banned_token_ids: tuple[int, ...] = ()
    allowed_strings: tuple[str, ...] = ()
    banned_strings: tuple[str, ...] = ()
    min_tokens: int = 0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_regex: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0
    logprobs_mode: LogProbsMode = "raw"
    overflow: Literal["error", "roll"] = "error"
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 10):
            raise ValueError(f"temperature must be in [0, 10], got {self.temperature}")
        if self.seed is not None and not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"seed must fit in 64 bits, got {self.seed}")
        self._check_the_cuts()
        self._check_the_penalties()
        self._check_the_constraints()
        self._check_the_end()
        self._check_the_account()

    @property
    def forced_token_ids(self) -> frozenset[int]:
        """The only tokens that may come if there are any: those of a bias of 100 or more."""
        return frozenset(token for token, bias in self.logit_bias if bias >= FORCE)

    @property
    def all_banned_token_ids(self) -> frozenset[int]:
        """The tokens that are banned by name, or by a bias of -100 or less."""
        by_bias = (token for token, bias in self.logit_bias if bias <= BAN)
        return frozenset((*self.banned_token_ids, *by_bias))

    @property
    def finite_bias(self) -> tuple[tuple[int, float], ...]:
        """The biases that are preferences, neither bans nor orders."""
        return tuple((token, bias) for token, bias in self.logit_bias if BAN < bias < FORCE)

    def _check_the_cuts(self) -> None:
        if self.top_k < 0:
            raise ValueError(f"top_k must be >= 0 (0 switches it off), got {self.top_k}")
        for name, value in (("top_p", self.top_p), ("typical_p", self.typical_p)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be in [0, 1], got {self.min_p}")
        for name, value in (
            ("epsilon_cutoff", self.epsilon_cutoff),
            ("eta_cutoff", self.eta_cutoff),
        ):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        if not 0 <= self.top_n_sigma <= 1000:
            raise ValueError(f"top_n_sigma must be in [0, 1000], got {self.top_n_sigma}")
        others = [name for name, off in _CUTS if getattr(self, name) != off]
        if self.mirostat is not None and others:
            raise ValueError(
                f"mirostat replaces the other cuts; leave out {', '.join(others)} or mirostat"
            )

    def _check_the_penalties(self) -> None:
        if not 0 < self.repetition_penalty <= 100:
            raise ValueError(
                f"repetition_penalty must be in (0, 100] (1 switches it off), got"
                f" {self.repetition_penalty}"
            )
        if self.repetition_scope not in ("all", "output"):
            raise ValueError(
                f"repetition_scope must be 'all' or 'output', got {self.repetition_scope!r}"
            )
        for name, value in (
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ):
            if not -2 <= value <= 2:
                raise ValueError(f"{name} must be in [-2, 2], got {value}")

    def _check_the_constraints(self) -> None:
        _check_ids("logit_bias", [token for token, _ in self.logit_bias])
        if len({token for token, _ in self.logit_bias}) < len(self.logit_bias):
            raise ValueError("logit_bias names a token twice; give each token one bias")
        for token, bias in self.logit_bias:
            if math.isnan(bias):
                raise ValueError(f"the logit_bias of token {token} must be a number, got {bias}")
        if self.allowed_token_ids is not None:
            if not self.allowed_token_ids:
                raise ValueError("allowed_token_ids is empty, so nothing could come; leave it out")
            _check_ids("allowed_token_ids", self.allowed_token_ids)
        _check_ids("banned_token_ids", self.banned_token_ids)
        _check_strings("allowed_strings", self.allowed_strings, limit=MAX_STRINGS)
        _check_strings("banned_strings", self.banned_strings, limit=MAX_STRINGS)

    def _check_the_end(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be >= 1, got {self.max_tokens}")
        if self.min_tokens < 0:
            raise ValueError(f"min_tokens must be >= 0, got {self.min_tokens}")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens {self.min_tokens} is more than max_tokens {self.max_tokens};"
                " lower it or raise max_tokens"
            )
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
        if len(self.stop_regex) > MAX_STOP_PATTERNS:
            raise ValueError(
                f"at most {MAX_STOP_PATTERNS} stop_regex are taken, got {len(self.stop_regex)}"
            )
        for pattern in self.stop_regex:
            StopPattern(pattern)

    def _check_the_account(self) -> None:
        if not 0 <= self.top_logprobs <= MAX_TOP_LOGPROBS:
            raise ValueError(
                f"top_logprobs must be in [0, {MAX_TOP_LOGPROBS}], got {self.top_logprobs}"
            )
        if self.logprobs_mode not in ("raw", "feasible", "final"):
            raise ValueError(
                f"logprobs_mode must be 'raw', 'feasible' or 'final', got {self.logprobs_mode!r}"
            )


# Each cut and the value that switches it off.
_CUTS: tuple[tuple[str, float], ...] = (
    ("top_k", 0),
    ("top_p", 1),
    ("min_p", 0),
    ("typical_p", 1),
    ("epsilon_cutoff", 0),
    ("eta_cutoff", 0),
    ("top_n_sigma", 0),
)


def _check_ids(name: str, ids: Sequence[int]) -> None:
    if len(ids) > MAX_TOKEN_IDS:
        raise ValueError(f"{name} may name {MAX_TOKEN_IDS} tokens at most, got {len(ids)}")
    for token in ids:
        if not 0 <= token < MAX_TOKEN_IDS:
            raise ValueError(f"{name} must hold token ids >= 0 of the model, got {token}")


def _check_strings(name: str, strings: Sequence[str], *, limit: int) -> None:
    if any(not s for s in strings):
        raise ValueError(f"{name} must not hold an empty string; leave it out instead")
    if len(strings) > limit:
        raise ValueError(f"{name} may hold {limit} strings at most, got {len(strings)}")
    try:
        size = sum(len(s.encode()) for s in strings)
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be text; one holds half a surrogate pair") from None
    if size > MAX_STRING_BYTES:
        raise ValueError(
            f"{name} may hold {MAX_STRING_BYTES} bytes of UTF-8 at most, got {size}; shorten it"
        )
