"""The decoding pipeline by its definitions: one row, every token, the whole history each time.

Nothing is batched, compacted, counted on or kept; numbers are float64, rounded to float32 where the
pipeline stores its logits so. Randomness is a Philox of plain integers. `v` is the vocabulary.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from llm.decoding.phases import Forwards, ShapedLogits
from llm.sampling_params import SamplingParams
from tests.golden.philox_reference import gumbel

CANDIDATES = 200  # how many tokens factors look at unless it is said

Row = Float64[np.ndarray, " v"]
History = Sequence[int]  # the tokens of the output so far

# Of an output: the tokens that may follow it.
Legal = Callable[[History], set[int]]
# Of an output, shaped logits and forwards: the least logit kept, and what is added to every token.
Composer = Callable[[History, Row, Forwards], tuple[float, Row]]
# Of an output and forwards: what is added to every token.
Factor = Callable[[History, Forwards], Row]
# Of an output: the noise of every token, None for that of the request's seed; or of an output and
# log-probabilities: other ones.
Noise = Callable[[History], Row | list[float] | None]
Reweight = Callable[[History, dict[int, float]], dict[int, float]]
# Of prompt and output: raw logits, and what else the forwards say.
Model = Callable[[Sequence[int]], tuple[Row, Forwards]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRequest:
    """What is asked, with the branch objects as functions of the output."""

    params: SamplingParams
    seed: int
    prompt: tuple[int, ...]
    token_bytes: tuple[bytes, ...]
    eos_ids: frozenset[int]
    stream: int = 0
    legal: Legal | None = None
    composers: tuple[Composer, ...] = ()
    factors: tuple[Factor, ...] = ()
    candidates: int = CANDIDATES
    reweight: Reweight | None = None
    noise: Noise | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceStep:
    """The logits after each phase, the survivors' log-probabilities, and what was drawn."""

    raw: Row
    feasible: Row
    shaped: Row
    composed: Row
    steered: Row
    survivors: dict[int, float]
    token: int
    price: float

    def log_prob(self, mode: str, token: int) -> float:
        """Return the log-probability of a token, -inf if it has none."""
        return self.log_probs(mode).get(token, -math.inf)

    def log_probs(self, mode: str) -> dict[int, float]:
        """Return those of all tokens that have one."""
        if mode == "final":
            total = math.log(sum(math.exp(x) for x in self.survivors.values()))
            return {v: x - total for v, x in self.survivors.items()}
        log_p = log_softmax(self.raw if mode == "raw" else self.feasible)
        return {v: float(x) for v, x in enumerate(log_p) if x > -math.inf}

    @property
    def entropy(self) -> float:
        """Return that of the model itself, in nats."""
        log_p = log_softmax(self.raw)
        return -math.fsum(math.exp(x) * x for x in log_p.tolist() if x > -math.inf)


class NothingLeftError(Exception):
    """The constraints leave no token."""


# --- small arithmetic ------------------------------------------------------------------------


def stored(z: Row) -> Row:
    """Return logits as the pipeline keeps them between phases."""
    return z.astype(np.float32).astype(np.float64)


def log_softmax(z: Row) -> Row:
    peak = z.max()
    log_p: Row = z - (peak + np.log(np.exp(z - peak).sum()))
    return log_p


# --- P1 --------------------------------------------------------------------------------------


def feasible_tokens(request: ReferenceRequest, output: History) -> set[int]:
    params = request.params
    text = b"".join(request.token_bytes[v] for v in output)
    left = set(range(len(request.token_bytes)))
    if request.legal is not None:
        left &= request.legal(output)
    if params.allowed_token_ids is not None:
        left &= set(params.allowed_token_ids)
    left -= set(params.banned_token_ids)
    left -= {v for v, bias in params.logit_bias if bias <= -100}
    if any(bias >= 100 for _, bias in params.logit_bias):
        left &= {v for v, bias in params.logit_bias if bias >= 100}
    if len(output) < params.min_tokens:
        left -= request.eos_ids
    banned = [string.encode() for string in params.banned_strings]
    left = {v for v in left if not _completes(text, request.token_bytes[v], banned)}
    if params.allowed_strings:
        strings = [string.encode() for string in params.allowed_strings]
        left = {v for v in left if _keeps_to(strings, text, v, request)}
    return left


def _completes(text: bytes, more: bytes, strings: list[bytes]) -> bool:
    """Whether a string ends within `more`."""
    ends = range(len(text) + 1, len(text) + len(more) + 1)
    return any((text + more)[:end].endswith(string) for end in ends for string in strings)


def _keeps_to(strings: list[bytes], text: bytes, v: int, request: ReferenceRequest) -> bool:
    if v in request.eos_ids:
        return bool(text) and _is_series(strings, text, whole=True)
    more = request.token_bytes[v]
    return bool(more) and _is_series(strings, text + more, whole=False)


