"""Task-oriented dialogue: trackers on public corpora, calibration, what a turn costs.

    python -m benchmarks.dialog [--data PATH] [--quick | --full] [--part PART]... [--json FILE]

Parts: `rules` (WOZ 2.0 and CamRest by part, MultiWOZ 2.1 val whole), `calibration` (SGD dev whole,
each half calibrated on the other), `constrained` (100 dialogues each whose ids are committed in
`dialog_ids.json`; `--dialogues N` takes the first N, `--full` the whole corpora; the recogniser on
the same dialogues stands beside), `cost` (tokens computed per turn by turn number), `turn` (the
milliseconds of a turn tracked by rules). Spreads are 95 % intervals, of joint goal accuracy by
bootstrap over dialogues.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import REPOSITORY, Figure, write
from dialog.bot.loading import load_bot
from dialog.evaluation.corpus import Corpus, CorpusFormat
from dialog.evaluation.corpus_tracker import CorpusTracker, Reader
from dialog.evaluation.evaluator import Evaluation, calibration_figures, evaluate
from dialog.evaluation.ontology import Gazetteer
from dialog.evaluation.outcomes import cross_calibrated
from dialog.evaluation.reading import read_corpus
from dialog.task.commands import Set, Start
from dialog.task.testing import agent_of, turn
from dialog.task.understanding import Tracker
from dialog.tracker.constrained import ConstrainedTracker
from dialog.tracker.rule import RuleTracker
from llm.async_engine import AsyncEngine
from llm.model_store import ModelStore

PARTS = ("rules", "calibration", "constrained", "cost", "turn")
SEED = 0
DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
IDS = Path(__file__).with_name("dialog_ids.json")
EXAMPLES = REPOSITORY / "examples"

_SGD = ("sgd/dev_600.jsonl", "sgd/train_3000.jsonl")
_MULTIWOZ = "multiwoz21/val.json"
_SCRIPT = ("please make that a table for 4 people", "please make that a table for 3 people")
_BOOKING = (
    Start(task="book_table"),
    Set(slot="restaurant", value="anchor_house"),
    Set(slot="people", value=2),
    Set(slot="date", value="2025-03-07"),
    Set(slot="time", value="19:00"),
    Set(slot="name", value="Ana Lind"),
    Set(slot="phone", value="+441632960102"),
)


class Corpora:
    """The corpora of a data folder, each read once; `most` cuts them for a quick run."""

    def __init__(self, data: Path, most: int | None) -> None:
        self._data = data
        self._most = most
        self._read: dict[tuple[str, str | None], Corpus] = {}

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
        return read_corpus("sgd", self._data / _SGD[1])


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


def rules(corpora: Corpora) -> list[Figure]:
    """The recogniser tracker on all corpora."""
    figures = []
    for name in ("woz", "camrest"):
        for split in ("train", "val"):
            corpus = corpora.of("woz" if name == "woz" else "camrest", split)
            run = evaluate(corpus, CorpusTracker(corpus), seed=SEED)
            figures.append(joint(f"{name} {split}, recogniser", run, target=0.75))
            figures += others(f"{name} {split}, recogniser", run, _MORE)
    corpus = corpora.of("multiwoz")
    run = evaluate(corpus, CorpusTracker(corpus), seed=SEED)
    figures += [joint("multiwoz 2.1 val, recogniser", run)]
    figures += others("multiwoz 2.1 val, recogniser", run, _MORE)
    return figures


def calibration(corpora: Corpora) -> list[Figure]:
    """SGD dev by the recogniser, official metric; then its probabilities, calibrated crosswise."""
    corpus, train = corpora.of("sgd"), corpora.train()
    tracker = CorpusTracker(corpus, gazetteer=Gazetteer.of(train))
    run = evaluate(corpus, tracker, seen=frozenset(train.services), seed=SEED)
    figures = [joint("sgd dev, recogniser", run), *others("sgd dev, recogniser", run, _MORE)]
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


def constrained(corpora: Corpora, engine: AsyncEngine, num: int | None) -> list[Figure]:
    """The constrained tracker beside the recogniser, on the same dialogues."""
    ids: Mapping[str, list[str]] = json.loads(IDS.read_text(encoding="utf-8"))
    gazetteer = Gazetteer.of(corpora.train())
    figures = []
    for name in ("sgd", "multiwoz"):
        corpus = corpora.of("sgd" if name == "sgd" else "multiwoz")
        if num is not None:
            there = {d.id for d in corpus.dialogues}
            corpus = corpus.only(frozenset([i for i in ids[name] if i in there][:num]))
        label = f"{name}, {len(corpus.dialogues)} dialogues"
        readers: tuple[Reader, ...] = (ConstrainedTracker(engine), RuleTracker())
        for reader in readers:
            run = evaluate(
                corpus, CorpusTracker(corpus, reader=reader, gazetteer=gazetteer), seed=SEED
            )
            figures.append(joint(f"{label}, {reader.name}", run))
            figures += others(f"{label}, {reader.name}", run, _MORE[:2])
            if reader.name == "constrained":
                figures += _slope(label, run)
                figures.append(_invented(label, run))
    return figures


def _slope(label: str, run: Evaluation) -> list[Figure]:
    """Return the tokens computed per turn, and their slope over the number of the turn."""
    xs = [float(n) for n, _ in run.tokens]
    ys = [float(tokens) for _, tokens in run.tokens]
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    error = (rest / max(1, len(xs) - 2) / spread) ** 0.5
    return [
        Figure(
            name=f"{label}, constrained: tokens computed per turn",
            value=mean_y,
            unit="tokens",
        ),
        Figure(
            name=f"{label}, constrained: slope of tokens computed over the turn number",
            value=slope,
            unit="tokens a turn",
            spread=(slope - 1.96 * error, slope + 1.96 * error),
        ),
    ]


def _invented(label: str, run: Evaluation) -> Figure:
    return Figure(
        name=f"{label}, constrained: invented values",
        value=run.figures["invented_values"],
        unit=f"of {run.figures['num_slot_values']}",
        target=0,
        higher_is_better=False,
    )


def cost(engine: AsyncEngine) -> list[Figure]:
    """Tokens computed on forty equal turns of the restaurant bot: the most over the least."""
    watched = _Watched(ConstrainedTracker(engine))
    agent = agent_of(load_bot(EXAMPLES / "restaurant"), tracker=watched)
    turn(agent, *_BOOKING)  # all is told, so the bot asks each time whether it may book
    for i in range(40):
        turn(agent, text=_SCRIPT[i % 2])
    tokens = watched.tokens[1:]  # the first turn also reads what all prompts begin with
    assert len(tokens) == 39, "the bot listens to every turn"
    return [
        Figure(
            name="forty equal turns, constrained: most tokens computed over the mean",
            value=max(tokens) / statistics.fmean(tokens),
            unit="from turn 2 on",
            target=1.1,
            higher_is_better=False,
        ),
        Figure(
            name="forty equal turns, constrained: least tokens computed over the mean",
            value=min(tokens) / statistics.fmean(tokens),
            unit="from turn 2 on",
            target=0.9,
        ),
    ]


class _Watched:
    """Notes what readings cost."""

    def __init__(self, tracker: Tracker) -> None:
        self.name = tracker.name
        self.tokens: list[int] = []
        self._tracker = tracker

    def read(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Read as the tracker does."""
        found = self._tracker.read(*args, **kwargs)
        self.tokens.append(found.tokens_computed)
        return found


