"""The tests of a bot file as values: what is given, what is said, what must and must never be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from dialog.builder.properties import PROPERTY_NAMES
from dialog.errors import StoryError
from dialog.task.commands import JSON

_STORY_KEYS: Final = frozenset({"test", "given", "talk", "never", "source"})
_GIVEN_KEYS: Final = frozenset({"now", "user", "tools", "parse", "locale", "timezone", "knowledge"})
_STEP_KEYS: Final = frozenset(
    {
        *("user", "button", "event", "commands", "slots", "bot", "says", "not_says", "called"),
        *("not_called", "stack", "status", "now"),
    }
)
_DEFAULT_NOW: Final = "2025-03-03T09:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """One exchange: what the user does, and what is expected of the reply. None: not looked at."""

    user: str = ""
    button: str = ""
    event: Mapping[str, JSON] | None = None
    commands: tuple[str, ...] | None = None
    now: str = ""
    slots: Mapping[str, JSON] | None = None
    bot: tuple[str, ...] | None = None
    says: tuple[str, ...] = ()
    not_says: tuple[str, ...] = ()
    called: Mapping[str, Mapping[str, JSON]] | None = None
    not_called: tuple[str, ...] = ()
    stack: tuple[str, ...] | None = None
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A scripted conversation; a moment without a zone is in the bot's."""

    name: str
    steps: tuple[StoryStep, ...]
    now: str = _DEFAULT_NOW
    user: Mapping[str, JSON] = field(default_factory=dict)
    tools: Mapping[str, JSON] = field(default_factory=dict)
    knowledge: Mapping[str, JSON] = field(default_factory=dict)  # query → answer
    parse: str = "own"
    locale: str = ""
    timezone: str = ""
    never: tuple[str, ...] = ()
    source: str = ""  # file:line:column


def story_of(written: Any) -> Story:
    """Return a story from what stands in the file.

    Raises:
        StoryError: a key or a property that there is not, or something of the wrong kind.
    """
    if not isinstance(written, Mapping) or "test" not in written:
        raise StoryError(f"a test begins with `- test: its name`, got {written!r:.80}")
    name = str(written["test"])
    _check_keys(written, _STORY_KEYS, name)
    given = written.get("given") or {}
    _check_keys(given, _GIVEN_KEYS, f"{name}: given")
    never = tuple(_listed(written.get("never")))
    for prop in never:
        if prop not in PROPERTY_NAMES:
            raise StoryError(f"{name}: never: {_unknown(prop, PROPERTY_NAMES)}")
    talk = written.get("talk")
    if not isinstance(talk, list | tuple) or not talk:
        raise StoryError(f"{name}: `talk:` holds the steps, like `- {{user: hello}}`")
    return Story(
        name=name,
        steps=tuple(_step(part, f"{name}: step {i}") for i, part in enumerate(talk, start=1)),
        now=str(given.get("now") or _DEFAULT_NOW),
        user=dict(given.get("user") or {}),
        tools=dict(given.get("tools") or {}),
        knowledge=dict(given.get("knowledge") or {}),
        parse=str(given.get("parse", "own")),
        locale=str(given.get("locale", "")),
        timezone=str(given.get("timezone", "")),
        never=never,
        source=str(written.get("source", "")),
    )


def _step(written: Any, where: str) -> StoryStep:
    if isinstance(written, str):
        written = {"user": written}
    if not isinstance(written, Mapping):
        raise StoryError(f"{where}: a step is a mapping like {{user: hello}}, got {written!r:.80}")
    _check_keys(written, _STEP_KEYS, where)
    commands = written.get("commands")
    event = written.get("event")
    if isinstance(event, str):
        event = {event: ""}
    called = written.get("called")
    if isinstance(called, str | list | tuple):
        called = {name: {} for name in _listed(called)}
    return StoryStep(
        user=_said(written.get("user")),
        button=_said(written.get("button")),
        event=event,
        commands=None if commands is None else tuple(_listed(commands)),
        now=str(written.get("now") or ""),
        slots=written.get("slots"),
        bot=None if written.get("bot") is None else tuple(_listed(written["bot"])),
        says=tuple(_listed(written.get("says"))),
        not_says=tuple(_listed(written.get("not_says"))),
        called=None if called is None else {n: dict(a or {}) for n, a in called.items()},
        not_called=tuple(_listed(written.get("not_called"))),
        stack=None if written.get("stack") is None else tuple(_listed(written["stack"])),
        status=str(written.get("status", "")),
    )


def _said(value: JSON) -> str:
    """Return what a user says; YAML of ours gives `yes` as a truth and 4 as a number."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _listed(value: JSON) -> list[str]:
    if value is None:
        return []
    parts: Sequence[JSON] = value if isinstance(value, list | tuple) else [value]
    return [_said(part) for part in parts]


def _check_keys(written: Mapping[str, Any], keys: frozenset[str], where: str) -> None:
    for key in written:
        if key not in keys:
            raise StoryError(f"{where}: {_unknown(key, keys)}")


def _unknown(name: str, names: frozenset[str] | tuple[str, ...]) -> str:
    near = get_close_matches(name, sorted(names), n=1)
    shown = ", ".join(sorted(set(names) - {"source"}))
    hint = f"did you mean {near[0]!r}?" if near else f"there are {shown}"
    return f"unknown key {name!r}; {hint}"
