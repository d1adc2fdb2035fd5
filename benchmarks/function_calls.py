"""Questions of the Berkeley Function-Calling Leaderboard, put to the model in three ways.

    must call   our tool prompt, the call held to its grammar, and demanded
    may call    the same, but the model may as well speak
    plain       the same prompt without a grammar: what looks like a call is read as one

Greedy, so that a run can be repeated. Answers are judged by `tools.evaluation`.
"""

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure, share
from llm.chat import ChatModel, Completion, ToolCall
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.errors import ContextOverflowError, GrammarTooLargeError
from llm.sampling_params import SamplingParams
from llm.tool_prompt import ToolUse, read_calls, with_tools
from tools.evaluation import Outcome, Question, Verdict, judge, load_questions, summarised

CATEGORIES = ("simple_python", "multiple", "irrelevance")
WAYS = ("must call", "may call", "plain")
MAX_TOKENS = 200
PARALLEL = 8

_LOOKS_LIKE_A_CALL = re.compile(r'<tool_call>|\{\s*"name"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question with what became of it."""

    category: str
    way: str
    verdict: Verdict
    text: str
    is_refused: bool = False


def measure(
    model: ChatModel,
    folder: Path,
    *,
    num: int | None,
    on_progress: Callable[[str], None],
    ways: Sequence[str] = WAYS,
) -> list[Answered]:
    """Put `num` questions of each category (None: all), evenly taken, to the model."""
    jobs = [
        (category, way, question)
        for category in CATEGORIES
        for question in _evenly(load_questions(folder, category), num)
        for way in ways
        if (category, way) != ("irrelevance", "must call")  # who must call cannot abstain
    ]
    done: list[Answered] = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for answered in pool.map(lambda job: _answer(model, *job), jobs):
            done.append(answered)
            on_progress(f"function calls: {len(done)}/{len(jobs)}")
    return done


def figures_of(answers: Sequence[Answered]) -> list[Figure]:
    """Return accuracies, parse failures, and the three outcomes where nothing should be called."""
    found: list[Figure] = []
    for category in CATEGORIES:
        for way in WAYS:
            verdicts = [a.verdict for a in answers if (a.category, a.way) == (category, way)]
            if not verdicts:
                continue
            report = summarised(verdicts)
            count = report.num_questions
            if category == "irrelevance":
                for outcome in (Outcome.ABSTAINED, Outcome.UNPARSABLE, Outcome.WRONG_CALL):
                    name = f"irrelevance, {way}: {outcome}"
                    found.append(share(name, report.outcomes[outcome], count))
            else:
                found.append(share(f"{category}, {way}: right", report.num_right, count))
                for outcome in (Outcome.ABSTAINED, Outcome.UNPARSABLE):
                    name = f"{category}, {way}: {outcome}"
                    found.append(share(name, report.outcomes[outcome], count))
    held = [a for a in answers if a.way != "plain"]
    failures = sum(a.verdict.outcome is Outcome.UNPARSABLE for a in held)
    refused = sum(a.is_refused for a in held)
    found.append(
        Figure(
            name="parse failures under the grammar",
            value=float(failures),
            unit=f"of {len(held)} answers",
            target=0.0,
            higher_is_better=False,
        )
    )
    found.append(
        Figure(name="questions refused: too long", value=float(refused), unit=f"of {len(held)}")
    )
    return found


def _evenly(questions: Sequence[Question], num: int | None) -> Sequence[Question]:
    if num is None or num >= len(questions):
        return questions
    return [questions[i * len(questions) // num] for i in range(num)]


def _answer(model: ChatModel, category: str, way: str, question: Question) -> Answered:
    use = ToolUse(tools=question.specs, demand="required" if way == "must call" else "auto")
    spec = PLAIN if way == "plain" else DecodeSpec(grammar=use.grammar())
    messages = with_tools(question.messages, use)
    params = SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS)
    try:
        *_, end = model.stream(messages, params, spec=spec)
    except (ContextOverflowError, GrammarTooLargeError) as error:
        verdict = judge(question, ())
        return Answered(
            category=category, way=way, verdict=verdict, text=str(error), is_refused=True
        )
    assert isinstance(end, Completion)
    calls, is_parsable = _read(end.text, is_lenient=way == "plain")
    verdict = judge(question, calls, is_parsable=is_parsable)
    return Answered(category=category, way=way, verdict=verdict, text=end.text)


def _read(text: str, *, is_lenient: bool) -> tuple[Sequence[ToolCall], bool]:
    """Return the calls of an answer, and whether what looks like one could be read."""
    _, calls = read_calls(text)
    if not calls and is_lenient:
        calls = _bare_calls(text)
    if calls:
        return calls, all(_is_json(call.arguments) for call in calls)
    return (), not _LOOKS_LIKE_A_CALL.search(text)


def _bare_calls(text: str) -> tuple[ToolCall, ...]:
    """Return calls written without their tags, as a generous reader of plain prompting would."""
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(value, dict) and {"name", "arguments"} <= value.keys():
            arguments = json.dumps(value["arguments"])
            return (ToolCall(id="call", name=str(value["name"]), arguments=arguments),)
    return ()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
