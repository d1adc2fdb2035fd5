"""Replies of the default model under a mark, and how often they are found beside the prediction.

Replies continue the beginnings of WikiText-2's lines at temperature 0.6 and top_p .95; answers of
the chat model to users of SGD, at temperatures of 0.2 to 1, end by themselves and are grouped by
what was predicted for each. The prediction is the one that comes with an answer of the service.
"""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.report import Figure, wilson
from benchmarks.watermark_power import LENGTHS, calibration
from llm.chat import Completion, Message
from llm.decoding.grammar_spec import GrammarSpec
from llm.decoding.spec import DecodeSpec, Speculation
from llm.engine import Engine
from llm.request import Part, Request
from llm.sampling_params import SamplingParams
from llm.watermark.keys import WatermarkKey
from llm.watermark.marker import Marker, ReplyMark
from llm.watermark.p_values import best_of
from llm.watermark.scheme import Scheme, sub_keys

ALPHA = 0.01
TEMPERATURE = 0.6  # at 1 nearly every reply of 25 tokens is found, which tests no prediction
CHAT_TEMPERATURES = (0.2, 0.4, 0.7, 1.0)
ROWS = 32
_OFF = Speculation(drafter="off")
_GROUPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(slots=True, kw_only=True)
class Reply:
    """The tokens of a reply, its mean log-probability, and the power predicted at each length.

    `text` and `whole_power` are those at its end.
    """

    token_ids: list[int]
    text: str = ""
    mean_log_prob: float = 0.0
    whole_power: float = 0.0
    predicted: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How replies are drawn; one that may end is shorter where the model or the grammar says so.

    Of several temperatures each reply has one in turn.
    """

    num_tokens: int
    temperatures: tuple[float, ...] = (1.0,)
    grammar: GrammarSpec | None = None
    may_end: bool = False
    has_log_probs: bool = False

    def params(self, number: int) -> SamplingParams:
        """Return the parameters of a reply, whose number is its seed."""
        is_open = self.may_end or self.grammar is not None
        return SamplingParams(
            max_tokens=self.num_tokens,
            min_tokens=0 if is_open else self.num_tokens,
            temperature=self.temperatures[number % len(self.temperatures)],
            top_p=0.95,
            seed=number,
            logprobs=self.has_log_probs,
        )


def replies(
    engine: Engine, prompts: Sequence[Sequence[int]], mark: str, drawing: Drawing, *, first: int = 0
) -> list[Reply]:
    """Return the replies to some prompts, `ROWS` at a time; the i-th is drawn by seed first + i."""
    found: list[Reply] = []
    for start in range(0, len(prompts), ROWS):
        ends: dict[int, Part | Exception] = {}
        group: list[tuple[Request, Reply]] = []
        for i, prompt in enumerate(prompts[start : start + ROWS]):
            wish = DecodeSpec(grammar=drawing.grammar, mark=mark, speculation=_OFF)
            request = engine.add_request(
                prompt, drawing.params(first + start + i), _keeper(ends, i), spec=wish
            )
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
            said = request.sequence.token_ids[request.sequence.num_prompt_tokens :]
            reply.token_ids = [t for t in said if t not in engine.model.tokenizer.eos_ids]
            reply.text = end.text
            reply.mean_log_prob = end.mean_log_prob or 0.0
            reply.whole_power = 0.0 if end.mark is None else end.mark.power
            found.append(reply)
    return found


def _keeper(ends: dict[int, Part | Exception], i: int) -> Callable[[Part | Exception], None]:
    return lambda part: ends.__setitem__(i, part)


def _observe(request: Request, reply: Reply) -> None:
    length = request.sequence.num_generated
    mark = request.row.guidance.mark
    if length in LENGTHS and length not in reply.predicted and isinstance(mark, ReplyMark):
        reply.predicted[length] = mark.power.value


def log_p_values(
    scheme: Scheme, key: WatermarkKey, token_ids: Sequence[int], lengths: Sequence[int]
) -> list[float]:
    """Return what `Detector.detect` tells of the first tokens of a text, scored once for all."""
    scores = scheme.score(np.array(token_ids, np.int64), sub_keys(scheme, key.secret))
    law, told = scheme.law, []
    for length in lengths:
        is_scored = scores.is_scored[:, :length]
        totals = np.where(is_scored, scores.values[:, :length], 0.0).sum(axis=1).tolist()
        pairs = zip(totals, is_scored.sum(axis=1).tolist(), strict=True)
        best = min(law.log_tail(total, num) for total, num in pairs)
        told.append(best_of(best, len(scores.values)))
    return told


def real_power_figures(
    marker: Marker, said: Mapping[str, Sequence[Reply]], others: Mapping[str, Scheme]
) -> Iterator[Figure]:
    """Return the shares found and the predictions, by scheme and length.

    `others` are more detectors of the texts of "synthid". A reply counts at the lengths it has.
    """
    key = marker.ring.current
    for name, given in said.items():
        if not given:
            continue
        rows = []
        for length in LENGTHS:
            whole = [r for r in given if len(r.token_ids) >= length]
            if not whole:
                continue
            found = _num_found(marker.schemes[name], key, whole, length)
            rows.append(
                Figure(
                    name=f"model, {name}, {length} tokens, found at 1 %",
                    value=found / len(whole),
                    unit=f"share of {len(whole)}",
                    spread=wilson(found, len(whole)),
                    baseline=statistics.fmean(r.predicted[length] for r in whole),
                )
            )
        yield from rows
        yield calibration(f"model, {name}", rows, min(map(_num_of, rows)))
    for name, scheme in others.items():
        for length in LENGTHS:
            whole = [r for r in said.get("synthid", ()) if len(r.token_ids) >= length]
            if whole:
                found = _num_found(scheme, key, whole, length)
                yield Figure(
                    name=f"model, {name}, {length} tokens, found at 1 %",
                    value=found / len(whole),
                    unit=f"share of {len(whole)}",
                    spread=wilson(found, len(whole)),
                )


def _num_of(row: Figure) -> int:
    return int(row.unit.rsplit(" ", 1)[1])


def _num_found(scheme: Scheme, key: WatermarkKey, given: Sequence[Reply], length: int) -> int:
    told = [log_p_values(scheme, key, reply.token_ids, [length])[0] for reply in given]
    return sum(log_p <= np.log(ALPHA) for log_p in told)


def chat_figures(
    engine: Engine, marker: Marker, questions: Sequence[str], *, num_tokens: int
) -> Iterator[Figure]:
    """Return how often answers of the chat model are found, by what was predicted for each."""
    prompts = [engine.encode([Message(role="user", content=text)]) for text in questions]
    drawing = Drawing(num_tokens=num_tokens, temperatures=CHAT_TEMPERATURES, may_end=True)
    said = replies(engine, prompts, "gumbel", drawing)
    scheme, key = marker.schemes["gumbel"], marker.ring.current
    is_found = [
        log_p_values(scheme, key, reply.token_ids, [len(reply.token_ids)])[0] <= np.log(ALPHA)
        for reply in said
    ]
    yield Figure(
        name="chat, gumbel, tokens of an answer",
        value=statistics.fmean(len(reply.token_ids) for reply in said),
        unit=f"mean of {len(said)}",
    )
    for low, high in itertools.pairwise(_GROUPS):
        group = [
            i
            for i, r in enumerate(said)
            if low <= r.whole_power < high or r.whole_power == high == 1
        ]
        if group:
            found = sum(is_found[i] for i in group)
            yield Figure(
                name=f"chat, gumbel, answers predicted {low:g} to {high:g}, found at 1 %",
                value=found / len(group),
                unit=f"share of {len(group)}",
                spread=wilson(found, len(group)),
                baseline=statistics.fmean(said[i].whole_power for i in group),
            )
    row = Figure(
        name="chat, gumbel, all answers, found at 1 %",
        value=statistics.fmean(is_found),
        unit=f"share of {len(said)}",
        spread=wilson(sum(is_found), len(said)),
        baseline=statistics.fmean(reply.whole_power for reply in said),
    )
    yield row
    yield calibration("chat, gumbel", [row], len(said))


def beginnings(text: str, encode: Callable[[str], Sequence[int]], num: int) -> list[list[int]]:
    """Return the beginnings of `num` lines, as prompts.

    Raises:
        ValueError: the text has too few lines of twelve words.
    """
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("=")]
    starts = [" ".join(words[:12]) for words in lines if len(words) >= 12]
    if len(starts) < num:
        raise ValueError(f"the text has {len(starts)} lines of twelve words, {num} are wanted")
    chosen = np.linspace(0, len(starts) - 1, num).astype(int).tolist()
    return [list(encode(starts[i])) for i in chosen]
