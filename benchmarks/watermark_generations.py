"""Watermarks on what the default model really says: power beside its prediction, and the price.

Power: replies to the beginnings of texts, drawn at temperature 1 and top_p .95, cut to several
lengths; the share found at 1 % false positives beside the mean of what was predicted from the
entropies. Price: what a mark adds to a step of eight rows, and perplexity and diversity of the same
replies with the mark and without. JSON: a reply's forced tokens counted as evidence, and dropped by
replaying its grammar.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.report import Figure, wilson
from llm.chat import Completion, Message
from llm.decoding.grammar_spec import JsonSchema
from llm.decoding.spec import DecodeSpec, Speculation
from llm.engine import Engine
from llm.request import Part, Request
from llm.sampling_params import SamplingParams
from llm.watermark.detector import Detector, Text
from llm.watermark.marker import Marker, ReplyMark

LENGTHS = (25, 50, 100, 200)
ALPHA = 0.01
TOLERANCE = 0.05
MOST_OVERHEAD = 0.03
ROWS = 16
_STEP_ROWS = 8
_STEPS = 40
_OFF = Speculation(drafter="off")
_FORM = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 20, "maxLength": 60},
            "places": {
                "type": "array",
                "items": {"type": "string", "minLength": 4, "maxLength": 20},
                "minItems": 6,
                "maxItems": 6,
            },
        },
        "required": ["name", "places"],
        "additionalProperties": False,
    }
)


@dataclass(slots=True, kw_only=True)
class Reply:
    """The tokens of a reply, its mean log-probability, and the power predicted at each length."""

    token_ids: list[int]
    mean_log_prob: float = 0.0
    predicted: dict[int, float] = field(default_factory=dict)


def replies(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    mark: str,
    *,
    num_tokens: int,
    spec: DecodeSpec | None = None,
    with_log_probs: bool = False,
) -> list[Reply]:
    """Return the replies to some prompts, `ROWS` at a time; the i-th is drawn by seed i."""
    found: list[Reply] = []
    for start in range(0, len(prompts), ROWS):
        ends: dict[int, Part | Exception] = {}
        group: list[tuple[Request, Reply]] = []
        for i, prompt in enumerate(prompts[start : start + ROWS]):
            params = SamplingParams(
                max_tokens=num_tokens,
                min_tokens=0 if spec is not None else num_tokens,
                temperature=1.0,
                top_p=0.95,
                seed=start + i,
                logprobs=with_log_probs,
            )
            wish = DecodeSpec(
                grammar=None if spec is None else spec.grammar, mark=mark, speculation=_OFF
            )
            request = engine.add_request(prompt, params, _keeper(ends, i), spec=wish)
            group.append((request, Reply(token_ids=[])))
        while engine.has_work:
            engine.step()
            for request, reply in group:
                _observe(request, reply)
        for i, (request, reply) in enumerate(group):
            end = ends[i]
            if isinstance(end, Exception):
                raise end
            assert isinstance(end, Completion)
            reply.token_ids = request.sequence.token_ids[request.sequence.num_prompt_tokens :]
            reply.mean_log_prob = end.mean_log_prob or 0.0
            found.append(reply)
    return found


def _keeper(ends: dict[int, Part | Exception], i: int) -> Callable[[Part | Exception], None]:
    return lambda part: ends.__setitem__(i, part)


def _observe(request: Request, reply: Reply) -> None:
    length = request.sequence.num_generated
    mark = request.row.guidance.mark
    if length in LENGTHS and length not in reply.predicted and isinstance(mark, ReplyMark):
        reply.predicted[length] = mark.power.value


def real_power_figures(
    engine: Engine, marker: Marker, prompts: Sequence[Sequence[int]], schemes: Sequence[str]
) -> list[Figure]:
    """Return the shares found and the predictions, by scheme and length."""
    rows = []
    for name in schemes:
        said = replies(engine, prompts, name, num_tokens=max(LENGTHS))
        detector = Detector(marker.schemes[name], marker.ring.keys, least_scored=1)
        for length in LENGTHS:
            hits = sum(_is_found(detector, reply.token_ids[:length]) for reply in said)
            predicted = statistics.fmean(reply.predicted[length] for reply in said)
            rows.append(
                Figure(
                    name=f"{name}, {length} tokens of the model, found at 1 %",
                    value=hits / len(said),
                    unit=f"share of {len(said)}",
                    spread=wilson(hits, len(said)),
                    baseline=predicted,
                )
            )
    worst = max(abs(row.value - (row.baseline or 0.0)) for row in rows)
    error = 1.96 * math.sqrt(0.25 / len(prompts))
    rows.append(
        Figure(
            name="largest distance of a share from its prediction, less the error of a share",
            value=max(0.0, worst - error),
            unit="share",
            target=TOLERANCE,
            higher_is_better=False,
        )
    )
    return rows


def _is_found(detector: Detector, token_ids: Sequence[int]) -> bool:
    return detector.detect(Text(token_ids=tuple(token_ids))).p_value <= ALPHA


def price_figures(
    engine: Engine, prompts: Sequence[Sequence[int]], schemes: Sequence[str], *, rounds: int
) -> list[Figure]:
    """Return perplexity, diversity and the cost of a step, with each mark and without."""
    rows = []
    plain = _quality(replies(engine, prompts, "off", num_tokens=60, with_log_probs=True))
    for name in schemes:
        said = _quality(replies(engine, prompts, name, num_tokens=60, with_log_probs=True))
        for what, value, own in zip(("perplexity", "distinct pairs"), said, plain, strict=True):
            rows.append(
                Figure(name=f"{name}, {what} with the mark", value=value, unit="", baseline=own)
            )
        shares = []
        for _ in range(rounds + 1):
            without = _step_seconds(engine, prompts[0], "off")
            shares.append(_step_seconds(engine, prompts[0], name) / without - 1)
        rows.append(
            Figure(
                name=f"{name}, cost of a step of {_STEP_ROWS} rows",
                value=statistics.median(shares[1:]),
                unit="share of the step",
                spread=(min(shares[1:]), max(shares[1:])),
                target=MOST_OVERHEAD if name == "gumbel" else None,
                higher_is_better=False,
            )
        )
    return rows


def _quality(said: Sequence[Reply]) -> tuple[float, float]:
    perplexity = math.exp(-statistics.fmean(reply.mean_log_prob for reply in said))
    pairs = [pair for r in said for pair in zip(r.token_ids, r.token_ids[1:], strict=False)]
    return perplexity, len(set(pairs)) / len(pairs)


def _step_seconds(engine: Engine, prompt: Sequence[int], mark: str) -> float:
    requests = [
        engine.add_request(
            [*prompt, 300 + i],
            SamplingParams(max_tokens=500, min_tokens=400, temperature=1.0, top_p=0.95, seed=i),
            lambda _: None,
            spec=DecodeSpec(mark=mark, speculation=_OFF),
        )
        for i in range(_STEP_ROWS)
    ]
    while any(request.sequence.num_generated < 5 for request in requests):
        engine.step()
    seconds = []
    for _ in range(_STEPS):
        began = time.perf_counter()
        engine.step()
        seconds.append(time.perf_counter() - began)
    for request in requests:
        request.wiring.cancel.set()
    while engine.has_work:
        engine.step()
    return statistics.median(seconds)


def json_figures(engine: Engine, marker: Marker, num: int) -> list[Figure]:
    """Return how often marked JSON is found, forced tokens counted and dropped."""
    name = "gumbel"
    prompts = [
        engine.encode([Message(role="user", content=f"Invent hiking trail number {i} as JSON.")])
        for i in range(num)
    ]
    said = replies(engine, prompts, name, num_tokens=200, spec=DecodeSpec(grammar=_FORM))
    detector = Detector(marker.schemes[name], marker.ring.keys, least_scored=1)
    grammar = engine.controls.compiler.compile(_FORM)
    size = engine.model.size
    hits = {"naive": 0, "replay": 0}
    eos = engine.model.tokenizer.eos_ids
    for reply in said:
        text = Text(token_ids=tuple(t for t in reply.token_ids if t not in eos))
        hits["naive"] += detector.detect(text).p_value <= ALPHA
        start = lambda: grammar.start(forcing=False)  # noqa: E731
        hits["replay"] += detector.replay(text, start, size).p_value <= ALPHA
    return [
        Figure(
            name=f"{name}, JSON, {kind} detector, found at 1 %",
            value=count / num,
            unit=f"share of {num}",
            spread=wilson(count, num),
        )
        for kind, count in hits.items()
    ]


def beginnings(text: str, encode: Callable[[str], Sequence[int]], num: int) -> list[list[int]]:
    """Return the beginnings of `num` lines, as prompts.

    Raises:
        ValueError: the text has too few lines of eight words.
    """
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("=")]
    starts = [" ".join(words[:12]) for words in lines if len(words) >= 12]
    if len(starts) < num:
        raise ValueError(f"the text has {len(starts)} lines of twelve words, {num} are wanted")
    chosen = np.linspace(0, len(starts) - 1, num).astype(int).tolist()
    return [list(encode(starts[i])) for i in chosen]
