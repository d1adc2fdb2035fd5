"""CANARD: a question in its dialogue, made into one that stands alone.

The index holds 1,723 entries: page title, section and answer, where each answer is taken from a
later `History` entry of its dialogue ("I don't know." is no answer). A rewrite is good where BM25
finds the entry of its own answer: MRR@10. What is searched for is made from the turns so far; their
page and section, with which `History` begins, are not used.

The rule takes the subject of a dialogue from the index, as the title of what its turns are found
under. In this index the earlier answers stand word for word, as they do where a bot quotes; the
figure "earlier answers not in the index" leaves them out of that search. How the subject is found
was chosen on half of the dialogues, by the hash of their id, and "other half" are the others; which
words refer back was chosen on all. A question that begins a dialogue should not suffer from
standing behind another one: that is the figure before BLEU.
"""

import hashlib
import json
import math
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rag_options import Options
from benchmarks.report import Figure
from index import tables
from index.database import open_database, writing
from index.protocol import Hit, Item, NewDocument
from index.store import CollectionStore
from rag.metrics import bootstrap_interval, reciprocal_rank
from rag.query import about, spelled_out, standalone_query
from rag.subject import Exchange, TermSearch, subject_of

_NO_ANSWER = "I don't know."
_NAME = "canard"
_DEPTH = 10
_BATCH = 500
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question of a dialogue, what was said before it, and the entry of its answer."""

    dialogue: str
    question: str
    before: tuple[Exchange, ...]
    rewrite: str
    entry: str

    @property
    def is_of_other_half(self) -> bool:
        """Whether the rule was chosen without it."""
        return hashlib.blake2b(self.dialogue.encode()).digest()[-1] % 2 == 1

    def joined(self, num_before: int) -> str:
        """Return the question with so many of the questions before it."""
        earlier = [exchange.question for exchange in self.before]
        return " ".join([*earlier[max(len(earlier) - num_before, 0) :], self.question])


class WithoutAnswers:
    """A search that passes over entries whose text was said in the dialogue."""

    def __init__(self, collection: TermSearch, before: Sequence[Exchange]) -> None:
        self._collection = collection
        self._said = {exchange.answer for exchange in before}

    def search_terms(self, query: str, k: int) -> Sequence[Hit]:
        """Return the first k that were not said."""
        found = self._collection.search_terms(query, k + len(self._said))
        return [hit for hit in found if hit.text not in self._said][:k]


def canard(options: Options) -> list[Figure]:
    """Return the MRR@10 of the rewrites beside simpler ones and the human's, and their BLEU-4."""
    turns, entries = load_canard(options.data)
    if options.is_quick:
        turns = turns[:150]
    with tempfile.TemporaryDirectory() as folder:
        store = canard_store(Path(folder), entries)
        figures = _measured(turns, store.open(_NAME), options.seed)
        store.close()
    for figure in figures:
        print(f"{figure.name}: {figure.value:.4f} {figure.spread or ''}", flush=True)
    return figures


def load_canard(data: Path) -> tuple[list[Turn], list[tuple[str, str, str, str]]]:
    """Return the turns whose answer is known, and the entries as (id, page, section, answer)."""
    rows = json.loads((data / "canard" / "dev_343dialogs.json").read_text(encoding="utf-8"))
    dialogues: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        dialogues[row["QuAC_dialog_id"]].append(row)
    turns, entries = [], []
    for name, found in dialogues.items():
        page, section, *said = max((list[str](row["History"]) for row in found), key=len)
        answers = [*said[1::2]]
        rewrites = {row["Question_no"]: row["Rewrite"] for row in found}
        for i, (question, answer) in enumerate(zip(said[::2], answers, strict=False)):
            if answer.startswith(_NO_ANSWER[:-1]):
                continue
            entry = f"{name}/{i + 1}"
            before = zip(said[: 2 * i : 2], said[1 : 2 * i : 2], strict=True)
            turns.append(
                Turn(
                    dialogue=name,
                    question=question,
                    before=tuple(
                        Exchange(question=q, answer="" if a.startswith(_NO_ANSWER[:-1]) else a)
                        for q, a in before
                    ),
                    rewrite=str(rewrites[i + 1]),
                    entry=entry,
                )
            )
            entries.append((entry, page, section, answer))
    return turns, entries