def _is_series(strings: list[bytes], text: bytes, *, whole: bool) -> bool:
    if not text:
        return True
    if not whole and any(string.startswith(text) for string in strings):
        return True
    return any(
        text.startswith(string) and _is_series(strings, text[len(string) :], whole=whole)
        for string in strings
    )


# --- P2 --------------------------------------------------------------------------------------


def shaped_logits(request: ReferenceRequest, output: History, z: Row) -> Row:
    params = request.params
    z = z.copy()
    scope = {*output, *(request.prompt if params.repetition_scope == "all" else ())}
    r = params.repetition_penalty
    for v in scope if r != 1 else ():
        z[v] = _stored_finite(z[v] / r if z[v] > 0 else z[v] * r, z[v])
    if params.presence_penalty or params.frequency_penalty:
        for v, count in Counter(output).items():
            less = params.presence_penalty + params.frequency_penalty * count
            z[v] = _stored_finite(z[v] - less, z[v])
    for v, less in _dry(request, output).items():
        z[v] = _stored_finite(z[v] - less, z[v])
    for v, bias in params.logit_bias:
        if -100 < bias < 100:
            z[v] = _stored_finite(z[v] + bias, z[v])
    return z


def _stored_finite(changed: float, before: float) -> float:
    if not math.isfinite(before):
        return before
    limit = float(np.finfo(np.float32).max)
    return float(np.float32(min(max(changed, -limit), limit)))


def _dry(request: ReferenceRequest, output: History) -> dict[int, float]:
    """Return what each token loses that would prolong a repetition."""
    dry = request.params.dry
    if dry is None or not dry.multiplier:
        return {}
    history = [*request.prompt, *output]
    cuts = [cut.encode() for cut in dry.breakers]
    breaks = [any(cut in data for cut in cuts) for data in request.token_bytes]
    longest: dict[int, int] = {}
    for i, v in enumerate(history):
        m = 0
        while m < i and history[i - 1 - m] == history[-1 - m] and not breaks[history[-1 - m]]:
            m += 1
        if not breaks[v] and m >= dry.allowed_length:
            longest[v] = max(longest.get(v, 0), m)
    return {
        v: min(dry.multiplier * dry.base ** min(m - dry.allowed_length, 99), 1e4)
        for v, m in longest.items()
    }


# --- P3 and P4 -------------------------------------------------------------------------------


def composed_logits(request: ReferenceRequest, output: History, z: Row, forwards: Forwards) -> Row:
    if not request.composers:
        return z
    if forwards.baseline is not None:
        other = np.where(z > -np.inf, forwards.baseline.astype(np.float64), -np.inf)
        shaped = shaped_logits(request, output, other).astype(np.float32)
        forwards = replace(forwards, baseline=ShapedLogits(shaped))
    said = [composer(output, z, forwards) for composer in request.composers]
    least = max(least for least, _ in said)
    kept = (z >= least) & (z > -np.inf)
    moved = np.full(len(z), -np.inf)
    moved[kept] = stored(z[kept] + np.sum([shift[kept] for _, shift in said], axis=0))
    return moved


def steered_logits(request: ReferenceRequest, output: History, z: Row, forwards: Forwards) -> Row:
    if not request.factors:
        return z
    by_rank = sorted(range(len(z)), key=lambda v: (-z[v], v))
    candidates = [v for v in by_rank[: request.candidates] if z[v] > -np.inf]
    weight = np.sum([factor(output, forwards) for factor in request.factors], axis=0)
    moved = np.full(len(z), -np.inf)
    moved[candidates] = stored(z + weight)[candidates]
    return moved


# --- P5 --------------------------------------------------------------------------------------


def survivors_of(params: SamplingParams, z: Row, most_bits: float = math.inf) -> dict[int, float]:
    """Return the tokens that may be drawn with their tempered log-probabilities."""
    possible = [v for v in range(len(z)) if z[v] > -np.inf]
    by_rank = sorted(possible, key=lambda v: (-z[v], v))
    if params.temperature < 1e-5:
        return {by_rank[0]: 0.0}
    log_p = log_softmax((z - z.max()) / params.temperature)
    p = np.exp(log_p)
    entropy = -sum(p[v] * log_p[v] for v in possible)
    cuts: list[set[int]] = [set(possible)]
    if params.top_k > 0:
        cuts.append(set(by_rank[: params.top_k]))
    if params.top_p < 1:
        cuts.append(_until(params.top_p, by_rank, p))
    if params.min_p > 0:
        cuts.append({v for v in possible if log_p[v] >= math.log(params.min_p) + log_p.max()})
    if params.typical_p < 1:
        near = sorted(by_rank, key=lambda v: abs(-log_p[v] - entropy))  # stable
        cuts.append(_until(params.typical_p, near, p))
    if params.epsilon_cutoff > 0:
        cuts.append({v for v in possible if p[v] >= params.epsilon_cutoff})
    if params.eta_cutoff > 0:
        least = min(params.eta_cutoff, math.sqrt(params.eta_cutoff) * math.exp(-entropy))
        cuts.append({v for v in possible if p[v] >= least})
    if params.top_n_sigma > 0:
        lowest = z.max() - params.top_n_sigma * np.std(z[possible])
        cuts.append({v for v in possible if z[v] >= lowest})
    if params.mirostat is not None:
        cuts.append({v for v in possible if -log_p[v] / math.log(2) <= most_bits})
    kept = set.intersection(*cuts) or {by_rank[0]}
    return {v: float(log_p[v]) for v in sorted(kept)}


