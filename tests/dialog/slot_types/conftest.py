"""A Monday morning in Zurich, and what words mean then."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dialog.slot_types.base import Bounds, Candidate, JsonValue, TextContext
from dialog.slot_types.catalogue import PLAIN_TYPES

ZONE = ZoneInfo("Europe/Zurich")
NOW = datetime(2025, 3, 3, 9, 0, tzinfo=ZONE)

Read = Callable[..., list[Candidate]]


def context(
    locale: str = "en",
    *,
    is_asked: bool = False,
    current: JsonValue = None,
    bounds: Bounds | None = None,
    now: datetime = NOW,
) -> TextContext:
    return TextContext(
        now=now,
        timezone="Europe/Zurich",
        locale=locale,
        is_asked=is_asked,
        current=current,
        bounds=bounds or Bounds(),
    )


@pytest.fixture
def read() -> Read:
    """Return what reads a text as a type: `read("date", "Friday", "en", is_asked=True)`."""

    def reading(kind: str, text: str, locale: str = "en", **more: object) -> list[Candidate]:
        return PLAIN_TYPES[kind].parse(text, context(locale, **more))  # type: ignore[arg-type]

    return reading
