"""Is the service useful? Questions about Python, each one turn through the real `DialogAgent`.

For each answerable question: is a citation in a topic that holds the answer, is the first one, and
does the reply hold the key phrase. For each other question: does the reply say that nothing was
found. Shares come with their Wilson intervals (95 %), times with their extremes.

    python -m benchmarks.answers [--quick] [--data FILE] [--collection-scope topics|all]
                                 [--json FILE] [--verbose] [--seed N]
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.questions import Judgement, Question, judge, read_questions
from benchmarks.report import REPOSITORY, Figure, share, write
from benchmarks.service import open_agent
from dialog.reply import CallCard, EvidenceFound, Reply, TurnRequest
from llm.chat import Message, TextDelta, ToolCallDelta
from llm.sampling_params import SamplingParams

DEFAULT_DATA = REPOSITORY / "tests" / "e2e" / "python_questions.json"
NUM_QUICK = (6, 2)
TARGET_RIGHT_TOPIC = 24 / 30
TARGET_KEY_PHRASE = 20 / 30
TARGET_TOLD = 8 / 10


_Raw = argparse.RawDescriptionHelpFormatter


class Agent(Protocol):
    """The part of `DialogAgent` that a benchmark needs."""

    def stream(
        self, request: TurnRequest
    ) -> Iterator[EvidenceFound | TextDelta | ToolCallDelta | CallCard | Reply]: ...


def ask(agent: Agent, question: Question, collection: str, *, seed: int) -> Judgement:
    """Ask one question as a chat of its own and judge the reply."""
    request = TurnRequest(
        messages=(Message(role="user", content=question.text),),
        params=SamplingParams(seed=seed),
        collection=collection,
    )
    replies = [item for item in agent.stream(request) if isinstance(item, Reply)]
    if len(replies) != 1:
        raise RuntimeError(f"a turn must end with one reply, got {len(replies)}: {question.text!r}")
    return judge(question, replies[0])


def table_head() -> str:
    """Return the head of the Markdown table whose rows are `table_row`."""
    return (
        "| question | cited | right topic | first right | key phrase | abstained | s |\n"
        "|---|---|---|---|---|---|---|"
    )


def table_row(row: Judgement) -> str:
    """Return one judgement as a row of a Markdown table."""
    is_answerable = bool(row.question.topics)
    cited = ", ".join(uri.removeprefix("python/").removeprefix("topics/") for uri in row.uris)
    marks = [
        _mark(row.has_right_topic) if is_answerable else "",
        _mark(row.is_first_right) if is_answerable else "",
        _mark(row.has_key_phrase) if is_answerable else "",
        "yes" if row.has_abstained else "no",
        f"{row.total_s:.1f}",
    ]
    return (
        "| " + " | ".join([row.question.text.replace("|", "\\|"), cited or "none", *marks]) + " |"
    )


def _mark(is_right: bool) -> str:
    return "yes" if is_right else "**no**"


def figures(rows: Sequence[Judgement], *, has_targets: bool = True) -> list[Figure]:
    """Return the totals; targets belong to the question set that they were set for."""
    asked = [row for row in rows if row.question.topics]
    others = [row for row in rows if not row.question.topics]

    def target(value: float) -> float | None:
        return value if has_targets else None

    found = [
        share(
            "right topic cited",
            sum(row.has_right_topic for row in asked),
            len(asked),
            target=target(TARGET_RIGHT_TOPIC),
        ),
        share("first citation right", sum(row.is_first_right for row in asked), len(asked)),
        share(
            "key phrase in the answer",
            sum(row.has_key_phrase for row in asked),
            len(asked),
            target=target(TARGET_KEY_PHRASE),
        ),
        share("answerable, not abstained", sum(not r.has_abstained for r in asked), len(asked)),
        share(
            "unanswerable, told so",
            sum(row.has_abstained for row in others),
            len(others),
            target=target(TARGET_TOLD),
        ),
    ]
    if times := [row.total_s for row in rows]:
        found.append(
            Figure(
                name="seconds a turn, median",
                value=statistics.median(times),
                unit="s",
                spread=(min(times), max(times)),
                higher_is_better=False,
            )
        )
    return found


def _summary(figure: Figure) -> str:
    text = f"{figure.name}: {figure.value:.3g} {figure.unit}"
    if figure.spread is not None:
        text += f" [{figure.spread[0]:.3g}, {figure.spread[1]:.3g}]"
    if figure.target is not None:
        text += f", target {figure.target:.3g}: {'met' if figure.met else 'missed'}"
    return text


def _quick(questions: Sequence[Question]) -> list[Question]:
    answerable = [question for question in questions if question.topics]
    others = [question for question in questions if not question.topics]
    return answerable[: NUM_QUICK[0]] + others[: NUM_QUICK[1]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.answers", description=__doc__, formatter_class=_Raw
    )
    parser.add_argument("--quick", action="store_true", help="6 + 2 questions only, no targets")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="a question set")
    parser.add_argument("--collection-scope", choices=["topics", "all"], default="topics")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--verbose", action="store_true", help="print each answer as well")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    questions = read_questions(options.data)
    if options.quick:
        questions = _quick(questions)
    has_targets = not options.quick and options.data.resolve() == DEFAULT_DATA.resolve()
    rows = []
    with open_agent(options.collection_scope) as service:
        print(table_head())
        for question in questions:
            row = ask(service.agent, question, service.collection, seed=options.seed)
            rows.append(row)
            print(table_row(row), flush=True)
            if options.verbose:
                print(f"\n{row.text}\n", file=sys.stderr, flush=True)
        totals = figures(rows, has_targets=has_targets)
        print("\n" + "\n".join(_summary(figure) for figure in totals))
        if options.json is not None:
            write(options.json, totals, threads=service.threads, seed=options.seed)
    return 1 if any(figure.met is False for figure in totals) else 0


if __name__ == "__main__":
    sys.exit(main())
