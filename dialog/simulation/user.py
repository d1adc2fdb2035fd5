"""A user with an agenda: each act of the bot takes something off it, or puts something on.

It knows its goal, what it has said, and the acts of the last reply; it sees neither the bot's state
nor its tracker. Equal goals and equal replies give equal turns.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from dialog.bot.definition import BotDefinition, Fill
from dialog.simulation.goal import Digression, Goal, GoalTask, Persona
from dialog.task.acts import QUESTIONS, Act, ActName
from dialog.task.commands import (
    JSON,
    Affirm,
    Cancel,
    Change,
    Chitchat,
    Choose,
    Command,
    Deny,
    Done,
    DontCare,
    Handoff,
    Knowledge,
    Language,
    More,
    Repeat,
    Set,
    Skip,
    Start,
    Unclear,
    Why,
)
from dialog.task.messages import Reply

_MAX_MORE: Final = 12
_NOTHING_FOUND: Final = frozenset({"none", "none_relaxed"})
_ASIDES: Final = frozenset({"resume", "offer_handoff", "undo"})
"""Questions that are about the conversation, and not about a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTurn:
    """What the user means, and what it answers to; how that is worded is `surfaces`'.

    `is_plain`: the bot did not understand, so it is said in the plainest words and without noise.
    """

    commands: tuple[Command, ...]
    answers: Act | None = None
    is_plain: bool = False
    text: str = ""  # words that are fixed already
    locale: str = "en"