def _measured(turns: Sequence[Turn], collection: TermSearch, seed: int) -> list[Figure]:
    ways: dict[str, Callable[[Turn], str]] = {
        "last turn": lambda turn: turn.question,
        "last two turns": lambda turn: turn.joined(1),
        "all turns": lambda turn: turn.joined(len(turn.before)),
        "the rule without an index": lambda turn: standalone_query(
            turn.question, [exchange.question for exchange in turn.before]
        ),
        "human rewrite": lambda turn: turn.rewrite,
    }
    subjects = {turn: subject_of(turn.before, collection) for turn in turns}
    unaided = {t: subject_of(t.before, WithoutAnswers(collection, t.before)) for t in turns}
    ways["rewrite, earlier answers not in the index"] = lambda t: about(t.question, unaided[t])
    ways["rewrite"] = lambda turn: about(turn.question, subjects[turn])
    values = {name: turn_ranks(turns, way, collection) for name, way in ways.items()}
    figures = [
        _figure(name, found, baseline=values["last two turns"].mean(), seed=seed)
        for name, found in values.items()
    ]
    figures[-1] = _figure(
        "rewrite", values["rewrite"], baseline=values["all turns"].mean(), target=0.27, seed=seed
    )
    others = np.array([turn.is_of_other_half for turn in turns])
    if others.any():
        name = "rewrite, dialogues of the other half"
        base = values["all turns"][others].mean()
        figures.append(_figure(name, values["rewrite"][others], baseline=base, seed=seed))
    figures += _changed(turns, subjects, collection, seed)
    return figures + _bleu_figures(turns, subjects)


def _changed(
    turns: Sequence[Turn], subjects: dict[Turn, str], collection: TermSearch, seed: int
) -> list[Figure]:
    """Return how first questions fare behind another dialogue."""
    first = [turn for turn in turns if not turn.before]
    followed = [turn for turn in turns if turn.before]
    if not followed:
        return []
    draws = np.random.default_rng(seed)
    strange = {t: subjects[followed[int(draws.integers(len(followed)))]] for t in first}
    alone = turn_ranks(first, lambda turn: turn.question, collection)
    behind = turn_ranks(first, lambda turn: about(turn.question, strange[turn]), collection)
    name = "a first question behind another dialogue"
    return [_figure(name, behind, baseline=alone.mean(), seed=seed)]


def _bleu_figures(turns: Sequence[Turn], subjects: dict[Turn, str]) -> list[Figure]:
    references = [turn.rewrite for turn in turns]
    plain = bleu([turn.question for turn in turns], references)
    spelled = bleu([spelled_out(turn.question, subjects[turn]) for turn in turns], references)
    unit = f"corpus of {len(turns)}"
    return [Figure(name="CANARD, BLEU-4 to Rewrite", value=spelled, unit=unit, baseline=plain)]


def turn_ranks(
    turns: Sequence[Turn], way: Callable[[Turn], str], collection: TermSearch
) -> np.ndarray:
    found = []
    for turn in turns:
        hits = collection.search_terms(way(turn).replace('"', " "), _DEPTH)
        found.append(reciprocal_rank([hit.uri for hit in hits], {turn.entry}, _DEPTH))
    return np.array(found)


def _figure(
    name: str,
    values: np.ndarray,
    *,
    seed: int,
    baseline: float | None = None,
    target: float | None = None,
) -> Figure:
    sure = bootstrap_interval(values.tolist(), seed=seed)
    return Figure(
        name=f"CANARD, MRR@10: {name}",
        value=sure.value,
        unit=f"mean of {len(values)} turns",
        spread=(sure.low, sure.high),
        baseline=None if baseline is None else float(baseline),
        target=target,
    )


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU-4 of a corpus, one reference each, lower-cased words and punctuation."""
    right, total = np.zeros(4), np.zeros(4)
    lengths = np.zeros(2)
    for text, reference in zip(texts, references, strict=True):
        words, wanted = (_WORD.findall(one.lower()) for one in (text, reference))
        lengths += len(words), len(wanted)
        for n in range(1, 5):
            made, known = (
                Counter(tuple(w[i : i + n]) for i in range(len(w) - n + 1)) for w in (words, wanted)
            )
            right[n - 1] += (made & known).total()
            total[n - 1] += made.total()
    if not right.all():
        return 0.0
    brevity = min(0.0, 1 - lengths[1] / lengths[0])
    return math.exp(brevity + float(np.log(right / total).mean()))


def canard_store(folder: Path, entries: Sequence[tuple[str, str, str, str]]) -> CollectionStore:
    database = open_database(f"sqlite:///{folder}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    store = CollectionStore(database, threads=1)
    store.create(_NAME, embedder="none", fingerprint="none", dim=1)
    documents = [
        NewDocument(
            uri=entry,
            title=page,
            media_type="text/plain",
            source_sha256="",
            text=answer,
            items=[Item(start=0, end=len(answer.encode()), heading_path=(section,))],
            vectors=np.ones((1, 1), np.float32),  # only its words are searched
        )
        for entry, page, section, answer in entries
    ]
    for i in range(0, len(documents), _BATCH):
        store.open(_NAME).upsert_many(documents[i : i + _BATCH], fingerprint="none")
    return store
