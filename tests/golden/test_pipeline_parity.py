"""The pipeline, batched and compacted, against the dense reference, on small vocabularies."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.account import TokenLogProbs
from llm.decoding.phases import Forwards, Guidance, ShapedLogits
from llm.decoding.pipeline import Pipeline
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.sampler import BatchSampler
from llm.errors import ConstraintConflictError
from llm.native.loader import load_library
from llm.sampling_params import Dry, Mirostat, SamplingParams
from tests.golden.philox_reference import gumbel, philox
from tests.golden.pipeline_reference import (
    CANDIDATES,
    NothingLeftError,
    ReferenceRequest,
    ReferenceStep,
    Row,
    next_ceiling,
    step,
    stored,
)
from tests.golden.toy_guidance import (
    ToyComposer,
    ToyFactor,
    ToyMark,
    composer_reference,
    factor_reference,
    noise_reference,
    reweight_reference,
)
from tests.llm.decoding.toy_tokens import ToyTokens, numbered, spelled

TOKENS = spelled(*"abcde", *"\n:.", "ab", "ba", "abc", "cab", "dd", "ddd", "e.", ".e", "a:", "ca")
V = TOKENS.size
STEPS = 7

ids = st.lists(st.integers(0, V - 1), max_size=4, unique=True).map(tuple)
few = st.lists(st.sampled_from(["ab", "abc", "dd", "e", "ca.", "bca"]), max_size=2, unique=True)


@st.composite
def cuts(draw: st.DrawFn) -> dict[str, object]:
    """Thresholds that no probability meets exactly."""
    if draw(st.integers(0, 5)) == 0:
        tau = draw(st.sampled_from([1.03, 2.51]))
        return {"mirostat": Mirostat(tau=tau, eta=draw(st.sampled_from([0.11, 0.83])))}
    thresholds = {
        "top_k": st.sampled_from([1, 3, 12, 99]),
        "top_p": st.sampled_from([0.31, 0.8137, 0.9913]),
        "min_p": st.sampled_from([0.0517, 0.2129]),
        "typical_p": st.sampled_from([0.2317, 0.9031]),
        "epsilon_cutoff": st.sampled_from([0.0213, 0.613]),
        "eta_cutoff": st.sampled_from([0.0313, 0.7131]),
        "top_n_sigma": st.sampled_from([0.431, 1.713]),
    }
    names = draw(st.lists(st.sampled_from(sorted(thresholds)), max_size=3, unique=True))
    return {name: draw(thresholds[name]) for name in names}


@st.composite
def penalties(draw: st.DrawFn) -> dict[str, object]:
    biases = st.sampled_from([-99.0, -1.3, 0.7, 4.0, 60.0, -100.0, 100.0, float("inf")])
    pairs = st.dictionaries(st.integers(0, V - 1), biases, max_size=3)
    dry = st.builds(
        Dry,
        multiplier=st.sampled_from([3.1, 0.8, 0.0]),
        base=st.sampled_from([1.0, 1.75, 9.0]),
        allowed_length=st.sampled_from([1, 2]),
        breakers=st.sampled_from([("\n", ":"), ("b",), ()]),
    )
    return {
        "repetition_penalty": draw(st.sampled_from([1.0, 1.31, 0.83])),
        "repetition_scope": draw(st.sampled_from(["all", "output"])),
        "presence_penalty": draw(st.sampled_from([0.0, 0.7, -0.4])),
        "frequency_penalty": draw(st.sampled_from([0.0, 0.33, -1.1])),
        "dry": draw(dry),
        "logit_bias": tuple(draw(pairs).items()),
    }


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, object]:
    allowed = draw(st.none() | st.lists(st.integers(0, V - 1), min_size=3, unique=True))
    return {
        "allowed_token_ids": None if allowed is None else tuple(allowed),
        "banned_token_ids": draw(ids),
        "allowed_strings": tuple(draw(few)) if draw(st.booleans()) else (),
        "banned_strings": tuple(draw(few)),
        "min_tokens": draw(st.sampled_from([0, 0, 2, 5])),
    }


@st.composite
def asked(draw: st.DrawFn) -> SamplingParams:
    chosen: dict[str, object] = {
        "temperature": draw(st.sampled_from([1.0, 0.0, 0.63, 1.9])),
        "logprobs": draw(st.booleans()),
        "top_logprobs": draw(st.sampled_from([0, 2, 20])),
        "logprobs_mode": draw(st.sampled_from(["raw", "feasible", "final"])),
    }
    for part in (cuts(), penalties(), constraints()):
        if draw(st.booleans()):
            chosen |= draw(part)
    return SamplingParams(**chosen)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """Which toy objects guide a row."""

    factors: tuple[int, ...] = ()
    composers: tuple[tuple[int, float, float], ...] = ()
    mark: int | None = None
    by_noise: bool = False
    baseline: bool = False

    def built(self, size: int) -> Guidance:
        mark = None
        if self.mark is not None:
            mark = ToyMark(self.mark, size, by_noise=self.by_noise)
        return Guidance(
            composers=tuple(ToyComposer(n, size, w, head) for n, w, head in self.composers),
            factors=tuple(ToyFactor(n, size) for n in self.factors),
            mark=mark,
        )

    def referred(self, request: ReferenceRequest) -> ReferenceRequest:
        size = len(request.token_bytes)
        marked = self.mark is not None
        return replace(
            request,
            composers=tuple(composer_reference(n, size, w, head) for n, w, head in self.composers),
            factors=tuple(factor_reference(n, size) for n in self.factors),
            reweight=reweight_reference(self.mark or 0, size)
            if marked and not self.by_noise
            else None,
            noise=noise_reference(self.mark or 0, size) if marked and self.by_noise else None,
        )


guides = st.builds(
    Guides,
    factors=st.lists(st.integers(0, 99), max_size=2).map(tuple),
    composers=st.lists(
        st.tuples(
            st.integers(0, 99), st.sampled_from([0.0, 0.7, -1.1]), st.sampled_from([0.0, 0.1, 0.97])
        ),
        max_size=2,
    ).map(tuple),
    mark=st.none() | st.integers(0, 99),
    by_noise=st.booleans(),
    baseline=st.booleans(),
)


@dataclass(slots=True, kw_only=True)
class Pair:
    """A row of the pipeline and its reference, with what both have written."""

    number: int
    row: PipelineRow
    request: ReferenceRequest
    ceiling: float
    guides: Guides
    price: float = 0.0
    output: list[int] = field(default_factory=list)

    def logits(self) -> Row:
        """A model: something of the number and all tokens, so that a difference spreads."""
        rng = np.random.default_rng([self.number, *self.output])
        z = rng.normal(size=len(self.request.token_bytes)) * (1 + self.number % 4)
        return np.round(z, 1) if self.number % 5 == 4 else z.astype(np.float32).astype(np.float64)

    def forwards(self) -> Forwards:
        rng = np.random.default_rng([self.number, 1, *self.output])
        hidden = rng.normal(size=3).astype(np.float32)
        baseline = rng.normal(size=len(self.request.token_bytes)).astype(np.float32) * 2
        return Forwards(
            hidden=hidden,
            baseline=ShapedLogits(baseline) if self.guides.baseline else None,
        )

    def take(self, token: int, done: ReferenceStep) -> None:
        self.price += done.price
        self.ceiling = next_ceiling(self.request.params, done, self.ceiling)
        self.output.append(token)
        self.row.take(token)


def paired(
    pipeline: Pipeline,
    tokens: ToyTokens,
    params: SamplingParams,
    number: int,
    guides: Guides,
) -> Pair | None:
    """Join both, or neither if the constraints contradict each other."""
    seed = (number * 0x9E3779B97F4A7C15) % 2**64 - (2**63 if number % 2 else 0)
    request = ReferenceRequest(
        params=params,
        seed=max(seed, -(2**63)),
        prompt=tuple(int(v) for v in np.random.default_rng(number).integers(0, 6, 9)),
        token_bytes=tokens.token_bytes,
        eos_ids=tokens.eos_ids,
        stream=number % 3,
    )
    request = guides.referred(request)
    guidance = guides.built(tokens.size)
    try:
        row = pipeline.join(params, request.seed, request.prompt, guidance, stream=request.stream)
    except ConstraintConflictError:
        with pytest.raises(NothingLeftError):
            step(request, [], np.zeros(tokens.size))
        return None
    ceiling = 2 * params.mirostat.tau if params.mirostat else np.inf
    return Pair(number=number, row=row, request=request, ceiling=ceiling, guides=guides)


def assert_same_step(pipeline: Pipeline, pairs: list[Pair]) -> list[Pair]:
    """Draw once for all; return those that go on."""
    if not pairs:
        return []
    z = [pair.logits() for pair in pairs]
    forwards = [pair.forwards() for pair in pairs]
    rows = [pair.row for pair in pairs]
    result = pipeline.draw(np.stack(z).astype(np.float32), rows, forwards)
    going = []
    for i, (pair, raw) in enumerate(zip(pairs, z, strict=True)):
        try:
            done = step(pair.request, pair.output, stored(raw), forwards[i], most_bits=pair.ceiling)
        except NothingLeftError:
            assert isinstance(result.errors[i], ConstraintConflictError)
            pipeline.leave(pair.row)
            continue
        assert i not in result.errors
        assert int(result.token_ids[i]) == done.token
        assert_same_account(pair.request.params, result.logprobs.get(i), done)
        pair.take(done.token, done)
        if pair.request.composers or pair.request.factors:
            assert pair.row.kl_nats == pytest.approx(pair.price, rel=1e-4, abs=1e-5)
        going.append(pair)
    return going


def assert_same_account(
    params: SamplingParams, told: TokenLogProbs | None, done: ReferenceStep
) -> None:
    assert (told is not None) == params.logprobs
    if told is None:
        return
    mode = params.logprobs_mode
    assert told.log_prob == pytest.approx(done.log_prob(mode, done.token), abs=1e-6)
    assert told.raw == pytest.approx(done.log_prob("raw", done.token), abs=1e-6)
    assert told.feasible == pytest.approx(done.log_prob("feasible", done.token), abs=1e-6)
    assert told.entropy == pytest.approx(done.entropy, abs=1e-6)
    everything = done.log_probs(mode)
    best = sorted(everything, key=lambda v: (-everything[v], v))[: params.top_logprobs]
    assert [v for v, _ in told.top] == best
    assert [x for _, x in told.top] == pytest.approx([everything[v] for v in best], abs=1e-6)


def assert_same_text(
    tokens: ToyTokens, rows: list[tuple[SamplingParams, int, Guides]], steps: int
) -> None:
    for library in {None, load_library()}:
        pipeline = Pipeline(BatchSampler(library), tokens)
        pairs = [paired(pipeline, tokens, *row) for row in rows]
        running = [pair for pair in pairs if pair is not None]
        for _ in range(steps):
            running = assert_same_step(pipeline, running)


@settings(max_examples=60)
@given(st.lists(st.tuples(asked(), st.integers(0, 2**16), guides), min_size=1, max_size=5))
def test_mixed_batches_draw_what_the_reference_draws(
    rows: list[tuple[SamplingParams, int, Guides]],
) -> None:
    assert_same_text(TOKENS, rows, STEPS)


@settings(max_examples=12)
@given(st.lists(st.tuples(asked(), st.integers(0, 2**16), guides), min_size=1, max_size=3))
def test_factors_look_at_the_most_probable_tokens_alone(
    rows: list[tuple[SamplingParams, int, Guides]],
) -> None:
    """There are more tokens than candidates, and the others cannot come."""
    assert_same_text(numbered(CANDIDATES + 57), rows, 3)


@settings(max_examples=30)
@given(asked(), st.integers(0, 2**16), guides)
def test_a_fork_goes_on_as_the_reference_under_its_own_number(
    params: SamplingParams, number: int, guides: Guides
) -> None:
    pipeline = Pipeline(BatchSampler(None), TOKENS)
    first = paired(pipeline, TOKENS, params, number, replace(guides, mark=None))
    running = [] if first is None else [first]
    for _ in range(3):
        running = assert_same_step(pipeline, running)
    for parent in list(running):
        twin = replace(
            parent,
            row=pipeline.fork(parent.row, stream=5),
            request=replace(parent.request, stream=5),
            output=list(parent.output),
        )
        running.append(twin)
    for _ in range(4):
        running = assert_same_step(pipeline, running)


def test_philox_gives_its_known_answers() -> None:
    """The vectors of the reference implementation (Salmon et al., SC 2011)."""
    ones = 2**32 - 1
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    known = {
        ((0, 0, 0, 0), (0, 0)): "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ((ones,) * 4, (ones, ones)): "408f276d 41c83b0e a20bc7c6 6d5451fd",
        (pi, (0xA4093822, 0x299F31D0)): "d16cfe09 94fdcceb 5001e420 24126ea1",
    }
    for (counter, key), words in known.items():
        assert " ".join(f"{word:08x}" for word in philox(counter, key)) == words


def test_noise_of_the_largest_words_is_finite() -> None:
    noise = [gumbel(v, seed=-1, position=2**33 + 5, stream=2**32 - 1) for v in range(4000)]
    assert np.isfinite(noise).all()
    assert np.mean(noise) == pytest.approx(np.euler_gamma, abs=0.1)
