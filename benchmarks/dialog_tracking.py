"""Trackers on public corpora, for `benchmarks.dialog`: accuracy, calibration, what came of it."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.report import Figure
from dialog.evaluation.corpus import Corpus, CorpusFormat
from dialog.evaluation.corpus_tracker import CorpusTracker, Reader
from dialog.evaluation.evaluator import Evaluation, calibration_figures, evaluate
from dialog.evaluation.ontology import Gazetteer
from dialog.evaluation.outcomes import cross_calibrated
from dialog.evaluation.reading import read_corpus
from dialog.tracker.constrained import ConstrainedTracker
from dialog.tracker.rule import RuleTracker
from llm.chat import TextScorer

SEED = 0
IDS = Path(__file__).with_name("dialog_ids.json")

_SGD = ("sgd/dev_600.jsonl", "sgd/train_3000.jsonl")
_MULTIWOZ = "multiwoz21/val.json"
_EVERY_S = 20.0
_CALIBRATED = 20

CountTokens = Callable[[str], int]


class Corpora:
    """The corpora of a data folder, each read once; `most` cuts them for a quick run."""

    def __init__(self, data: Path, most: int | None) -> None:
        self._data = data
        self._most = most
        self._read: dict[tuple[str, str | None], Corpus] = {}
        self._train: Corpus | None = None

    def of(self, name: CorpusFormat, split: str | None = None) -> Corpus:
        """Return a corpus, or one part of it."""
        key = (name, split)
        if key not in self._read:
            path = {"sgd": _SGD[0], "multiwoz": _MULTIWOZ}.get(name, name)
            corpus = read_corpus(name, self._data / path, split=split)
            if self._most is not None:
                corpus = corpus.only(frozenset(d.id for d in corpus.dialogues[: self._most]))
            self._read[key] = corpus
        return self._read[key]

    def train(self) -> Corpus:
        """Return SGD's training part: its schema and its services' rows, never its labels."""
        if self._train is None:
            self._train = read_corpus("sgd", self._data / _SGD[1])
        return self._train


def joint(name: str, run: Evaluation, target: float | None = None) -> Figure:
    """Return the joint goal accuracy with its interval."""
    figures = run.figures
    return Figure(
        name=f"{name}: joint goal accuracy",
        value=figures["joint_goal_accuracy"],
        unit=f"of {figures['num_turns']} turns",
        spread=(figures["joint_goal_accuracy.low"], figures["joint_goal_accuracy.high"]),
        target=target,
    )


def others(name: str, run: Evaluation, names: Sequence[str]) -> list[Figure]:
    """Return further figures of a run, where it has them."""
    return [
        Figure(name=f"{name}: {key.replace('_', ' ')}", value=run.figures[key], unit="")
        for key in names
        if key in run.figures
    ]


_MORE = (
    "slot_f1",
    "relative_slot_accuracy",
    "average_goal_accuracy",
    "active_intent_accuracy",
    "requested_slots_f1",
    "joint_goal_accuracy.seen",
    "joint_goal_accuracy.unseen",
)


def tracked(
    label: str, corpus: Corpus, tracker: CorpusTracker, *, seen: frozenset[str] | None = None
) -> Evaluation:
    """Evaluate, and tell now and then how far it is."""
    started = last = time.monotonic()

    def on_dialogue(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY_S or done == total:
            last = now
            left = (now - started) / done * (total - done)
            print(
                f"{label}, {tracker.name}: {done} of {total} dialogues, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    return evaluate(corpus, tracker, seen=seen, seed=SEED, on_dialogue=on_dialogue)


def rules(corpora: Corpora) -> list[Figure]:
    """The recogniser tracker on all corpora."""
    figures = []
    for name in ("woz", "camrest"):
        for split in ("train", "val"):
            corpus = corpora.of("woz" if name == "woz" else "camrest", split)
            run = tracked(f"{name} {split}", corpus, CorpusTracker(corpus))
            figures.append(joint(f"{name} {split}, recogniser", run, target=0.75))
            figures += others(f"{name} {split}, recogniser", run, _MORE)
    return figures


def task(corpora: Corpora) -> list[Figure]:
    """MultiWOZ val by the recogniser: its states, and what comes of the dialogues with them."""
    corpus = corpora.of("multiwoz")
    run = tracked("multiwoz val", corpus, CorpusTracker(corpus))
    figures = [joint("multiwoz 2.1 val, recogniser", run)]
    figures += others("multiwoz 2.1 val, recogniser", run, _MORE)
    figures.append(invented("multiwoz 2.1 val, recogniser", run))
    figures += [
        Figure(
            name=f"multiwoz 2.1 val, {name} with the recogniser's states",
            value=run.figures[name],
            unit=f"of {run.figures['num_dialogues']} dialogues",
            baseline=run.figures[f"{name}.reference"],  # with the corpus's states
        )
        for name in ("inform", "success", "book")
        if name in run.figures
    ]
    return figures


def calibration(corpora: Corpora) -> list[Figure]:
    """SGD dev by the recogniser, official metric; then its probabilities, calibrated crosswise."""
    corpus, train = corpora.of("sgd"), corpora.train()
    tracker = CorpusTracker(corpus, gazetteer=Gazetteer.of(train))
    run = tracked("sgd dev", corpus, tracker, seen=frozenset(train.services))
    figures = [joint("sgd dev, recogniser", run), *others("sgd dev, recogniser", run, _MORE)]
    figures.append(invented("sgd dev, recogniser", run))
    on_changes = calibration_figures(cross_calibrated(run.decisions))
    on_all = calibration_figures(cross_calibrated(run.decisions, only_changes=False))
    rows = (
        ("changes, calibrated on changes", on_changes["ece"], run.figures["ece"], 0.05),
        ("changes of the tracker, so calibrated", on_changes["ece.hypothesis"], None, None),
        ("changes of the tracker, calibrated on all", on_all["ece.hypothesis"], None, None),
        ("all decisions, calibrated on all", on_all["ece.all"], run.figures["ece.all"], None),
        ("changes, calibrated on all", on_all["ece"], None, None),
    )
    figures += [
        Figure(
            name=f"sgd dev, ECE of {name}",
            value=value,
            unit="15 equal-mass bins",
            baseline=before,
            target=target,
            higher_is_better=False,
        )
        for name, value, before, target in rows
    ]
    return figures


def constrained(
    corpora: Corpora,
    name: CorpusFormat,
    scorer: TextScorer,
    count: CountTokens,
    num: int | None,
) -> list[Figure]:
    """The constrained tracker beside the recogniser, on the same dialogues of one corpus.

    `num` are so many of the committed ids, None all dialogues of the corpus.
    """
    corpus = corpora.of(name)
    if num is not None:
        ids: Mapping[str, list[str]] = json.loads(IDS.read_text(encoding="utf-8"))
        there = {d.id for d in corpus.dialogues}
        corpus = corpus.only(frozenset([i for i in ids[name] if i in there][:num]))
    label = f"{name}, {len(corpus.dialogues)} dialogues"
    gazetteer = Gazetteer.of(corpora.train()) if name == "sgd" else None
    figures = []
    readers: tuple[Reader, ...] = (ConstrainedTracker(scorer), RuleTracker())
    for reader in readers:
        tracker = CorpusTracker(corpus, reader=reader, gazetteer=gazetteer)
        run = tracked(label, corpus, tracker)
        figures.append(joint(f"{label}, {reader.name}", run))
        figures += others(f"{label}, {reader.name}", run, (*_MORE[:2], "inform", "success", "book"))
        figures.append(invented(f"{label}, {reader.name}", run))
        figures += _ece(f"{label}, {reader.name}", run)
        if reader.name == "constrained":
            figures += _slope(label, run, [count(text) for text in _exchanges(corpus)])
    return figures


def _ece(label: str, run: Evaluation) -> list[Figure]:
    """Return the calibration error over changes, calibrated crosswise; as it was beside it.

    None of a handful of dialogues, of which a half may be empty.
    """
    if run.figures["num_dialogues"] < _CALIBRATED:
        return []
    on_changes = calibration_figures(cross_calibrated(run.decisions))
    return [
        Figure(
            name=f"{label}: ECE of changes, calibrated on changes",
            value=on_changes["ece"],
            unit="15 equal-mass bins",
            baseline=run.figures["ece"],
            higher_is_better=False,
        )
    ]


def _exchanges(corpus: Corpus) -> list[str]:
    """Return what was said in each turn, in the order in which turns are tracked."""
    return [
        f"{turn.system}\n{turn.user}" for dialogue in corpus.dialogues for turn in dialogue.turns
    ]


def _slope(label: str, run: Evaluation, said: Sequence[int]) -> list[Figure]:
    """Return the tokens computed per turn, and the slope over its number of those beyond its own.

    The interval is that of a least-squares line.
    """
    xs = [float(n) for n, _ in run.tokens]
    computed = [float(tokens) for _, tokens in run.tokens]
    ys = [tokens - own for tokens, own in zip(computed, said, strict=True)]
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    error = (rest / max(1, len(xs) - 2) / spread) ** 0.5
    return [
        Figure(
            name=f"{label}, constrained: tokens computed per turn",
            value=statistics.fmean(computed),
            unit="tokens",
        ),
        Figure(
            name=f"{label}, constrained: slope of tokens computed beyond the turn's own",
            value=slope,
            unit="tokens per number of the turn",
            spread=(slope - 1.96 * error, slope + 1.96 * error),
        ),
    ]


def invented(label: str, run: Evaluation) -> Figure:
    """Return how many values of the states had no source."""
    return Figure(
        name=f"{label}: invented values",
        value=run.figures["invented_values"],
        unit=f"of {run.figures['num_slot_values']}",
        target=0,
        higher_is_better=False,
    )
