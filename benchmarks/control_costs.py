"""What controlling the decoder costs and what drafts save, on real weights.

Costs are those of a step of eight rows with a control and without, in turn, round after round; the
machine's slow minutes touch both. Drafts are measured on answers that quote their evidence, one at
a time: the same questions with drafts and without. Spreads are quartiles of rounds or answers.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import Figure
from llm.chat import Completion, Message
from llm.decoding.grammar_spec import JsonSchema, Passage, Quote
from llm.decoding.spec import PLAIN, Contrast, DecodeSpec, Speculation, Steer
from llm.engine import Engine
from llm.request import Part
from llm.sampling_params import SamplingParams

ROWS = 8
STEPS = 48
NEW_TOKENS = 64

_OFF = Speculation(drafter="off")
_LIST = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "sections": {"type": "array", "items": {"type": "string"}, "minItems": 40},
        },
        "required": ["title", "sections"],
        "additionalProperties": False,
    }
)
# name, spec, the share of a step that it may cost at most
CONTROLS: tuple[tuple[str, DecodeSpec, float | None], ...] = (
    ("grammar", DecodeSpec(grammar=_LIST, speculation=_OFF), 0.05),
    ("FUDGE", DecodeSpec(steer=(Steer(scorer="positive", weight=2.0),), speculation=_OFF), 0.15),
    ("contrast", DecodeSpec(contrast=Contrast(), speculation=_OFF), None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A passage and a question about it."""

    context: str
    question: str