@dataclass(slots=True, kw_only=True)
class SimulatedUser:
    """One user in one conversation."""

    bot: BotDefinition
    goal: Goal
    turn: int = 0
    locale: str = ""
    index: int = 0  # of the goal's task under way
    begun: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    told: dict[tuple[str, str], JSON] = field(default_factory=dict)
    digressed: set[int] = field(default_factory=set)
    decoys: set[int] = field(default_factory=set)  # numbers of the corrections that have begun
    refused: set[tuple[str, str]] = field(default_factory=set)
    is_told_so: bool = False
    wants_out: bool = False
    has_called_person: bool = False
    wrong: dict[str, JSON] = field(default_factory=dict)  # what the bot has not as it should be
    more: int = 0  # how often other offers were asked for; below 0: one was chosen
    last: UserTurn | None = None

    def first(self, reply: Reply | None = None) -> UserTurn:
        """Return the first turn; the bot may have greeted."""
        del reply
        self.locale = self.goal.locale
        if (said := self._digression()) is not None:
            return self._say(said)
        return self._say(self._begin())

    def react(self, reply: Reply) -> UserTurn | None:
        """Return the turn that follows a reply, None where the user has come to its end."""
        if reply.is_closed or reply.handoff != "none" or self._is_over(reply):
            return None
        self._take_note(reply)
        if self.goal.patience and self.turn >= self.goal.patience and not self.has_called_person:
            self.has_called_person = True
            return self._say(UserTurn(commands=(Handoff(),)))
        names = [act.name for act in reply.acts]
        if ActName.REPAIR in names and self.last is not None and not self.last.is_plain:
            is_meant = self.last.commands and not isinstance(self.last.commands[0], Unclear)
            if is_meant:
                return self._say(replace(self.last, is_plain=True))
        if (said := self._digression()) is not None:
            return self._say(said)
        return self._say(self._answer(reply))

    def _say(self, turn: UserTurn) -> UserTurn:
        self.turn += 1
        for command in turn.commands:
            if isinstance(command, Set | Change):
                self.told[command.task or self._task_name(), command.slot] = command.value
        wished = next((c.locale for c in turn.commands if isinstance(c, Language)), "")
        # Another language is asked for in the first one.
        self.last = replace(turn, locale=self.goal.locale if wished else self.locale)
        self.locale = wished or self.locale
        return self.last

    def _is_over(self, reply: Reply) -> bool:
        return any(act.name is ActName.GOODBYE for act in reply.acts)

    @property
    def wanted(self) -> GoalTask | None:
        """The goal's task under way, None when all are done."""
        return self.goal.tasks[self.index] if self.index < len(self.goal.tasks) else None

    def _task_name(self) -> str:
        return self.wanted.task if self.wanted is not None else ""

    def _take_note(self, reply: Reply) -> None:
        for act in reply.acts:
            wanted = self.wanted
            if act.name is ActName.NOTIFY_SUCCESS and wanted and act.task == wanted.task:
                self._finish()
            elif tells_so(act):
                self.is_told_so = True

    def _finish(self) -> None:
        self.done.add(self.index)
        left = [i for i in range(len(self.goal.tasks)) if i not in self.done]
        self.index = left[0] if left else len(self.goal.tasks)
        self.more = 0

    def _digression(self) -> UserTurn | None:
        for i, digression in enumerate(self.goal.digressions):
            if i in self.digressed or self.turn < digression.turn:
                continue
            self.digressed.add(i)
            return UserTurn(
                commands=(_aside(digression),),
                text="" if digression.kind == "knowledge" else digression.text,
            )
        if self.goal.second_locale and self.turn == 2 and self.locale != self.goal.second_locale:
            return UserTurn(commands=(Language(locale=self.goal.second_locale),))
        return None

    def _begin(self) -> UserTurn:
        """Return the start of the next task, or the end."""
        wanted = self.wanted
        has_heard_no = self.is_told_so and not self.goal.is_possible
        if wanted is None or self.wants_out or has_heard_no:
            return UserTurn(commands=(Done(),))
        self.begun.add(self.index)
        commands: list[Command] = [Start(task=wanted.task)]
        if self.goal.persona is Persona.OVERANSWERS:
            commands += self._volunteered(wanted, "", 2)
        return UserTurn(commands=tuple(commands))

    def _volunteered(self, wanted: GoalTask, but: str, most: int) -> list[Command]:
        task = self.bot.tasks[wanted.task]
        found: list[Command] = []
        for name, value in wanted.values.items():
            slot = task.slots[name]
            is_free = slot.fill is Fill.ANYTIME and slot.carried_from is None and not slot.many
            is_new = name != but and (wanted.task, name) not in self.told
            if is_free and is_new and slot.type.name not in ("text", "bool", "address"):
                found.append(Set(slot=name, value=value))
        return found[:most]

    def _answer(self, reply: Reply) -> UserTurn:
        if (mended := self._early_correction()) is not None:
            return mended
        question = next((act for act in reversed(reply.acts) if act.name in QUESTIONS), None)
        if question is None:
            return self._begin()
        echoed = [act for act in reply.acts if act.name is ActName.IMPLICIT_CONFIRM]
        wrong = {slot: v for act in echoed for slot, v in self._wrong(act).items()}
        if wrong:
            return UserTurn(commands=self._mended(wrong), answers=question)
        if self._gives_up(question):
            self.wants_out = True
            return UserTurn(commands=(Cancel(),), answers=question)
        return self._to(question)

    def _gives_up(self, question: Act) -> bool:
        """Tell whether a user who cannot have it, and knows it, leaves the task now."""
        if question.name is ActName.REQ_MORE or self.wants_out:
            return False
        return not self.goal.is_possible and self.is_told_so

    def _to(self, question: Act) -> UserTurn:
        if question.key in _ASIDES:
            is_ours = question.key == "resume" and self._goal_of(question.task) is not None
            answer = Affirm() if is_ours and not self.wants_out else Deny()
            return UserTurn(commands=(answer,), answers=question)
        if question.key == "change_what" and self.wrong:
            slot, value = next(iter(self.wrong.items()))
            change = Change(slot=slot, value=value, task=question.task)
            return UserTurn(commands=(change,), answers=question)
        match question.name:
            case ActName.REQUEST:
                commands = self._to_request(question)
            case ActName.CONFIRM:
                commands = self._to_confirm(question)
            case ActName.OFFER:
                commands = self._to_offer(question)
            case ActName.CLARIFY:
                commands = self._to_clarify(question)
            case ActName.OFFER_INTENT:
                commands = self._to_intent(question)
            case _:
                if self._was_chosen():
                    self._finish()
                return replace(self._begin(), answers=question)
        return UserTurn(commands=tuple(commands), answers=question)

    def _was_chosen(self) -> bool:
        """Tell whether the task under way was a search and a row was chosen."""
        wanted = self.wanted
        if wanted is None or self.index not in self.begun:
            return False
        return self.bot.tasks[wanted.task].find is not None and self.more < 0

    def _goal_of(self, task: str) -> GoalTask | None:
        """Return the goal's part that a question is about, and turn to it."""
        if not task:
            return self.wanted
        for i, wanted in enumerate(self.goal.tasks):
            if wanted.task == task and i not in self.done:
                if i != self.index:
                    self.index, self.more = i, 0
                self.begun.add(i)
                return wanted
        return None

    def _to_request(self, question: Act) -> tuple[Command, ...]:
        wanted = self._goal_of(question.task)
        if wanted is None or self.wants_out:
            return (Cancel(),) if question.task else self._begin().commands
        if not question.slot:
            return self._begin().commands
        place = (wanted.task, question.slot)
        if place in self.goal.refuses and place not in self.refused:
            self.refused.add(place)
            return (Skip(),)
        if place in self.goal.indifferent:
            return (DontCare(slot=question.slot),)
        value = self._value(wanted, question.slot)
        if value is None:
            return (self._pass_over(wanted, question.slot),)
        commands: list[Command] = [Set(slot=question.slot, value=value, task=wanted.task)]
        if self.goal.persona is Persona.OVERANSWERS:
            commands += self._volunteered(wanted, question.slot, 1)
        return tuple(commands)

    def _pass_over(self, wanted: GoalTask, slot: str) -> Command:
        task = self.bot.tasks[wanted.task]
        find = task.find
        names = {n for _, arg in (find.arguments or () if find else ()) for n in arg.names}
        definition = task.slots.get(slot)
        if definition is None or slot in names:
            return DontCare(slot=slot)
        return Skip() if not definition.required else Cancel()

    def _value(self, wanted: GoalTask, slot: str) -> JSON:
        """Return what is said for a slot: its value, or what is to be corrected later."""
        for i, correction in enumerate(self.goal.corrections):
            is_it = (correction.task, correction.slot) == (wanted.task, slot)
            if is_it and i not in self.decoys:
                self.decoys.add(i)
                return correction.decoy
        return wanted.values.get(slot)

    def _early_correction(self) -> UserTurn | None:
        for i, correction in enumerate(self.goal.corrections):
            said = self.told.get((correction.task, correction.slot))
            if correction.is_late or said != correction.decoy or i not in self.decoys:
                continue
            wanted = next(task for task in self.goal.tasks if task.task == correction.task)
            value = wanted.values[correction.slot]
            return UserTurn(commands=(Change(slot=correction.slot, value=value, task=wanted.task),))
        return None

    def _wrong(self, act: Act) -> dict[str, JSON]:
        """Return the slots of an act whose values are not the goal's, with the goal's."""
        wanted = self._goal_of(act.task)
        if wanted is None:
            return {}
        return {
            slot: wanted.values[slot]
            for slot, value in act.values.items()
            if slot in wanted.values and wanted.values[slot] != value
        }

    def _mended(self, wrong: dict[str, JSON]) -> tuple[Command, ...]:
        self.wrong = wrong
        slot, value = next(iter(wrong.items()))  # one thing at a time, as people do
        return (Deny(), Change(slot=slot, value=value))

    def _to_confirm(self, question: Act) -> tuple[Command, ...]:
        wanted = self._goal_of(question.task)
        if wanted is None or self.wants_out:
            return (Deny(),)
        wrong = self._wrong(question)
        if wrong:
            return self._mended(wrong)
        if question.key.endswith(":ask"):
            return (Affirm(),) if wanted.says_yes else (Deny(),)
        return (Affirm(),)

    def _to_offer(self, question: Act) -> tuple[Command, ...]:
        wanted = self._goal_of(question.task)
        if wanted is None or self.wants_out:
            return (Cancel(),)
        entities = list(question.entities)
        if wanted.target in entities:
            self.more = -1
            return (Choose(n=entities.index(wanted.target) + 1, entity=wanted.target),)
        if wanted.target is None and wanted.impossible is None and entities:
            self.more = -1
            return (Choose(n=1, entity=entities[0]),)
        self.more += 1
        return (More(),) if self.more <= _MAX_MORE else (Cancel(),)

    def _to_clarify(self, question: Act) -> tuple[Command, ...]:
        wanted = self._goal_of(question.task)
        for i, option in enumerate(question.options, start=1):
            if wanted is not None and question.slot and self._is_meant(wanted, question, option):
                return (Choose(n=i, entity=option),)
            if not question.slot and option in (self._task_name(), *self._slots_meant()):
                return (Choose(n=i, entity=option),)
        if wanted is not None and question.slot and question.slot in wanted.values:
            value = wanted.values[question.slot]
            return (Set(slot=question.slot, value=value, task=wanted.task),)
        return self._begin().commands

    def _is_meant(self, wanted: GoalTask, question: Act, option: JSON) -> bool:
        said = self.told.get((wanted.task, question.slot), wanted.values.get(question.slot))
        return bool(option == said or option == wanted.values.get(question.slot))

    def _slots_meant(self) -> list[str]:
        commands = self.last.commands if self.last is not None else ()
        return [command.slot for command in commands if isinstance(command, Set | Change)]

    def _to_intent(self, question: Act) -> tuple[Command, ...]:
        if self._was_chosen():
            self._finish()
        wanted = self.wanted
        if self.wants_out or wanted is None or question.task != wanted.task:
            return (Deny(),)
        self.begun.add(self.index)
        return (Affirm(),)


def _aside(digression: Digression) -> Command:
    match digression.kind:
        case "knowledge":
            return Knowledge(query=digression.text)
        case "chitchat":
            return Chitchat()
        case "repeat":
            return Repeat()
        case "why":
            return Why()
    return Unclear()


def tells_so(act: Act) -> bool:
    """Tell whether an act says that something cannot be had, or not by this user."""
    if act.name is ActName.REPAIR:
        return act.key == "needs" or act.key.endswith(":needs")
    if act.name in (ActName.NOTIFY_FAILURE, ActName.INFORM_COUNT):
        return act.name is ActName.NOTIFY_FAILURE or act.key in _NOTHING_FOUND
    return False
