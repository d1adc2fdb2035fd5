"""What a request may ask and what may happen around it, as one table, and a run of any of them.

A semantic feature changes what is said; a neutral one may not change a byte. The test of the table
is `tests/llm/test_feature_matrix.py`.
"""

import atexit
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from llm.chat import Completion, TextDelta, TokenLogProb
from llm.decoding.grammar_spec import Choices
from llm.decoding.refused_pairs import check_pairs
from llm.decoding.sampler import BatchSampler
from llm.decoding.spec import Contrast, DecodeSpec, Experts, Search, Speculation, Steer
from llm.engine import Engine
from llm.engine_statistics import EngineLimits
from llm.errors import RefusedPairError
from llm.model_runner import Batch, ModelRunner, StepOutput
from llm.native.loader import load_library
from llm.sampling_params import Dry, Mirostat, SamplingParams
from llm.served_model import ServedModel
from tests.llm.small_model import CONTEXT, VOCABULARY, small_decoder, small_runner, write_heads

PROMPT = (7, 30, 5, 22, 41, 7, 30, 5, 9, 12, 55, 18, 40, 2, 7, 30, 33, 8, 27, 19)
OTHER_PROMPT = (3, 44, 5, 22, 17, 7, 26)  # the same question without evidence
MAX_TOKENS = 20
SEED = 2
TEMPERATURE = 0.6

# No piece of two characters of the vocabulary stands in them, so each has one spelling. Some begin
# with others, so that an output may end in two places.
OPTIONS = tuple(
    "".join(parts)
    for parts in itertools.product(
        ("0x", "kd", "77v"),
        ("qz-w", "4v:", "-mn"),
        ("x5m6", "0p,b"),
        ("k:9q", "-j3", "wv2"),
        ("d8u-hd", "h7z3,m"),
        ("", "7x", "d5"),
    )
)
PREDICTION = "iiiihhhhhhhhsssssssseeee7777 reerere 0xqz-wx5m6k:9qd8u-hd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """How one feature changes a request, or what is around it.

    `is_warm`: a plain request of the same prompt was answered before. `has_mates`: others run
    beside it. `is_crowded`: the cache has room for it alone, and others are more important.
    """

    name: str
    kind: Literal["semantic", "neutral"] = "semantic"
    params: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    is_warm: bool = False
    max_rows: int | None = None
    has_mates: bool = False
    is_crowded: bool = False


def _draft(name: str, *, is_warm: bool = False, **more: Any) -> Feature:
    asked = Speculation(drafter=name, **more)  # type: ignore[arg-type]
    return Feature(
        name=f"draft_{name}", kind="neutral", spec={"speculation": asked}, is_warm=is_warm
    )


FEATURES: Mapping[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature(name="grammar", spec={"grammar": Choices(options=OPTIONS)}),
        Feature(name="fudge", spec={"steer": (Steer(scorer="dull", weight=1.7),)}),
        Feature(name="reward", spec={"steer": (Steer(scorer="kind", weight=-4, method="reward"),)}),
        Feature(name="contrast", spec={"contrast": Contrast(weight=0.7, head=0.03)}),
        Feature(name="ngrams", spec={"contrast": Contrast(amateur="ngram:bigrams", head=0.02)}),
        Feature(name="experts", spec={"experts": Experts(expert="brave", anti_expert="timid")}),
        Feature(name="evidence", spec={"context_faithfulness": 0.7}),
        Feature(
            name="penalties",
            params={
                "repetition_penalty": 1.15,
                "presence_penalty": 0.2,
                "frequency_penalty": 0.1,
                "dry": Dry(multiplier=0.7, allowed_length=1, breakers=("7", " ")),
                "logit_bias": ((20, 0.7), (11, -1.5), (9, -100.0)),
            },
        ),
        Feature(
            name="strings",
            params={"banned_strings": ("ss", "hhh", "wx", ":0", "3d"), "min_tokens": 15},
        ),
        Feature(name="cuts", params={"top_p": 0.9137, "typical_p": 0.9531, "min_p": 0.0117}),
        Feature(name="mirostat", params={"mirostat": Mirostat(tau=1.5, eta=0.3)}),
        Feature(
            name="stop",
            params={"stop": ("sssss", "7x", "h7", "d5", "55s", "ssor", "hss", "eoo", "w\ufffd")},
        ),
        Feature(
            name="logprobs",
            params={"logprobs": True, "top_logprobs": 3, "logprobs_mode": "final"},
        ),
        Feature(name="choices", spec={"num_choices": 3}),
        Feature(
            name="beam",
            params={"temperature": 0.0},
            spec={"search": Search(method="beam", width=3, length_penalty=0.7)},
        ),
        Feature(name="prefix_cache", kind="neutral", is_warm=True),
        Feature(name="chunking", kind="neutral", max_rows=7),
        Feature(name="mates", kind="neutral", has_mates=True),
        Feature(name="preemption", kind="neutral", is_crowded=True),
        _draft("prompt", max_draft=5),
        _draft("prediction", prediction=PREDICTION, max_draft=3),
        _draft("ngram", ngram="bigrams"),
        _draft("grammar"),
        _draft("history", is_warm=True),
        _draft("auto", ngram="bigrams", prediction=PREDICTION),
    )
}
NEUTRAL = tuple(name for name, feature in FEATURES.items() if feature.kind == "neutral")
SEMANTIC = tuple(name for name, feature in FEATURES.items() if feature.kind == "semantic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request with its surroundings."""

    params: SamplingParams
    spec: DecodeSpec
    features: tuple[Feature, ...]

    @property
    def baseline(self) -> tuple[int, ...]:
        """The second prompt."""
        return OTHER_PROMPT if self.spec.context_faithfulness else ()


