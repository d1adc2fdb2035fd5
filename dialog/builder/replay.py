"""A stored conversation once more: with the recorded parses, or read anew; and with a turn edited.

    strict   the recorded commands and tool results: shows what a change of the bot or of the words
             does, and an unchanged bot must say every sentence again
    full     the tracker reads the messages again; tools answer as recorded where the call is the
             same, and are never called for real

Neither touches the stored log.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.errors import ReplayError
from dialog.task.acts import FindPassages
from dialog.task.answers import pending_slots
from dialog.task.canonical import canonical_json
from dialog.task.commands import Command
from dialog.task.events import (
    BotUttered,
    CommandsParsed,
    Opened,
    PassagesFound,
    TaskEvent,
    ToolReturned,
    ToolStarted,
    UserUttered,
)
from dialog.task.fold import after, fold
from dialog.task.nlg import NLG, TemplateNLG, Utterance
from dialog.task.policy import Policy, RulePolicy
from dialog.task.state import DialogState
from dialog.task.understanding import Tracker

_MAX_STEPS: Final = 8


class Fit(StrEnum):
    """Whether a user turn of an edited conversation still answers what is open."""

    FITS = "fits"
    LOOSE = "loose"  # nothing that it answers is open any more


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedTurn:
    """One turn: what was said then, and what is said now; `fit` tells of edited ones."""

    number: int
    user: str
    before: str
    now: str
    commands_before: tuple[Command, ...] = ()
    commands_now: tuple[Command, ...] = ()
    fit: Fit = Fit.FITS

    @property
    def is_same(self) -> bool:
        """Whether the bot says the same to the same commands."""
        return self.before == self.now and self.commands_before == self.commands_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A whole conversation replayed; `events` are those of the new run."""

    turns: tuple[ReplayedTurn, ...]
    events: tuple[TaskEvent, ...]
    state: DialogState

    @property
    def changed(self) -> Sequence[ReplayedTurn]:
        """The turns that are not the same."""
        return [turn for turn in self.turns if not turn.is_same]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is put in place of the user's turn of this number, from 1."""

    turn: int
    text: str | None = None
    commands: tuple[Command, ...] | None = None


class Replayer:
    """Replays logs with one bot."""

    def __init__(
        self,
        bot: BotDefinition,
        *,
        tracker: Tracker | None = None,
        policy: Policy | None = None,
        nlg: NLG | None = None,
    ) -> None:
        """Take what runs now; without a tracker the recorded commands are used (strict)."""
        self._bot, self._tracker = bot, tracker
        self._policy, self._nlg = policy or RulePolicy(), nlg or TemplateNLG()

    def replay(self, log: Sequence[TaskEvent], edit: Edit | None = None) -> Replay:
        """Return the conversation as it goes now.

        Raises:
            ReplayError: the log does not begin with `Opened`, or there is no turn to edit.
        """
        if not log or not isinstance(log[0], Opened):
            raise ReplayError("a log begins with the event 'opened'; this one does not")
        run = _Run(self._bot, self._policy, self._nlg, log)
        run.take(log[0])
        turns: list[ReplayedTurn] = []
        for number, turn in enumerate(_turns(log), start=1):
            is_edited = edit is not None and edit.turn == number
            turns.append(self._turn(run, number, turn, edit if is_edited else None))
        if edit is not None and not 1 <= edit.turn <= len(turns):
            raise ReplayError(f"there is no turn {edit.turn}; the log has {len(turns)}")
        return Replay(turns=tuple(turns), events=tuple(run.events), state=run.state)

    def _turn(
        self, run: "_Run", number: int, turn: Sequence[TaskEvent], edit: Edit | None
    ) -> ReplayedTurn:
        said = next((e for e in turn if isinstance(e, UserUttered)), None)
        parsed = next((e for e in turn if isinstance(e, CommandsParsed)), None)
        before = next((e.text for e in turn if isinstance(e, BotUttered)), "")
        if said is None:  # a timer, an operator, the greeting
            for event in turn:
                if not isinstance(event, BotUttered | ToolStarted | ToolReturned):
                    run.take(event)
            now = run.speak("") if before else ""
            return ReplayedTurn(number=number, user="", before=before, now=now)
        if edit is not None and edit.text is not None:
            said = replace(said, text=edit.text, placeholders={})
        run.take(said)
        commands = self._commands(run.state, said, parsed, edit)
        fit = Fit.FITS if edit is not None else _fit(self._bot, run.state, commands)
        run.take(replace(parsed or CommandsParsed(commands=()), commands=commands))
        return ReplayedTurn(
            number=number,
            user=said.text or said.button,
            before=before,
            now=run.speak(said.message_id),
            commands_before=parsed.commands if parsed is not None else (),
            commands_now=commands,
            fit=fit,
        )

    def _commands(
        self,
        state: DialogState,
        said: UserUttered,
        parsed: CommandsParsed | None,
        edit: Edit | None,
    ) -> tuple[Command, ...]:
        if edit is not None and edit.commands is not None:
            return edit.commands
        must_read = edit is not None and edit.text is not None
        if self._tracker is None and must_read:
            raise ReplayError("to edit the words of a turn a tracker must read them; name one")
        is_read = parsed is None or parsed.tracker not in ("given", "none")
        if self._tracker is not None and (must_read or is_read):
            return self._tracker.read(self._bot, state, said.text).commands
        return parsed.commands if parsed is not None else ()


