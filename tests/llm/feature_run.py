"""A run of any features of the table on a small engine, and all that it was told.

The engines share one runner; each has a cache of its own over it.
"""

import atexit
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm.chat import Completion, MarkReport, TextDelta, TokenLogProb
from llm.decoding.sampler import BatchSampler
from llm.decoding.spec import DecodeSpec, Steer
from llm.engine import Engine
from llm.engine_statistics import EngineLimits
from llm.model_runner import Batch, ModelRunner, StepOutput
from llm.native.loader import load_library
from llm.sampling_params import SamplingParams
from llm.served_model import ServedModel
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import KeyRing, WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.marker import Marker
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram
from tests.llm.features import PROMPT, SCHEMES, SECRET, Wish, wish
from tests.llm.small_model import CONTEXT, VOCABULARY, small_decoder, small_runner, write_heads

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
    mark: MarkReport | None


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
        mark=completion.mark,
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


@cache
def marker() -> Marker:
    """Return what marks on demand, and nothing unasked."""
    ring = KeyRing((WatermarkKey(name="a", secret=SECRET),))
    schemes: dict[str, Scheme] = {
        "gumbel": Gumbel(),
        "sbw": GreenLists(),
        "synthid": SynthID(),
        "kgw": GreenLists(vocabulary_size=VOCABULARY),
        "kgw-hard": GreenLists(vocabulary_size=VOCABULARY, delta=math.inf),
        "unigram": Unigram(vocabulary_size=VOCABULARY),
    }
    assert tuple(schemes) == SCHEMES
    return Marker(ring, schemes, sampled="gumbel", greedy=None)


def _engine(made: Wish) -> Engine:
    model = served()
    if any(feature.is_crowded for feature in made.features):
        beams = made.spec.search.width if "beam" in made.names else 1
        least = 8 if made.num_answers == 1 else 9
        blocks = max(least, 3 * beams * (1 + bool(made.baseline)) + 1)
        small = Smaller(model.compute.runner, blocks)
        model = replace(model, compute=replace(model.compute, runner=small))
    rows = [feature.max_rows for feature in made.features if feature.max_rows]
    limits = EngineLimits(max_rows=min(rows)) if rows else EngineLimits()
    return Engine(model, BatchSampler(load_library()), limits=limits, marker=marker())


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
    _check_stream(parts[:-1], answers, is_search=made.spec.search.method != "sample")
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


def _check_stream(parts: Sequence[Any], answers: Sequence[Answer], *, is_search: bool) -> None:
    assert all(isinstance(part, TextDelta) for part in parts)
    for choice, answer in enumerate(answers[:1] if is_search else answers):
        pieces = [part for part in parts if part.choice == choice]
        assert "".join(part.text for part in pieces) == answer.text
        told = tuple(entry for part in pieces for entry in part.log_probs)
        assert told == answer.log_probs[: len(told)]