_TALK = (
    "I'd like to find an italian restaurant in the centre",
    "yes please",
    "4 people on Friday at 7pm",
    "Ana Lind",
    "what do you need that for?",
    "+44 20 7946 0958",
    "no, make it Saturday",
    "yes",
)


def turn_ms(rounds: int) -> list[Figure]:
    """A whole turn by rules, templates and a log in memory, on the restaurant bot."""
    bot = load_bot(EXAMPLES / "restaurant")
    tracker = RuleTracker()
    wall, processor = [], []
    for i in range(rounds + 1):
        agent = agent_of(bot, tracker=tracker)
        for text in _TALK:
            started, used = time.perf_counter(), time.thread_time()
            turn(agent, text=text)
            if i:  # the first round compiles phrases
                wall.append(1000 * (time.perf_counter() - started))
                processor.append(1000 * (time.thread_time() - used))
    return [
        Figure(
            name=f"a turn tracked by rules, p50 of {what}",
            value=statistics.median(times),
            unit="ms",
            spread=(min(times), sorted(times)[int(0.95 * len(times))]),
            target=30,
            higher_is_better=False,
        )
        for what, times in (("wall-clock time", wall), ("processor time", processor))
    ]


def _engine() -> AsyncEngine:
    settings = load_settings()
    return AsyncEngine(build_engine(settings, ModelStore(settings.home).path(settings.chat_model)))


def main() -> None:
    """Measure the parts asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be repeated")
    parser.add_argument("--dialogues", type=int, default=100, help="for the constrained tracker")
    parser.add_argument("--quick", action="store_true", help="20 dialogues of each corpus")
    parser.add_argument("--full", action="store_true", help="the constrained tracker on all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts = args.part or list(PARTS)
    corpora = Corpora(args.data, 20 if args.quick else None)
    num = None if args.full else min(args.dialogues, 3) if args.quick else args.dialogues
    engine = _engine() if {"constrained", "cost"} & set(parts) else None
    runs: dict[str, Callable[[], list[Figure]]] = {
        "rules": lambda: rules(corpora),
        "calibration": lambda: calibration(corpora),
        "constrained": lambda: constrained(corpora, _there(engine), num),
        "cost": lambda: cost(_there(engine)),
        "turn": lambda: turn_ms(3 if args.quick else 10),
    }
    figures: list[Figure] = []
    print("| what | value | 95 % or range | wanted |\n|---|---|---|---|")
    for part in parts:
        for figure in runs[part]():
            figures.append(figure)
            print(_row(figure), flush=True)
    if engine is not None:
        engine.close()
    if args.json is not None:
        write(args.json, figures, threads=load_settings().threads or os.cpu_count() or 1, seed=SEED)


def _row(figure: Figure) -> str:
    spread = "" if figure.spread is None else f"{figure.spread[0]:.3f} to {figure.spread[1]:.3f}"
    sign = ">=" if figure.higher_is_better else "<="
    wanted = "" if figure.target is None else f"{sign} {figure.target:g}"
    return f"| {figure.name} | {figure.value:.3f} {figure.unit} | {spread} | {wanted} |"


def _there(engine: AsyncEngine | None) -> AsyncEngine:
    assert engine is not None, "a part that needs the model has it built"
    return engine


if __name__ == "__main__":
    main()