def _until(mass: float, order: list[int], p: Row) -> set[int]:
    """Return the smallest beginning whose mass reaches so much."""
    total = 0.0
    for count, v in enumerate(order, 1):
        total += float(p[v])
        if total >= mass:
            return set(order[:count])
    return set(order)


# --- a step and a sequence -------------------------------------------------------------------


def step(
    request: ReferenceRequest,
    output: History,
    raw: Row,
    forwards: Forwards | None = None,
    *,
    most_bits: float = math.inf,
) -> ReferenceStep:
    """Run all phases once; `most_bits` is mirostat's ceiling.

    Raises:
        NothingLeftError: no token may come.
    """
    forwards = forwards or Forwards()
    allowed = feasible_tokens(request, output)
    feasible = np.array([z if v in allowed else -np.inf for v, z in enumerate(raw)])
    if not (feasible > -np.inf).any():
        raise NothingLeftError
    shaped = shaped_logits(request, output, feasible)
    composed = composed_logits(request, output, shaped, forwards)
    steered = steered_logits(request, output, composed, forwards)
    is_marked = request.reweight is not None or request.noise is not None
    is_greedy = request.params.temperature < 1e-5
    if is_marked and is_greedy:  # a greedy text is marked among its likeliest tokens
        survivors = survivors_of(SamplingParams(temperature=1.0, top_k=64), steered, math.inf)
    else:
        survivors = survivors_of(request.params, steered, most_bits)
    marked = survivors
    if request.reweight is not None and len(survivors) > 1:
        marked = request.reweight(output, survivors)
    if is_marked and is_greedy:
        token = min(marked, key=lambda v: (-marked[v], v))
    else:
        token = _drawn(request, output, marked)
    possible = steered > -np.inf
    drawn_from, itself = log_softmax(steered)[possible], log_softmax(shaped)[possible]
    return ReferenceStep(
        raw=raw,
        feasible=feasible,
        shaped=shaped,
        composed=composed,
        steered=steered,
        survivors=survivors,
        token=token,
        price=float((np.exp(drawn_from) * (drawn_from - itself)).sum()),
    )


def _drawn(request: ReferenceRequest, output: History, log_probs: dict[int, float]) -> int:
    if len(log_probs) == 1:
        return next(iter(log_probs))
    position = len(request.prompt) + len(output)

    def noise(v: int) -> float:
        return gumbel(v, seed=request.seed, position=position, stream=request.stream)

    keyed = None if request.noise is None else request.noise(output)
    score = {v: x + (noise(v) if keyed is None else keyed[v]) for v, x in log_probs.items()}
    return min(score, key=lambda v: (-score[v], v))


def next_ceiling(params: SamplingParams, done: ReferenceStep, ceiling: float) -> float:
    """Return mirostat's ceiling after a step."""
    if params.mirostat is None or params.temperature < 1e-5:
        return ceiling
    bits = -done.survivors[done.token] / math.log(2)
    return ceiling - params.mirostat.eta * (bits - params.mirostat.tau)


def generate(request: ReferenceRequest, model: Model, num_tokens: int) -> list[ReferenceStep]:
    """Return the steps until an end of the text or so many tokens, the end included."""
    params = request.params
    ceiling = math.inf if params.mirostat is None else 2 * params.mirostat.tau
    steps: list[ReferenceStep] = []
    while len(steps) < num_tokens:
        output = [done.token for done in steps]
        raw, forwards = model([*request.prompt, *output])
        done = step(request, output, raw, forwards, most_bits=ceiling)
        ceiling = next_ceiling(params, done, ceiling)
        steps.append(done)
        if done.token in request.eos_ids:
            break
    return steps


def text_until_stop(
    data: Sequence[bytes], stop: Sequence[str], may_stop: Callable[[str], bool] | None = None
) -> tuple[str, int | None]:
    """Return the text of some tokens up to the first stop string to be complete.

    Also how many of the tokens it took, None if there was no stop. Where `may_stop` refuses the
    text before a stop, the stop is text, and the next one begins behind it.
    """
    free = 0
    checked = 0
    for count in range(1, len(data) + 1):
        whole = _decoded(b"".join(data[:count]))
        for end in range(checked + 1, len(whole) + 1):
            found = [s for s in stop if whole[free:end].endswith(s)]
            if not found:
                continue
            text = whole[: end - max(map(len, found))]
            if may_stop is None or may_stop(text):
                return text, count
            free = end
        checked = len(whole)
    return b"".join(data).decode("utf-8", "replace"), None


def _decoded(data: bytes) -> str:
    """Decode without the character that is not whole yet."""
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")
