"""Marks and forms: JSON with forced tokens counted or dropped; what no mark may change.

Detection: JSON drawn under a schema, judged naively (forced tokens count) and by replaying the
grammar; both at 1 % false positives, which random keys confirm on the same answers. Identity: slot
values that a schema asks for, quotes with their citations and citation ids, decoded as the dialogue
does (not drawn), are compared byte by byte with the mark on and off; of drawn JSON, that it parses
and has the same names in the same order.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.report import Figure, share
from benchmarks.watermark_generations import ALPHA, Drawing, Reply, replies
from llm.chat import Message
from llm.decoding.grammar_spec import CitationIds, GrammarSpec, JsonSchema, Passage, Quote
from llm.engine import Engine
from llm.watermark.detector import Detector, Text
from llm.watermark.keys import WatermarkKey
from llm.watermark.marker import Marker
from llm.watermark.replay import free_positions

JSON_TOKENS = 120
_KEYS_EACH = 10
_PEOPLE = {"type": "integer", "minimum": 1, "maximum": 20}
FORM = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "name_of_the_restaurant": {"type": "string", "maxLength": 30},
            "is_suitable_for_children": {"type": "boolean"},
            "number_of_guests": _PEOPLE,
            "day_of_the_week": {"enum": ["Monday", "Tuesday", "Friday", "Saturday"]},
            "special_request": {"type": "string", "minLength": 10, "maxLength": 60},
        },
        "required": [
            "name_of_the_restaurant",
            "is_suitable_for_children",
            "number_of_guests",
            "day_of_the_week",
            "special_request",
        ],
        "additionalProperties": False,
    }
)
SLOTS = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "intent": {"enum": ["find", "book", "ask", "thank"]},
            "city": {"type": "string", "maxLength": 20},
            "people": _PEOPLE,
        },
        "required": ["intent", "city", "people"],
        "additionalProperties": False,
    }
)


def json_figures(engine: Engine, marker: Marker, num: int, seed: int) -> Iterator[Figure]:
    """Return how often marked JSON is found, and unmarked keys are, by both detectors."""
    prompts = [
        engine.encode([Message(role="user", content=f"Write booking number {i} as JSON.")])
        for i in range(num)
    ]
    said = replies(engine, prompts, "gumbel", Drawing(num_tokens=JSON_TOKENS, grammar=FORM))
    texts = [Text(token_ids=tuple(reply.token_ids)) for reply in said]
    grammar = engine.controls.compiler.compile(FORM)
    size = engine.model.size
    scheme = marker.schemes["gumbel"]
    ours = Detector(scheme, [marker.ring.current], least_scored=1)
    naive = [ours.detect(text) for text in texts]
    replayed = [ours.replay(text, lambda: grammar.start(forcing=False), size) for text in texts]
    for what, found in (("naive", naive), ("replay", replayed)):
        yield share(
            f"JSON, gumbel, {what} detector, found at 1 %",
            sum(one.p_value <= ALPHA for one in found),
            num,
        )
        yield Figure(
            name=f"JSON, gumbel, {what} detector, z-score",
            value=float(np.mean([one.z_score for one in found])),
            unit=f"mean of {num}",
        )
    free = [free_positions(t.token_ids, grammar.start(forcing=False), size) for t in texts]
    yield Figure(
        name="JSON: tokens at which more than one was allowed",
        value=float(np.mean([f.mean() for f in free])),
        unit="share of tokens",
    )
    yield from _false_positives(marker, texts, free, seed)
    yield share(
        "JSON, gumbel, drawn answers that parse with the names in order", _parsed(said), num
    )


def _false_positives(
    marker: Marker, texts: Sequence[Text], free: Sequence[np.ndarray], seed: int
) -> Iterator[Figure]:
    """Return the share of random keys that either detector finds."""
    rng = np.random.default_rng(seed)
    num = len(texts) * _KEYS_EACH
    counts = {"naive": 0, "replay": 0}
    for text, is_free in zip(texts, free, strict=True):
        freed = replace(text, is_free=tuple(is_free.tolist()))
        for _ in range(_KEYS_EACH):
            key = WatermarkKey(name="random", secret=rng.bytes(16))
            detector = Detector(marker.schemes["gumbel"], [key], least_scored=1)
            counts["naive"] += detector.detect(text).p_value <= ALPHA
            counts["replay"] += detector.detect(freed).p_value <= ALPHA
    for what, count in counts.items():
        row = share(f"JSON, {what} detector, random keys at 1 %", count, num)
        yield replace(row, baseline=ALPHA)


def _parsed(said: Sequence[Reply]) -> int:
    names = list(json.loads(FORM.schema)["properties"])
    return sum(list(json.loads(reply.text)) == names for reply in said)


def identity_figures(
    engine: Engine, turns: Sequence[str], passages: Sequence[str]
) -> Iterator[Figure]:
    """Return how many outputs that are not drawn are the same bytes with the mark and without."""
    shown = tuple(Passage(id=str(i + 1), text=text) for i, text in enumerate(passages))
    ids = tuple(passage.id for passage in shown)
    forms: dict[str, GrammarSpec] = {
        "slots": SLOTS,
        "JSON": FORM,
        "quotes with citations": Quote(passages=shown, cite=True, min_bytes=10, max_bytes=80),
        "citation ids": CitationIds(ids=ids, min_ids=1, max_ids=2),
    }
    for name, form in forms.items():
        prompts = [engine.encode([Message(role="user", content=turn)]) for turn in turns]
        drawing = Drawing(num_tokens=JSON_TOKENS, grammar=form, temperatures=(0.0,))
        both = [replies(engine, prompts, mark, drawing) for mark in ("auto", "off")]
        same = sum(a.text == b.text for a, b in zip(*both, strict=True))
        yield share(f"identity, {name} with the mark on and off", same, len(turns), target=1.0)
