"""Values against the bounds of their slot."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from dialog.slot_types.base import Bounds, JsonValue, Violation, ViolationKind


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


_O = TypeVar("_O", bound=_Ordered)


def size_violation(value: _O, bounds: Bounds, read: Callable[[JsonValue], _O]) -> Violation | None:
    """Return how a value breaks `min` or `max`, if it does; `read` reads a bound."""
    if bounds.least is not None and value < read(bounds.least):
        return Violation(kind=ViolationKind.TOO_SMALL, bound=bounds.least)
    if bounds.most is not None and read(bounds.most) < value:
        return Violation(kind=ViolationKind.TOO_LARGE, bound=bounds.most)
    return None


def time_violation(value: _O, bounds: Bounds, read: Callable[[JsonValue], _O]) -> Violation | None:
    """Return how a value breaks `after` or `before`, if it does; both allow their own day."""
    if bounds.after is not None and value < read(bounds.after):
        return Violation(kind=ViolationKind.TOO_EARLY, bound=bounds.after)
    if bounds.before is not None and read(bounds.before) < value:
        return Violation(kind=ViolationKind.TOO_LATE, bound=bounds.before)
    return None
