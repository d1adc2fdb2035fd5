"""Runs simulated users against a bot: scenarios times trials, at the level of acts or of words.

Simulated users are easier than people: they say what the goal says and follow the question. A rate
measured here bounds from above what people will reach.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from dialog.bot.definition import BotDefinition
from dialog.simulation.confusion import confused
from dialog.simulation.dice import dice, weighted
from dialog.simulation.goal import Goal, Persona
from dialog.simulation.goal_maker import GoalMaker
from dialog.simulation.habits import headings_of, with_habits
from dialog.simulation.judgement import Record, judged
from dialog.simulation.report import Report, Trial
from dialog.simulation.specification import SimulationSpec
from dialog.simulation.surfaces import Surfaces
from dialog.simulation.tool_behaviour import behaving, fresh_bot
from dialog.simulation.user import SimulatedUser, UserTurn
from dialog.task.events import TaskEvent
from dialog.task.messages import Reply, UserMessage
from dialog.task.state import DialogState


class Conversation(Protocol):
    """One conversation with a bot, as a simulated user has it."""

    def open(self, goal: Goal) -> Reply | None:
        """Open it for a user of whom the channel knows the goal's facts; return the greeting."""
        ...

    def say(self, message: UserMessage) -> Reply:
        """Return the reply to a message."""
        ...

    def log(self) -> tuple[Sequence[TaskEvent], DialogState]:
        """Return what was recorded, and the state that it gives."""
        ...


Connect = Callable[[BotDefinition], Conversation]
OnTrial = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """Runs one specification against one bot.

    `confusion` is the rate at which a command arrives as another one, at the level of acts only.
    """

    bot: BotDefinition
    spec: SimulationSpec
    connect: Connect
    confusion: float = 0.0
    headings: tuple[str, ...] = field(default=())
    surfaces: Surfaces = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "surfaces", Surfaces(bot=self.bot, now=self.now))
        if not self.headings:
            object.__setattr__(self, "headings", headings_of(self.bot))

    def run(self, level: str, on_trial: OnTrial | None = None) -> Report:
        """Return the report of all scenarios at a level, "act" or "text"."""
        trials: list[Trial] = []
        errors: list[str] = []
        for scenario in range(self.spec.dialogues):
            goal = self.goal(scenario)
            if (error := self.self_check(goal)) is not None:
                errors.append(f"scenario {scenario}: {error}")
            trials += [
                self.trial(goal, scenario, number, level) for number in range(self.spec.trials)
            ]
            if on_trial is not None:
                on_trial(scenario + 1, self.spec.dialogues)
        return Report(
            level=level, spec=self.spec, trials=tuple(trials), simulator_errors=tuple(errors)
        )

    @property
    def now(self) -> datetime:
        """The moment at which all conversations begin, in the bot's zone."""
        zone = self.bot.locales.timezone
        name = "UTC" if zone == "user" else zone
        return datetime.fromisoformat(self.spec.now).replace(tzinfo=ZoneInfo(name))

    def goal(self, scenario: int) -> Goal:
        """Return the goal of a scenario; the same for all trials, but for its habits."""
        rng = dice(self.spec.seed, scenario, "goal")
        persona = weighted(rng, self.spec.users)
        zone = self.bot.locales.timezone
        maker = GoalMaker(
            bot=self.bot,
            now=self.now,
            timezone="UTC" if zone == "user" else zone,
            headings=self.headings,
        )
        return maker.draw(persona, rng)

    def self_check(self, goal: Goal) -> str | None:
        """Return why the user fails where it is understood perfectly; None if it does not."""
        plain = replace(goal, corrections=(), digressions=())
        plain = replace(plain, patience=0) if plain.persona is Persona.IMPATIENT else plain
        verdict = self.played(plain, level="act", seed="self-check").verdict
        return None if verdict.is_success else f"{verdict.failure}: {verdict.detail}"

    def trial(self, goal: Goal, scenario: int, number: int, level: str) -> Trial:
        """Return one run of a scenario; its number seeds habits, words, noise and tools."""
        seed = f"{self.spec.seed}/{scenario}/{number}"
        bare = replace(goal, corrections=(), digressions=(), patience=0, second_locale="")
        bare = replace(bare, indifferent=(), refuses=())
        rng = dice(seed, "habits")
        lively = with_habits(self.bot, bare, rng, self.headings)
        return replace(
            self.played(lively, level=level, seed=seed), scenario=scenario, number=number
        )

    def played(self, goal: Goal, *, level: str, seed: str) -> Trial:
        """Return one conversation of a user with this goal, judged."""
        bot, _ = behaving(fresh_bot(self.bot), self.spec.tools, dice(seed, "tools"))
        talk = self.connect(bot)
        user = SimulatedUser(bot=bot, goal=goal)
        error, turns, has_ended = "", 0, False
        try:
            turn: UserTurn | None = user.first(talk.open(goal))
            while turn is not None and turns < self.spec.max_turns:
                reply = self._exchange(talk, turn, goal, level, f"{seed}/{turns}")
                turns += 1
                turn = user.react(reply)
            has_ended = turn is None
        except Exception as caught:  # noqa: BLE001 - whatever a bot raises is what it did wrong
            error = f"{type(caught).__name__}: {caught}"
        events, state = talk.log()
        record = Record(
            events=tuple(events), state=state, turns=turns, has_ended=has_ended, error=error
        )
        return Trial(
            scenario=0, number=0, goal=goal, record=record, verdict=judged(bot, goal, record)
        )

    def _exchange(
        self, talk: Conversation, turn: UserTurn, goal: Goal, level: str, seed: str
    ) -> Reply:
        text = replace(self.surfaces, persona=goal.persona).of(turn, dice(seed, "words"))
        message = UserMessage(id=seed, now=goal.now, timezone=goal.timezone)
        if level == "act":
            commands = confused(self.bot, turn.commands, self.confusion, dice(seed, "confusion"))
            return talk.say(replace(message, text=text, commands=commands))
        if not turn.is_plain:
            text = self.spec.noise.of(text, dice(seed, "noise"))
        reply = talk.say(replace(message, text=text))
        if dice(seed, "twice").random() < self.spec.noise.duplicates:
            reply = talk.say(replace(message, text=text))  # the same id: answered from the log
        return reply
