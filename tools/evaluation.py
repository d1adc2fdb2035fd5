"""Checks calls of a model against the answers of the Berkeley Function-Calling Leaderboard (v4).

An own checker on the data's rules: the name equal, required arguments there, none unknown, one left
out only where "" is among its answers, types equal (an integer passes for a float), texts compared
without case, spaces and the signs ,./-_*^, lists and objects element by element, several calls in
any order. What was not called, not readable and wrong are three outcomes: to count what cannot be
read as a wise refusal would praise broken models.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from llm.chat import Message, ToolCall, ToolSpec
from tools.errors import ToolError
from tools.json_check import UnreadableArgumentsError, read_arguments

_IGNORED = re.compile(r"[ ,./\-_*^]")
_NAME = re.compile(r"[^A-Za-z0-9_-]")
_ANY: tuple[type, ...] = (object,)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "tuple": (list,),
    "dict": (dict,),
    "object": (dict,),
    "any": _ANY,
}
_JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
_KEPT = ("description", "enum", "default", "minimum", "maximum")


class QuestionFileError(ToolError):
    """A file is not one of the leaderboard's."""


class Outcome(StrEnum):
    """How a question was answered."""

    CORRECT = "correct"
    WRONG_CALL = "wrong_call"
    ABSTAINED = "abstained"
    UNPARSABLE = "unparsable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedCall:
    """A call that is right: for each argument the values that it may have; "" is no value."""

    name: str
    arguments: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with the functions at hand; no `answers` where none of them helps."""

    id: str
    messages: tuple[Message, ...]
    functions: tuple[Mapping[str, Any], ...]
    answers: tuple[AllowedCall, ...] = ()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The functions as a model is told of them; points in names become underscores."""
        return tuple(_spec(function) for function in self.functions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one question was answered, and what was wrong with it."""

    id: str
    outcome: Outcome
    is_right: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """How many questions had which outcome; `accuracy` is the share that was answered rightly."""

    num_questions: int
    num_right: int
    outcomes: Mapping[Outcome, int]

    @property
    def accuracy(self) -> float:
        """The share of questions answered rightly, 0 without questions."""
        return self.num_right / self.num_questions if self.num_questions else 0.0


def load_questions(folder: Path, category: str) -> tuple[Question, ...]:
    """Return the questions of a category, like "simple_python", from the leaderboard's folder.

    Raises:
        QuestionFileError: a file is missing or of another form.
    """
    name = f"BFCL_v4_{category}.json"
    answers_path = folder / "possible_answer" / name
    try:
        answers = {}
        if answers_path.is_file():
            answers = {line["id"]: line["ground_truth"] for line in _lines(answers_path)}
        return tuple(_question(line, answers) for line in _lines(folder / name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise QuestionFileError(
            f"{folder / name} is missing or not of the leaderboard's form: {error}"
        ) from error


def judge(question: Question, calls: Sequence[ToolCall], *, is_parsable: bool = True) -> Verdict:
    """Return how a question was answered by these calls.

    `is_parsable` is False where the model tried to call something that could not be read.
    """
    try:
        read = [(call.name, read_arguments(call.arguments)) for call in calls]
    except UnreadableArgumentsError as error:
        return _verdict(question, Outcome.UNPARSABLE, str(error))
    if not is_parsable:
        return _verdict(question, Outcome.UNPARSABLE, "the call cannot be read")
    if not calls:
        return _verdict(question, Outcome.ABSTAINED)
    if not question.answers:
        return _verdict(question, Outcome.WRONG_CALL, "none of the functions helps")
    reason = _mismatch(question, read)
    return _verdict(question, Outcome.WRONG_CALL if reason else Outcome.CORRECT, reason)


def summarised(verdicts: Sequence[Verdict]) -> CallReport:
    """Return the counts of many verdicts."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return CallReport(
        num_questions=len(verdicts),
        num_right=sum(verdict.is_right for verdict in verdicts),
        outcomes={outcome: counts[outcome] for outcome in Outcome},
    )


def _verdict(question: Question, outcome: Outcome, reason: str = "") -> Verdict:
    wanted = Outcome.CORRECT if question.answers else Outcome.ABSTAINED
    return Verdict(id=question.id, outcome=outcome, is_right=outcome is wanted, reason=reason)


