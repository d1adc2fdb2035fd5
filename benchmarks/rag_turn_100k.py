"""The retrieval part of a turn at 100,000 chunks: encoding the query, both lanes, fusion.

The collection is that of `benchmarks.index --part hybrid`: chunks of about 900 characters made of
the sentences of the data folder, with random unit vectors, so that the time and not the quality is
that of a real one. What is asked are 300 sentences that are in no chunk, through the default plan
of `rag.planned_search` with the real encoder, as a first question, and as a follow-up behind two
exchanges, whose subject is looked up by words. One search at a time, the first 20 not counted:
milliseconds by the clock, which other work on the machine prolongs, and of the processor, all
threads together. `--quick`: 10,000 chunks and 40 questions, for trying the command.
"""

import time
from collections.abc import Sequence

import numpy as np

from api.bootstrap import embedder_alone
from api.settings import load_settings
from benchmarks.index_hybrid import NUM_CHUNKS, kept_collection
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from index.collection import StoredCollection
from rag.dialogue_context import NO_DIALOGUE, DialogueContext
from rag.planned_search import PlannedSearch
from rag.subject import Exchange

_TARGET_MS = 100.0
_WARM = 20
_QUICK_CHUNKS, _QUICK_ASKED = 10_000, 40


def turn_100k(options: Options) -> list[Figure]:
    """Return p50 and p95 of a first question and of a follow-up."""
    num = _QUICK_CHUNKS if options.is_quick else NUM_CHUNKS
    search = PlannedSearch(embedder_alone(load_settings()))
    with kept_collection(options.data, num) as (collection, held_out):
        asked = held_out[:_QUICK_ASKED] if options.is_quick else held_out
        context = DialogueContext(
            exchanges=tuple(Exchange(question=one, answer=one) for one in asked[:2])
        )
        figures = _times("a first question", search, collection, asked, NO_DIALOGUE, num)
        follow_ups = [f"And what does it say of {one[:40]}?" for one in asked]
        figures += _times("a follow-up", search, collection, follow_ups, context, num)
    for figure in figures:
        print(f"{figure.name}: {figure.value:.1f} {figure.unit}", flush=True)
    return figures


def _times(
    name: str,
    search: PlannedSearch,
    collection: StoredCollection,
    asked: Sequence[str],
    context: DialogueContext,
    num: int,
) -> list[Figure]:
    times: dict[str, list[float]] = {"clock": [], "processor": []}
    for question in asked:
        began, spent = time.perf_counter(), time.process_time()
        search.run(question, collection, name="hybrid", k=10, context=context)
        times["clock"].append(1000 * (time.perf_counter() - began))
        times["processor"].append(1000 * (time.process_time() - spent))
    return [
        Figure(
            name=f"retrieval of a turn, {num} chunks, {name}, {kind}: p{percentile}",
            value=float(np.percentile(found[_WARM:], percentile)),
            unit="ms",
            target=_TARGET_MS if percentile == 95 and kind == "clock" else None,
            higher_is_better=False,
        )
        for kind, found in times.items()
        for percentile in (50, 95)
    ]
