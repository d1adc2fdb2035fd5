"""Questions that a chat model writes about chunks, kept only if they can be trusted.

A question is kept where it asks one thing in few words, speaks of the passage's words without
copying a sentence of it, does not lean on the passage ("according to the text"), and comes back:
one of the two lanes alone, by vectors or by terms, finds its chunk among the best. Either lane
will do, so that the set does not favour one of them; what neither finds may be a good question or
a bad one, and nobody is there to tell.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from llm.chat import ChatModel, Completion, Message
from llm.sampling_params import SamplingParams
from rag.corpus import Corpus
from rag.document import Chunk
from rag.evaluation_set import EvaluationItem, Relevant

KIND = "model"
ROUND_TRIP = 10  # how far down a lane a question's chunk may come back
INSTRUCTION = (
    "Write one short question that the passage answers. The question must make sense to somebody"
    " who has not seen the passage, so name what it is about. Write the question and nothing else."
)
_MIN_WORDS = 4
_MAX_WORDS = 30
_MIN_SHARED = 2  # terms
_MAX_COPIED = 0.7  # of its word pairs
_MIN_CHARS = 120
_TRIES = 4  # chunks asked about for each question wanted
_LEANING = re.compile(
    r"\b(?:passage|text|excerpt|document|paragraph|author|above|following|mentioned|described"
    r"|according to)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")

# Tells whether a span of a document is among the best `ROUND_TRIP` of a lane, for each lane.
RoundTrip = Callable[[str, Relevant], bool]


@dataclass(slots=True)
class Kept:
    """How many questions were asked for, and how many were kept or fell at which check."""

    asked: int = 0
    kept: int = 0
    malformed: int = 0
    copied: int = 0
    lost: int = 0


def model_questions(
    corpus: Corpus,
    model: ChatModel,
    comes_back: RoundTrip,
    *,
    num: int,
    seed: int,
    counts: Kept,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[EvaluationItem]:
    """Yield up to `num` questions, one a chunk; `counts` is kept up to date."""
    rng = np.random.default_rng(seed)
    asked: set[str] = set()
    for i in rng.permutation(len(corpus.chunks)):
        if counts.kept == num or counts.asked == _TRIES * num:
            return
        uri, title, chunk = corpus.chunks[int(i)]
        if len(chunk.text) < _MIN_CHARS:
            continue
        counts.asked += 1
        question = _written(model, title, chunk)
        place = Relevant(uri=uri, start=chunk.start, end=chunk.end)
        if question.casefold() in asked or not is_well_formed(question):
            counts.malformed += 1
        elif not is_about(question, chunk.text, corpus.terms):
            counts.copied += 1
        elif not comes_back(question, place):
            counts.lost += 1
        else:
            counts.kept += 1
            asked.add(question.casefold())
            yield EvaluationItem(
                id=f"{KIND}:{uri}:{chunk.start}",
                query=question,
                kind=KIND,
                made_by=f"{model.name} about a chunk of {uri}, which a lane alone finds for it",
                relevant=(place,),
            )
        on_progress(counts.kept, num)


def is_well_formed(question: str) -> bool:
    """Tell whether a text is one question that stands on its own."""
    words = _WORD.findall(question)
    return (
        question.endswith("?")
        and question.count("?") == 1
        and "\n" not in question
        and _MIN_WORDS <= len(words) <= _MAX_WORDS
        and not _LEANING.search(question)
    )


def is_about(question: str, text: str, terms: Callable[[str], Sequence[str]]) -> bool:
    """Tell whether a question shares terms with a text and is no copy of a sentence of it."""
    if len(set(terms(question)) & set(terms(text))) < _MIN_SHARED:
        return False
    pairs = set(pairwise(_WORD.findall(question.casefold())))
    copied = pairs & set(pairwise(_WORD.findall(text.casefold())))
    return len(copied) <= _MAX_COPIED * len(pairs)


def _written(model: ChatModel, title: str, chunk: Chunk) -> str:
    above = " > ".join(dict.fromkeys([title, *chunk.heading_path]))
    messages = (
        Message(role="system", content=INSTRUCTION),
        Message(role="user", content=f"Passage from “{above}”:\n{chunk.text}\n\nQuestion:"),
    )
    params = SamplingParams(max_tokens=48, temperature=0.0)
    for part in model.stream(messages, params):
        if isinstance(part, Completion):
            return part.text.strip().strip('"“”').strip()
    raise AssertionError("a stream ends with its completion")
