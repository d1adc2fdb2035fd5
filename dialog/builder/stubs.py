"""Tools that answer as a test says, in place of those of the bot.

has_room: true · reserve: {code: A1} · reserve: {error: conflict, message: full}
reserve: {then: [{error: unavailable}, {code: A1}]}       one answer after the other
"""

from collections.abc import Callable, Mapping
from typing import Final

from dialog.errors import StoryError
from dialog.task.commands import JSON
from tools.errors import (
    ConflictError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
)

_ERRORS: Final = {
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "unavailable": RetryableError,
    "denied": DeniedError,
    "fatal": FatalError,
}


def stub_of(name: str, answer: JSON) -> Callable[..., object]:
    """Return a function that gives, or raises, what a test says.

    Raises:
        StoryError: an error of a kind that there is not.
    """
    if isinstance(answer, Mapping) and set(answer) == {"then"}:
        answers = [stub_of(name, part) for part in answer["then"]]
        return _in_turn(answers)
    if not isinstance(answer, Mapping) or "error" not in answer:
        return lambda **_: answer
    kind, message = str(answer["error"]), str(answer.get("message", ""))
    if kind == "invalid":
        slot = str(answer.get("slot", ""))
        return _raising(lambda: InvalidArgumentError(slot, message))
    if kind not in _ERRORS:
        raise StoryError(
            f"the tool {name!r} cannot fail by {kind!r}; it can by {sorted([*_ERRORS, 'invalid'])}"
        )
    return _raising(lambda: _ERRORS[kind](message))


def _raising(error: Callable[[], Exception]) -> Callable[..., object]:
    def raising(**_: object) -> object:
        raise error()

    return raising


def _in_turn(answers: list[Callable[..., object]]) -> Callable[..., object]:
    rest = list(answers)

    def answer(**arguments: object) -> object:
        now = rest.pop(0) if len(rest) > 1 else rest[0]
        return now(**arguments)

    return answer