def load_quoted(path: Path, count: int) -> list[Quoted]:
    """Read questions in SQuAD's form, each from another paragraph, evenly over the file.

    Raises:
        ValueError: the file has no such questions.
    """
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        found = [
            Quoted(context=paragraph["context"], question=paragraph["qas"][0]["question"])
            for article in articles
            for paragraph in article["paragraphs"]
            if paragraph["qas"]
        ]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is not in SQuAD's form: {error!r}") from None
    if not found:
        raise ValueError(f"{path.name} holds no question")
    return found[:: max(1, len(found) // count)][:count]


def engine_of(weights: Path, *, threads: int | None) -> Engine:
    """Return an engine as the service builds it."""
    return build_engine(load_settings(**({} if threads is None else {"threads": threads})), weights)


def control_costs(
    engine: Engine, *, rounds: int, on_progress: Callable[[str], None]
) -> list[Figure]:
    """Return what each control adds to a step of `ROWS` rows, as a share of the step without."""
    prompt = _chat(engine, "Write a very long list of facts about the sea, with many details.")
    figures = []
    for name, spec, limit in CONTROLS:
        shares, plain_ms = [], []
        for number in range(rounds + 1):
            on_progress(f"{name}, round {number + 1} of {rounds + 1}")
            plain = _step_seconds(engine, prompt, DecodeSpec(speculation=_OFF))
            controlled = _step_seconds(engine, prompt, spec)
            if number:  # the first warms up
                shares.append(controlled / plain - 1)
                plain_ms.append(1000 * plain)
        low, middle, high = statistics.quantiles(shares, n=4) if rounds > 1 else shares * 3
        figures.append(
            Figure(
                name=f"{name}, cost of a step of {ROWS} rows",
                value=statistics.median(shares),
                unit="share of the step",
                spread=(low, high),
                baseline=statistics.median(plain_ms),
                target=limit,
                higher_is_better=False,
            )
        )
        del middle
    return figures


def _step_seconds(engine: Engine, prompt: Sequence[int], spec: DecodeSpec) -> float:
    """Return the median seconds of a step in which all rows decode."""
    ends: list[Part | Exception] = []
    requests = [
        engine.add_request(
            [*prompt, 200 + i], SamplingParams(max_tokens=1000), ends.append, spec=spec
        )
        for i in range(ROWS)
    ]
    while any(request.sequence.num_generated == 0 for request in requests):
        engine.step()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        engine.step()
        if len(engine.requests) == ROWS:
            seconds.append(time.perf_counter() - started)
    for request in requests:
        request.wiring.cancel.set()
    while engine.has_work:
        engine.step()
    failed = [end for end in ends if isinstance(end, Exception)]
    if failed:
        raise failed[0]
    if len(seconds) < STEPS // 2:
        raise RuntimeError("the texts ended too early to be timed")
    return statistics.median(seconds)


def draft_speeds(
    engine: Engine, questions: Sequence[Quoted], *, on_progress: Callable[[str], None]
) -> list[Figure]:
    """Return how much faster answers come with drafts from the prompt, one request at a time."""
    figures = []
    for form, limit in (("quoting", 1.4), ("free", None)):
        ratios, accepted, drafted = [], 0, 0
        speeds: dict[str, list[float]] = {"off": [], "prompt": []}
        for number, each in enumerate(questions):
            on_progress(f"drafts, {form} answer {number + 1} of {len(questions)}")
            texts = {}
            order = ("off", "prompt") if number % 2 else ("prompt", "off")
            for drafter in order:
                speculation = Speculation(drafter=drafter)  # type: ignore[arg-type]
                end = _answer(engine, each, form, speculation)
                texts[drafter] = end.text
                speeds[drafter].append((end.usage.completion_tokens - 1) / end.decode_s)
                accepted += end.accepted_tokens
                drafted += end.drafted_tokens
            if texts["off"] != texts["prompt"]:
                raise RuntimeError("drafts changed what was said; that must not be")
            ratios.append(speeds["prompt"][-1] / speeds["off"][-1])
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        figures += [
            Figure(
                name=f"prompt lookup, {form} answers, batch 1",
                value=statistics.median(ratios),
                unit="times as fast",
                spread=(low, high),
                baseline=statistics.median(speeds["off"]),
                target=limit,
            ),
            Figure(
                name=f"prompt lookup, {form} answers, drafted tokens that were right",
                value=accepted / drafted if drafted else 0.0,
                unit=f"share of {drafted}",
            ),
        ]
    return figures


def _answer(engine: Engine, each: Quoted, form: str, speculation: Speculation) -> Completion:
    """Return one answer; nothing of the prompt is cached for the first to ask."""
    question = (
        f"Evidence:\n{each.context}\n\nQuestion: {each.question}\n"
        "Answer with the sentences of the evidence that say it, word for word."
    )
    grammar = None
    if form == "quoting":
        passage = Passage(id="1", text=each.context)
        grammar = Quote(passages=(passage,), min_bytes=120, max_bytes=400, cite=True)
    return completion(
        engine,
        _chat(engine, question),
        SamplingParams(max_tokens=NEW_TOKENS + 60),
        DecodeSpec(grammar=grammar, speculation=speculation),
    )


def flips(engine: Engine, questions: Sequence[Quoted], *, new_tokens: int) -> Figure:
    """Return how many answers drafts change where rows depend on their batch (fast mode)."""
    changed = 0
    for each in questions:
        prompt = _chat(engine, f"{each.context}\n\nSay that again.")
        params = SamplingParams(max_tokens=new_tokens)
        said = {
            completion(
                engine, prompt, params, DecodeSpec(speculation=Speculation(drafter=name))
            ).text
            for name in ("off", "prompt")
        }
        changed += len(said) > 1
    return Figure(
        name=f"answers of {new_tokens} tokens that drafts change, "
        f"{engine.model.compute.determinism} mode on {engine.model.compute.runner.kernels}",
        value=changed,
        unit=f"of {len(questions)}",
    )


def completion(
    engine: Engine, prompt: Sequence[int], params: SamplingParams, spec: DecodeSpec = PLAIN
) -> Completion:
    """Return what one request says."""
    ends: list[Part | Exception] = []
    engine.add_request(prompt, params, ends.append, spec=spec)
    while engine.has_work:
        engine.step()
    end = ends[-1]
    if isinstance(end, Exception):
        raise end
    assert isinstance(end, Completion)
    return end


def _chat(engine: Engine, text: str) -> list[int]:
    return engine.encode([Message(role="user", content=text)])
