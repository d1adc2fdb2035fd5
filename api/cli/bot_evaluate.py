"""`bot evaluate`: a tracker on a public corpus, scored by the one evaluator."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.cli.bot_options import print_json
from api.cli.progress import progress_bars
from api.settings import load_settings
from dialog.errors import CorpusError
from dialog.evaluation.corpus import Corpus, CorpusFormat
from dialog.evaluation.corpus_tracker import CorpusTracker, Reader
from dialog.evaluation.evaluator import Evaluation, evaluate
from dialog.evaluation.ontology import Gazetteer
from dialog.evaluation.reading import FORMATS, read_corpus
from dialog.tracker.constrained import ConstrainedTracker
from dialog.tracker.rule import RuleTracker
from llm.errors import LLMError
from llm.model_store import ModelStore

TRACKERS = ("recogniser", "constrained")


def evaluate_corpus(  # noqa: PLR0913 - the options of a command
    corpus_format: Annotated[
        str, typer.Option("--format", help="sgd, multiwoz, woz or camrest.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option("--data", help="The dialogues: a file or a folder.", show_default=False),
    ],
    tracker: Annotated[str, typer.Option("--tracker", help="recogniser or constrained.")] = (
        "recogniser"
    ),
    schema: Annotated[
        Path | None, typer.Option("--schema", help="SGD: the schema, if not beside the data.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option("--train", help="SGD: dialogues whose services and rows are known."),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="WOZ, CamRest: one part, such as train.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="A JSON list of the dialogues to take.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap interval.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to a file, - for here.")
    ] = None,
) -> None:
    """Score a tracker on a corpus of dialogues.

    Exit code 2: the corpus, an option or the model cannot be used.
    """
    try:
        run = _run(
            corpus_format,
            data,
            tracker,
            schema=schema,
            train=train,
            split=split,
            ids=ids,
            seed=seed,
        )
    except (CorpusError, LLMError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    if json_file is None:
        for name, value in run.figures.items():
            print(f"{name:32} {value:.4f}" if isinstance(value, float) else f"{name:32} {value}")
    elif str(json_file) == "-":
        print_json(run.figures)
    else:
        json_file.write_text(json.dumps(run.figures, indent=2) + "\n", encoding="utf-8")


def _run(  # noqa: PLR0913 - the options of a command
    corpus_format: str,
    data: Path,
    tracker: str,
    *,
    schema: Path | None,
    train: Path | None,
    split: str | None,
    ids: Path | None,
    seed: int,
) -> Evaluation:
    if tracker not in TRACKERS:
        raise ValueError(f"there is no tracker {tracker!r}; there are {list(TRACKERS)}")
    known: CorpusFormat | None = next((f for f in FORMATS if f == corpus_format), None)
    if known is None:
        raise CorpusError(f"there is no corpus format {corpus_format!r}; there are {list(FORMATS)}")
    corpus = _chosen(read_corpus(known, data, schema=schema, split=split), ids)
    others = None if train is None else read_corpus(known, train)
    gazetteer = None if others is None else Gazetteer.of(others)
    seen = None if others is None else frozenset(others.services)
    reader: Reader = RuleTracker()
    with ExitStack() as stack:
        if tracker == "constrained":
            # Here and not above: torch costs seconds, and other trackers do without it.
            from api.bootstrap import build_engine  # noqa: PLC0415
            from llm.async_engine import AsyncEngine  # noqa: PLC0415

            settings = load_settings()
            weights = ModelStore(settings.home).path(settings.chat_model)
            engine = AsyncEngine(build_engine(settings, weights))
            stack.callback(engine.close)
            reader = ConstrainedTracker(engine)
        with progress_bars(Console(stderr=True)) as bars:
            return evaluate(
                corpus,
                CorpusTracker(corpus, reader=reader, gazetteer=gazetteer),
                seen=seen,
                seed=seed,
                on_dialogue=lambda done, total: bars("dialogues", done, total),
            )


def _chosen(corpus: Corpus, ids: Path | None) -> Corpus:
    if ids is None:
        return corpus
    try:
        wanted = json.loads(ids.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CorpusError(f"{ids} is no readable JSON: {error}; give a list of ids") from error
    if isinstance(wanted, dict):  # lists by format, as the benchmark keeps them
        wanted = wanted.get(corpus.format, [])
    if not isinstance(wanted, list) or not wanted:
        raise CorpusError(f"{ids} holds no list of ids for {corpus.format}")
    return corpus.only(frozenset(map(str, wanted)))