class _Run:
    """The new run: tools and documents answer as they did for the same call or question."""

    def __init__(
        self, bot: BotDefinition, policy: Policy, nlg: NLG, log: Sequence[TaskEvent]
    ) -> None:
        self._bot, self._policy, self._nlg = bot, policy, nlg
        self.state = DialogState()
        self.events: list[TaskEvent] = []
        self._answers = _recorded_answers(log)
        said = [e for e in log if isinstance(e, BotUttered) and e.rephrased_from]
        self._reworded = {e.rephrased_from: e.text for e in said}
        self._passages = {e.query: e for e in log if isinstance(e, PassagesFound)}
        self._ids = iter(e.call_id for e in log if isinstance(e, ToolStarted))

    def take(self, event: TaskEvent) -> None:
        """Let an event take effect."""
        self.state = after(self._bot, self.state, event)
        self.events.append(event)

    def speak(self, message_id: str) -> str:
        """Bring a turn to its end; return what is said."""
        for _ in range(_MAX_STEPS):
            decision = self._policy.decide(self._bot, self.state)
            step = decision.step
            if step is None:
                said = self._as_reworded(self._nlg.say(self._bot, self.state, decision.acts))
                self.take(said.event(message_id, decision))
                return said.text
            if isinstance(step, FindPassages):
                missing = PassagesFound(query=step.query, knowledge=step.knowledge)
                self.take(self._passages.get(step.query, missing))
                continue
            call_id = next(self._ids, f"replay:{self.state.counters.calls + 1}")
            started = ToolStarted.of(step, call_id)
            self.take(started)
            self.take(self._answer(started))
        return ""

    def _as_reworded(self, said: Utterance) -> Utterance:
        """Return the words that a model made then of the same template: models are not asked."""
        text = self._reworded.get(said.text)
        if text is None or said.rephrased_from:
            return said
        return replace(said, text=text, rephrased_from=said.text)

    def _answer(self, started: ToolStarted) -> ToolReturned:
        answers = self._answers.get(_deed(started), [])
        if not answers:
            return ToolReturned(
                call_id=started.call_id,
                error="failed",
                message="not recorded: a replay calls no tool",
            )
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return replace(found, call_id=started.call_id)


def _deed(call: ToolStarted) -> str:
    return canonical_json([call.tool, call.purpose, dict(call.arguments)])


def _recorded_answers(log: Sequence[TaskEvent]) -> dict[str, list[ToolReturned]]:
    ends = {e.call_id: e for e in log if isinstance(e, ToolReturned)}
    found: dict[str, list[ToolReturned]] = {}
    for event in log:
        if isinstance(event, ToolStarted) and event.call_id in ends:
            found.setdefault(_deed(event), []).append(ends[event.call_id])
    return found


def _turns(log: Sequence[TaskEvent]) -> list[list[TaskEvent]]:
    """Split a log after `Opened` into turns; each ends with the bot's words."""
    turns: list[list[TaskEvent]] = []
    current: list[TaskEvent] = []
    for event in log[1:]:
        if isinstance(event, UserUttered) and current:
            turns.append(current)
            current = []
        current.append(event)
        if isinstance(event, BotUttered):
            turns.append(current)
            current = []
    return [*turns, current] if current else turns


_ANSWERS: Final = frozenset({"affirm", "deny", "choose", "more"})


def _fit(bot: BotDefinition, state: DialogState, commands: Sequence[Command]) -> Fit:
    """Tell whether the commands answer what is open: a yes to nothing is loose."""
    pair, top = state.open_pair, state.top
    slot = bot.tasks[top.task].slots.get(pair.slot) if pair is not None and top else None
    if (slot is not None and slot.type.name == "bool") or pending_slots(top):
        return Fit.FITS
    expected = pair.expects if pair is not None else ()
    loose = [c for c in commands if c.head in _ANSWERS and c.head not in expected]
    return Fit.LOOSE if loose else Fit.FITS


def check_replay(bot: BotDefinition, log: Sequence[TaskEvent]) -> Replay:
    """Return the strict replay of a log with an unchanged bot.

    Raises:
        ReplayError: it says something else, or ends in another state: the engine has changed.
    """
    found = Replayer(bot).replay(log)
    for turn in found.turns:
        if turn.now != turn.before:
            raise ReplayError(f"turn {turn.number} said {turn.before!r} and now says {turn.now!r}")
    if fold(bot, log).to_json() != found.state.to_json():
        raise ReplayError("the replayed conversation ends in another state than the recorded one")
    return found
