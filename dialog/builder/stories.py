"""Runs the tests of a bot file: a scripted user, frozen time, stubbed tools, the real engine.

Deterministic: the same story gives the same events, whatever ran before it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dialog.bot.definition import BotDefinition, KnowledgeDefinition
from dialog.builder.command_text import commands_from_text
from dialog.builder.properties import violations
from dialog.builder.story import Story, StoryStep, story_of
from dialog.builder.stubs import stub_of
from dialog.errors import CommandError, StoryError
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.canonical import canonical_json
from dialog.task.commands import JSON, Command, Unclear
from dialog.task.event_log import MemoryTaskLog, Timer
from dialog.task.events import Opened, OperatorActed, TaskEvent, ToolStarted
from dialog.task.knowledge import KnowledgeAnswer, KnowledgeBase
from dialog.task.memory_audit import MemoryAudit
from dialog.task.messages import Reply, UserMessage
from dialog.task.redaction import Vault
from dialog.task.scope import text_context
from dialog.task.state import DialogState, TaskFrame
from dialog.task.tool_runner import ToolRunner
from dialog.task.understanding import Tracker, Understanding

_ID = "story"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryResult:
    """How a story went: `failures` are sentences, none of them if it passed."""

    story: Story
    failures: tuple[str, ...]
    replies: tuple[Reply, ...]
    events: tuple[TaskEvent, ...] = field(repr=False)

    @property
    def has_passed(self) -> bool:
        """Whether all was as expected."""
        return not self.failures

    def transcript(self) -> str:
        """Return the conversation as text."""
        lines = []
        for step, reply in zip(self.story.steps, self.replies, strict=False):
            said = step.user or step.button or "; ".join(step.commands or ()) or str(step.event)
            lines += [f"  user: {said}", f"  bot:  {reply.text}"]
        return "\n".join(lines)


def stories_of(bot: BotDefinition) -> list[Story]:
    """Return the tests of a bot file.

    Raises:
        StoryError: one of them cannot be run as it is written.
    """
    return [story_of(written) for written in bot.tests]


def run_stories(
    bot: BotDefinition,
    trackers: Mapping[str, Tracker],
    stories: Iterable[Story] | None = None,
    *,
    knowledge: KnowledgeBase | None = None,
) -> list[StoryResult]:
    """Run all tests of a bot; `trackers` are those that `given.parse` may name.

    Raises:
        StoryError: a story names a tracker or a tool that there is not.
    """
    chosen = stories_of(bot) if stories is None else stories
    return [run_story(bot, trackers, story, knowledge=knowledge) for story in chosen]


def run_story(
    bot: BotDefinition,
    trackers: Mapping[str, Tracker],
    story: Story,
    *,
    knowledge: KnowledgeBase | None = None,
) -> StoryResult:
    """Run one test.

    Raises:
        StoryError: it names a tracker, a tool or a command that there is not.
    """
    run = _Run(bot, _tracker(trackers, story), story, knowledge)
    for step in story.steps:
        run.take(step)
    events = tuple(run.log.read(_ID)[1])
    run.failures += violations(bot, events, story.never)
    return StoryResult(
        story=story, failures=tuple(run.failures), replies=tuple(run.replies), events=events
    )


def _tracker(trackers: Mapping[str, Tracker], story: Story) -> Tracker:
    if story.parse == "commands":
        return _NoTracker()
    if story.parse == "own" and "own" not in trackers and "recogniser" in trackers:
        return trackers["recogniser"]
    if story.parse not in trackers:
        raise StoryError(
            f"{story.name}: given.parse: {story.parse!r} is not there; there are"
            f" {sorted([*trackers, 'commands'])}"
        )
    return trackers[story.parse]


class _NoTracker:
    """For stories whose steps give commands: a text alone says nothing."""

    name = "commands"

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        del bot, state, message
        return Understanding(commands=(Unclear(),), tracker=self.name)


class _GivenKnowledge:
    """Answers that a test gives by their question, else what the real knowledge says."""

    def __init__(self, given: Mapping[str, JSON], base: KnowledgeBase | None) -> None:
        self._given, self._base = given, base

    def answer(
        self, bot: BotDefinition, source: KnowledgeDefinition, query: str
    ) -> KnowledgeAnswer:
        for asked, answer in self._given.items():
            if asked.casefold() in query.casefold():
                return KnowledgeAnswer(text=str(answer or ""), score=1.0 if answer else 0.0)
        if self._base is None:
            return KnowledgeAnswer()
        return self._base.answer(bot, source, query)


class _Run:
    def __init__(
        self,
        bot: BotDefinition,
        tracker: Tracker,
        story: Story,
        knowledge: KnowledgeBase | None,
    ) -> None:
        for name in story.tools:
            if name not in bot.tools:
                raise StoryError(
                    f"{story.name}: given.tools: there is no tool {name!r}; there are"
                    f" {sorted(bot.tools)}"
                )
        self.bot, self.story = bot, story
        self.log = MemoryTaskLog()
        self.failures: list[str] = []
        self.replies: list[Reply] = []
        zone = bot.locales.timezone if bot.locales.timezone != "user" else "UTC"
        self._zone = ZoneInfo(story.timezone or zone)
        self._now = self._moment(story.now)
        vault = Vault()
        stubs = {name: stub_of(name, answer) for name, answer in story.tools.items()}
        self._agent = TaskAgent(
            bot,
            tracker,
            self.log,
            ToolRunner(bot, MemoryAudit(), vault, stubs=stubs),
            vault=vault,
            parts=AgentParts(
                clock=lambda: datetime.fromisoformat(self._now),
                knowledge=_GivenKnowledge(story.knowledge, knowledge),
            ),
        )
        self._agent.open(
            _ID,
            opened=Opened(
                locale=story.locale or bot.locales.default,
                timezone=story.timezone or zone,
                now=self._now,
                user=story.user,
            ),
        )

    def _moment(self, text: str) -> str:
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise StoryError(
                f"{self.story.name}: {text!r} is no moment; write 2025-03-03T09:00"
            ) from error
        return (found if found.tzinfo else found.replace(tzinfo=self._zone)).isoformat()

    def take(self, step: StoryStep) -> None:
        """Let the user do what the step says, and look at what comes of it."""
        number = len(self.replies) + 1
        self._now = self._moment(step.now) if step.now else self._now
        seq = len(self.log.read(_ID)[1])
        reply = self._reply(step, number)
        self.replies.append(reply)
        new = self.log.read(_ID, start=seq)[1]
        state = self._agent.state(_ID)
        called = [event for event in new if isinstance(event, ToolStarted)]
        for failure in [
            *_wrong_words(step, reply),
            *_wrong_calls(step, called),
            *_wrong_slots(self.bot, step, state),
            *_wrong_stack(step, state),
        ]:
            said = step.user or step.button or "; ".join(step.commands or ())
            self.failures.append(f"step {number} ({said!r}): {failure}")

    def _reply(self, step: StoryStep, number: int) -> Reply:
        if step.event is not None:
            return self._event(step.event)
        commands: tuple[Command, ...] | None = None
        if step.commands is not None:
            try:
                commands = tuple(c for text in step.commands for c in commands_from_text(text))
            except CommandError as error:
                raise StoryError(f"{self.story.name}: step {number}: {error}") from error
        button = self._button(step.button) if step.button else ""
        message = UserMessage(
            id=f"{number}", text=step.user, button=button, now=self._now, commands=commands
        )
        return self._agent.respond(_ID, message)

    def _button(self, title: str) -> str:
        """Return the payload of a button of the last reply by its title."""
        shown = self.replies[-1].buttons if self.replies else ()
        for button in shown:
            if str(button["title"]).casefold() == title.casefold():
                return str(button["payload"])
        titles = [str(button["title"]) for button in shown]
        raise StoryError(f"{self.story.name}: there is no button {title!r}; there are {titles}")

    def _event(self, event: Mapping[str, JSON]) -> Reply:
        silent = Reply(conversation_id=_ID, message_id="", text="")
        if "timer" in event:
            name = str(event["timer"] or "idle")
            due = datetime.fromisoformat(self._now).astimezone(UTC)
            fired = self._agent.fire(
                Timer(conversation_id=_ID, name=name, due_at=due), is_stored=False
            )
            return fired or silent
        if "operator" in event:
            given = event["operator"]
            action = given if isinstance(given, str) else given.get("action", "take")
            edits = {} if isinstance(given, str) else dict(given.get("slots") or {})
            acted = OperatorActed(action=str(action), operator="test", edits=edits)
            return self._agent.operate(_ID, acted) or silent
        raise StoryError(f"{self.story.name}: an event is timer or operator, got {dict(event)!r}")


def _wrong_words(step: StoryStep, reply: Reply) -> list[str]:
    found = []
    names = [act.name.value for act in reply.acts]
    if step.bot is not None and not _in_order(step.bot, names):
        found.append(f"expected the acts {list(step.bot)}, got {names}: {reply.text!r}")
    found += [
        f"expected the words {words!r}, got {reply.text!r}"
        for words in step.says
        if not _matches(words, reply.text)
    ]
    found += [
        f"{words!r} must not be said, got {reply.text!r}"
        for words in step.not_says
        if _matches(words, reply.text)
    ]
    return found


def _in_order(wanted: Sequence[str], names: Sequence[str]) -> bool:
    rest = iter(names)
    return all(name in rest for name in wanted)


def _matches(words: str, text: str) -> bool:
    """Tell whether a text has some words; /…/ is a regular expression."""
    if len(words) > 1 and words.startswith("/") and words.endswith("/"):
        return re.search(words[1:-1], text) is not None
    return words.casefold() in text.casefold()


def _wrong_calls(step: StoryStep, called: Sequence[ToolStarted]) -> list[str]:
    found = []
    names = [call.tool for call in called]
    for name, arguments in (step.called or {}).items():
        with_name = [call for call in called if call.tool == name]
        if not any(_holds(call.arguments, arguments) for call in with_name):
            got = [dict(call.arguments) for call in with_name] or f"calls of {names}"
            found.append(f"expected {name} to be called with {dict(arguments)}, got {got}")
    found += [f"{name} must not be called" for name in step.not_called if name in names]
    return found


def _holds(arguments: Mapping[str, JSON], wanted: Mapping[str, JSON]) -> bool:
    return all(_same(arguments.get(name), value) for name, value in wanted.items())


def _same(value: JSON, wanted: JSON) -> bool:
    if canonical_json(value) == canonical_json(wanted):
        return True
    return not isinstance(value, list | tuple | dict) and str(value) == str(wanted)


def _wrong_slots(bot: BotDefinition, step: StoryStep, state: DialogState) -> list[str]:
    if step.slots is None:
        return []
    frame = _frame_with(bot, state, step.slots)
    if frame is None:
        return [f"no task is open that has the slots {sorted(step.slots)}"]
    found = []
    for name, wanted in step.slots.items():
        cell = frame.cell(name)
        value = cell.value if cell.has_value else None
        slot = bot.tasks[frame.task].slots.get(name)
        expected = wanted
        if slot is not None and wanted is not None and not slot.many:
            try:
                context = text_context(bot, state, frame, slot)
                expected = slot.type.canonical(wanted, context)[0]
            except ValueError:
                expected = wanted
        if not _same(value, expected) and not _same(value, wanted):
            shown = json.dumps(value, ensure_ascii=False)
            found.append(f"expected {name} to be {wanted!r}, got {shown}")
    return found


def _frame_with(
    bot: BotDefinition, state: DialogState, slots: Mapping[str, JSON]
) -> TaskFrame | None:
    frames = [*reversed(state.frames), *reversed(state.closed)]
    for frame in frames:
        names = {*bot.tasks[frame.task].slots, *frame.slots}
        if set(slots) <= names:
            return frame
    return None


def _wrong_stack(step: StoryStep, state: DialogState) -> list[str]:
    found = []
    stack = [frame.task for frame in state.frames]
    if step.stack is not None and list(step.stack) != stack:
        found.append(f"expected the tasks {list(step.stack)}, got {stack}")
    if step.status:
        frames = [*state.closed, *state.frames]
        status = frames[-1].status.value if frames else "none"
        if state.closed and not state.frames:
            status = state.closed[-1].status.value
        known = {status, state.handoff.value, "closed" if state.is_closed else "open"}
        if step.status not in known:
            found.append(f"expected the status {step.status!r}, got {sorted(known)}")
    return found
