"""What a second turn costs: time to the first token with the conversation's cache and without.

A conversation over the Python reference, retrieval on, begins with about 2,000 tokens; then a short
question follows, asked once by the owner whose first turn it was and once by another owner of the
same recorded events, for whom nothing is cached. The model's time to its first token is counted
from when the engine has the prompt; the reader's includes the search, and ends with the first word
shown, which is a quoted one.

    python -m benchmarks.turns [--quick] [--json FILE]
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from api.application import Application
from api.bootstrap import build, index_language_topics
from api.settings import load_settings
from benchmarks.report import Figure, write
from dialog.reply import Reply, TurnRequest
from llm.chat import Message, TextDelta
from llm.sampling_params import SamplingParams
from rag.python_reference import language_topics

SEED = 3
CONVERSATION_TOKENS = 2000
QUESTIONS = (
    "What does the with statement do?",
    "How is an exception caught?",
    "What is a generator expression?",
    "How are keyword-only parameters written?",
    "What does the global statement do?",
    "When is a finally clause executed?",
    "What is an assignment expression?",
    "What does a raise statement without an expression do?",
    "What does the nonlocal statement do?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Seconds to the model's first token and to the reader's first word, and tokens read."""

    model_s: float
    reader_s: float
    prompt_tokens: int
    cached_tokens: int


def until_idle(application: Application) -> None:
    """Wait until what was said last has been read ahead, as it is while a person reads it."""
    assert application.engine is not None
    until = time.monotonic() + 10
    while time.monotonic() < until:
        state = application.engine.state()
        if not (state.running or state.waiting):
            return
        time.sleep(0.02)


def ask(application: Application, conversation: str, owner: str, text: str) -> Turn:
    """Ask and time."""
    request = TurnRequest(
        messages=(Message(role="user", content=text),),
        params=SamplingParams(seed=SEED),
        conversation_id=conversation,
        owner=owner,
    )
    until_idle(application)
    started = time.perf_counter()
    first: float | None = None
    reply: Reply | None = None
    for part in application.agent.stream(request):
        if isinstance(part, TextDelta) and first is None:
            first = time.perf_counter() - started
        if isinstance(part, Reply):
            reply = part
    assert reply is not None
    assert first is not None
    return Turn(
        model_s=reply.timings.prefill_s,
        reader_s=first,
        prompt_tokens=reply.usage.prompt_tokens,
        cached_tokens=reply.usage.cached_tokens,
    )


def long_question(application: Application, number: int) -> str:
    """Return a question after so much text that the conversation begins with 2,000 tokens."""
    text = f"Question {number}. I read this: "
    for document in language_topics()[number + 3 :]:
        text += document.text
        message = Message(role="user", content=text)
        if application.chat_model.count_tokens([message]) >= CONVERSATION_TOKENS - 300:
            break
    while application.chat_model.count_tokens([Message(role="user", content=text)]) > (
        CONVERSATION_TOKENS - 300
    ):
        text = text[: int(0.97 * len(text))]
    return f"{text}\n\n{QUESTIONS[number % len(QUESTIONS)]}"


def rounds_of(application: Application, rounds: int) -> list[tuple[Turn, Turn]]:
    """Return (cold, warm) second turns, each of a conversation of its own."""
    pairs = []
    sessions = application.sessions
    for i in range(rounds):
        mine, other = f"owner {i}", f"stranger {i}"
        kept = sessions.create(owner=mine, collection="python")
        ask(application, kept.id, mine, long_question(application, i))
        copy = sessions.create(owner=other, collection="python")
        events = [stored.event for stored in sessions.events(kept.id, mine)]
        sessions.append(copy.id, 1, *events[1:])
        follow_up = QUESTIONS[(i + 4) % len(QUESTIONS)]
        order = ((copy.id, other), (kept.id, mine))
        cold, warm = (ask(application, *which, follow_up) for which in order)
        pairs.append((cold, warm))
        print(
            f"{i + 1}: cold {cold.prompt_tokens} tokens, {1e3 * cold.model_s:.0f} ms; warm"
            f" {warm.prompt_tokens - warm.cached_tokens} new, {1e3 * warm.model_s:.0f} ms",
            flush=True,
        )
    return pairs


def main() -> None:
    """Measure, print a table, write the JSON form where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 conversations instead of 9")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        application = build(load_settings(state=Path(state), index_library=False))
        index_language_topics(application)
        pairs = rounds_of(application, 3 if arguments.quick else 9)
        engine = application.engine
        threads = 0 if engine is None else engine.state().threads
        application.close()
    model = [cold.model_s / warm.model_s for cold, warm in pairs]
    reader = [cold.reader_s / warm.reader_s for cold, warm in pairs]
    figures = [
        Figure(
            name="cold / warm, time to the model's first token of a second turn",
            value=statistics.median(model),
            unit="x",
            spread=(min(model), max(model)),
            target=10.0,
        ),
        Figure(
            name="cold / warm, time to the reader's first word",
            value=statistics.median(reader),
            unit="x",
            spread=(min(reader), max(reader)),
        ),
        Figure(
            name="warm, time to the model's first token",
            value=1e3 * statistics.median(warm.model_s for _, warm in pairs),
            unit="ms",
        ),
        Figure(
            name="warm, time to the reader's first word",
            value=1e3 * statistics.median(warm.reader_s for _, warm in pairs),
            unit="ms",
        ),
    ]
    print("\n| what | value | wanted |\n|---|---|---|")
    for row in figures:
        wanted = "" if row.target is None else f">= {row.target:g}"
        print(f"| {row.name} | {row.value:.1f} {row.unit} | {wanted} |")
    if arguments.json:
        write(arguments.json, figures, threads=threads, seed=SEED)


if __name__ == "__main__":
    main()