def _lines(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _question(line: Mapping[str, Any], answers: Mapping[str, Any]) -> Question:
    turns = line["question"]
    return Question(
        id=line["id"],
        messages=tuple(
            Message(role=message["role"], content=message["content"]) for message in turns[0]
        ),
        functions=tuple(line["function"]),
        answers=tuple(
            AllowedCall(name=name, arguments=arguments)
            for call in answers.get(line["id"], ())
            for name, arguments in call.items()
        ),
    )


def _plain_name(name: str) -> str:
    return _NAME.sub("_", name)[:64]


def _spec(function: Mapping[str, Any]) -> ToolSpec:
    schema = {**_schema(function["parameters"]), "additionalProperties": False}
    return ToolSpec(
        name=_plain_name(function["name"]),
        description=function.get("description", ""),
        parameters=json.dumps(schema, ensure_ascii=False, separators=(",", ":")),
    )


def _schema(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON Schema for what the data says in words of its own."""
    kind = _JSON_TYPES.get(said["type"], said["type"])
    schema: dict[str, Any] = {} if kind == "any" else {"type": kind}
    schema |= {key: said[key] for key in _KEPT if key in said}
    if kind == "object" and "properties" in said:
        schema["properties"] = {name: _schema(part) for name, part in said["properties"].items()}
        schema["required"] = list(said.get("required", ()))
        schema["additionalProperties"] = False
    if kind == "array" and "items" in said:
        schema["items"] = _schema(said["items"])
    return schema


# --- comparing -------------------------------------------------------------------------------


def _mismatch(question: Question, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return what is wrong with the calls, "" if each right one was made once, and none else."""
    if len(calls) != len(question.answers):
        return f"{len(question.answers)} calls are right, got {len(calls)}"
    functions = {_plain_name(function["name"]): function for function in question.functions}
    reasons = [
        [_difference(call, allowed, functions) for call in calls] for allowed in question.answers
    ]
    if _matched(reasons):
        return ""
    return next((row[0] for row in reasons if all(row)), "two of the calls answer the same")


def _matched(reasons: Sequence[Sequence[str]]) -> bool:
    """Tell whether each row can be given a column of its own that holds no reason against it."""
    taken: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, reason in enumerate(reasons[row]):
            if reason or column in tried:
                continue
            tried.add(column)
            if column not in taken or place(taken[column], tried):
                taken[column] = row
                return True
        return False

    return all(place(row, set()) for row in range(len(reasons)))


def _difference(
    call: tuple[str, Mapping[str, Any]],
    allowed: AllowedCall,
    functions: Mapping[str, Mapping[str, Any]],
) -> str:
    name, arguments = call
    if _plain_name(name) != _plain_name(allowed.name):
        return f"{allowed.name} is right, got {name}"
    parameters = functions[_plain_name(name)]["parameters"]
    properties = parameters["properties"]
    for key in parameters.get("required", ()):
        if key not in arguments:
            return f"{key} is missing"
    for key, value in arguments.items():
        if key not in properties or key not in allowed.arguments:
            return f"{key} is not an argument"
        if reason := _wrong(key, value, properties[key], allowed.arguments[key]):
            return reason
    for key, values in allowed.arguments.items():
        if key not in arguments and "" not in values:
            return f"{key} may not be left out"
    return ""


def _wrong(key: str, value: Any, said: Mapping[str, Any], allowed: Sequence[Any]) -> str:
    if not _has_type(value, said["type"]):
        return f"{key} must be {said['type']}, got {value!r:.80}"
    if isinstance(value, list) and "items" in said:
        kind = said["items"]["type"]
        if not all(_has_type(part, kind) for part in value):
            return f"{key} must hold {kind}s, got {value!r:.80}"
    if any(_is_allowed(value, option) for option in allowed):
        return ""
    return f"{key} may be one of {list(allowed)!r:.120}, got {value!r:.80}"


def _has_type(value: Any, kind: str) -> bool:
    types = _TYPES.get(kind, _ANY)
    return isinstance(value, types) and (
        not isinstance(value, bool) or bool in types or types is _ANY
    )


def _is_allowed(value: Any, option: Any) -> bool:
    match value, option:
        case dict(), dict():
            return _is_allowed_object(value, option)
        case list(), list():
            return len(value) == len(option) and all(map(_is_allowed, value, option))
        case str(), str():
            return _plain(value) == _plain(option)
    return isinstance(value, bool) == isinstance(option, bool) and bool(value == option)


def _is_allowed_object(value: Mapping[str, Any], option: Mapping[str, Any]) -> bool:
    """Tell whether an object has the right keys, each with one of its allowed values."""
    if any(key not in option for key in value):
        return False
    for key, values in option.items():
        choices = values if isinstance(values, list) else [values]
        if key not in value:
            if "" not in choices:
                return False
        elif not any(_is_allowed(value[key], choice) for choice in choices):
            return False
    return True


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')