class ClashError(Exception):
    """Two features want the same thing in two ways, so nobody can ask for both."""


def wish(
    names: Iterable[str],
    *,
    params: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Wish:
    """Return the request that asks for some features, and for more.

    Raises:
        ClashError: they want different values of the same field.
        ValueError: they are refused where a request is made.
        RefusedPairError: they are refused by the table of pairs.
    """
    features = tuple(FEATURES[name] for name in names)
    of_params, of_spec = dict(params or {}), dict(spec or {})
    for feature in features:
        for asked, together in ((feature.params, of_params), (feature.spec, of_spec)):
            for key, value in asked.items():
                if key == "steer":
                    together[key] = (*together.get(key, ()), *value)
                elif together.setdefault(key, value) != value:
                    raise ClashError(f"{feature.name} wants another {key}")
    base = {"temperature": TEMPERATURE, "seed": SEED, "max_tokens": MAX_TOKENS}
    made = Wish(
        params=SamplingParams(**{**base, **of_params}),
        spec=DecodeSpec(**{"speculation": Speculation(drafter="off"), **of_spec}),
        features=features,
    )
    check_pairs(made.spec, made.params)
    return made


@cache
def is_possible(names: tuple[str, ...]) -> bool:
    """Whether some features can be asked for together."""
    try:
        wish(names)
    except (ClashError, ValueError, RefusedPairError):
        return False
    return True


def covering_rows(strength: int, *, largest: int, seed: int) -> list[tuple[str, ...]]:
    """Return sets of features such that any `strength` that go together are all in one of them.

    Greedy: each set begins with a combination that is in none yet, and takes what adds most.
    """
    shuffler = random.Random(seed)
    names = sorted(FEATURES)
    left = {each for each in itertools.combinations(names, strength) if is_possible(each)}
    rows: list[tuple[str, ...]] = []
    while left:
        row = list(min(left))
        others = [name for name in names if name not in row]
        while len(row) < largest and others:
            shuffler.shuffle(others)
            gains = {name: _gain(row, name, left, strength) for name in others}
            best = max(others, key=gains.__getitem__)
            others.remove(best)
            if gains[best] and all(is_possible(tuple(sorted((best, one)))) for one in row):
                row.append(best)
        row.sort()
        left -= set(itertools.combinations(row, strength))
        rows.append(tuple(row))
    return rows


def _gain(row: list[str], name: str, left: set[tuple[str, ...]], strength: int) -> int:
    pairs = itertools.combinations(row, strength - 1)
    return sum(tuple(sorted((*pair, name))) in left for pair in pairs)


# --- what is said ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, to the last bit."""

    text: str
    reason: str
    num_tokens: int
    log_probs: tuple[TokenLogProb, ...]
    steer_kl: float | None
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All that a request was told; what it may not depend on stands in `effort`."""

    answers: tuple[Answer, ...]
    effort: Mapping[str, int] = field(compare=False, default_factory=dict)


def answer_of(completion: Completion) -> Answer:
    return Answer(
        text=completion.text,
        reason=completion.finish_reason,
        num_tokens=completion.usage.completion_tokens,
        log_probs=completion.log_probs,
        steer_kl=completion.steer_kl,
        score=completion.score,
    )


# --- engines -----------------------------------------------------------------------------------


class Smaller:
    """A runner of which only some blocks are used."""

    def __init__(self, runner: ModelRunner, num_blocks: int) -> None:
        self._runner = runner
        self.num_blocks = num_blocks
        self.kernels = runner.kernels

    def forward(self, batch: Batch) -> StepOutput:
        return self._runner.forward(batch)

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        self._runner.copy_blocks(copies)


@cache
def served() -> ServedModel:
    compute = small_runner()
    assert compute.determinism == "strict"
    temporary = TemporaryDirectory(prefix="heads-")
    atexit.register(temporary.cleanup)
    folder = Path(temporary.name)
    write_heads(folder, compute.unembedding)
    decoder = small_decoder()
    return ServedModel(
        name="small",
        compute=compute,
        tokenizer=decoder.tokenizer,
        template=decoder.template,
        context_size=CONTEXT,
        size=VOCABULARY,
        num_layers=decoder.model.config.num_hidden_layers,
        head_folders=(folder,),
    )


def _engine(made: Wish) -> Engine:
    model = served()
    if any(feature.is_crowded for feature in made.features):
        beams = made.spec.search.width if made.spec.search.method == "beam" else 1
        least = 9 if made.spec.num_choices > 1 else 8
        blocks = max(least, 3 * beams * (1 + bool(made.baseline)) + 1)
        small = Smaller(model.compute.runner, blocks)
        model = replace(model, compute=replace(model.compute, runner=small))
    rows = [feature.max_rows for feature in made.features if feature.max_rows]
    limits = EngineLimits(max_rows=min(rows)) if rows else EngineLimits()
    return Engine(model, BatchSampler(load_library()), limits=limits)


def _add_mates(engine: Engine, made: Wish, steps: int) -> None:
    """Let others in: any that fit, or just those that come to need what the request has."""
    if any(feature.has_mates for feature in made.features) and steps in (0, 4):
        mate = SamplingParams(temperature=0.9, seed=5 + steps, max_tokens=12, top_p=0.9)
        steered = DecodeSpec(steer=(Steer(scorer="bright", weight=-1.0),))
        engine.add_request(PROMPT[:9], mate, lambda _: None, spec=steered)
        engine.add_request(PROMPT[4:], replace(mate, presence_penalty=0.5), lambda _: None)
    if any(feature.is_crowded for feature in made.features) and steps == 1:
        ends = SamplingParams(max_tokens=40, min_tokens=40)
        for first in (0, 1):
            prompt = [first, *PROMPT[:15]]
            engine.add_request(prompt, ends, lambda _: None, priority=-1)


def _run(engine: Engine, made: Wish) -> list[Any]:
    parts: list[Any] = []
    _add_mates(engine, made, 0)
    engine.add_request(
        PROMPT, made.params, parts.append, spec=made.spec, baseline_ids=made.baseline
    )
    steps = 0
    while engine.has_work:
        engine.step()
        steps += 1
        _add_mates(engine, made, steps)
        if steps % 4 == 0:
            engine.check()
    return parts


def spoken(names: Iterable[str]) -> list[Any]:
    """Return the pieces of an answer and its end, as they came."""
    made = wish(names)
    return _run(_engine(made), made)


def said(
    names: Iterable[str],
    *,
    params: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Said:
    """Run a request with some features and return what it was told.

    Streamed pieces must make the texts, and no block may be held afterwards.
    """
    made = wish(names, params=params, spec=spec)
    engine = _engine(made)
    if any(feature.is_warm for feature in made.features):
        plain = wish(())
        engine.add_request(PROMPT, plain.params, lambda _: None, spec=plain.spec)
        while engine.has_work:
            engine.step()
    parts = _run(engine, made)
    engine.check()
    state = engine.state()
    assert (state.used_blocks, state.running, state.waiting) == (0, 0, 0)
    completion = parts[-1]
    if isinstance(completion, Exception):
        raise completion
    assert isinstance(completion, Completion)
    answers = tuple(map(answer_of, (completion, *completion.alternatives)))
    _check_stream(parts[:-1], answers, is_beam=made.spec.search.method == "beam")
    return Said(
        answers=answers,
        effort={
            "cached": completion.usage.cached_tokens,
            "preempted": engine.statistics.preemptions,
            "drafted": completion.drafted_tokens,
            "accepted": completion.accepted_tokens,
            "steps": engine.statistics.steps,
        },
    )


def _check_stream(parts: Sequence[Any], answers: Sequence[Answer], *, is_beam: bool) -> None:
    assert all(isinstance(part, TextDelta) for part in parts)
    for choice, answer in enumerate(answers[:1] if is_beam else answers):
        pieces = [part for part in parts if part.choice == choice]
        assert "".join(part.text for part in pieces) == answer.text
        told = tuple(entry for part in pieces for entry in part.log_probs)
        assert told == answer.log_probs[: len(told)]
