"""What a turn costs, for `benchmarks.dialog`: tokens by its number, milliseconds by rules."""

import statistics
import time

from benchmarks.report import REPOSITORY, Figure
from dialog.bot.loading import load_bot
from dialog.task.commands import Set, Start
from dialog.task.testing import agent_of, turn
from dialog.task.understanding import Tracker
from dialog.tracker.constrained import ConstrainedTracker
from dialog.tracker.rule import RuleTracker
from llm.chat import TextScorer

EXAMPLES = REPOSITORY / "examples"

# a text said twice would be found in the cache, and cost less than its length
_NAMES = (
    *("Anna", "Carl", "Dora", "Emma", "Fred", "Gina", "Hans", "Ivan", "Jane", "Karl"),
    *("Lena", "Mark", "Nora", "Olga", "Paul", "Rita", "Sara", "Tina", "Vera", "Walt"),
    *("Adam", "Beth", "Cora", "Dana", "Eric", "Finn", "Gwen", "Hugo", "Iris", "Jack"),
    *("Kate", "Liam", "Mona", "Nina", "Owen", "Rosa", "Sean", "Toby", "Ursa", "Zara"),
)
_BOOKING = (
    Start(task="book_table"),
    Set(slot="restaurant", value="anchor_house"),
    Set(slot="people", value=2),
    Set(slot="date", value="2025-03-07"),
    Set(slot="time", value="19:00"),
    Set(slot="name", value="Ana Lind"),
    Set(slot="phone", value="+441632960102"),
)


def cost(scorer: TextScorer, turns: int = 40) -> list[Figure]:
    """Tokens computed on equal turns of the restaurant bot: the most over the least."""
    watched = _Watched(ConstrainedTracker(scorer))
    agent = agent_of(load_bot(EXAMPLES / "restaurant"), tracker=watched)
    turn(agent, *_BOOKING)  # all is told, so the bot asks each time whether it may book
    for i in range(turns):
        turn(agent, text=f"please put it under the name {_NAMES[i]} Lind")
    tokens = watched.tokens[1:]  # the first turn also reads what all prompts begin with
    assert len(tokens) == turns - 1, "the bot listens to every turn"
    return [
        Figure(
            name=f"{turns} equal turns, constrained: most tokens computed over the mean",
            value=max(tokens) / statistics.fmean(tokens),
            unit="from turn 2 on",
            target=1.1,
            higher_is_better=False,
        ),
        Figure(
            name=f"{turns} equal turns, constrained: least tokens computed over the mean",
            value=min(tokens) / statistics.fmean(tokens),
            unit="from turn 2 on",
            target=0.9,
        ),
    ]


class _Watched:
    """Notes what readings cost."""

    def __init__(self, tracker: Tracker) -> None:
        self.name = tracker.name
        self.tokens: list[int] = []
        self._tracker = tracker

    def read(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Read as the tracker does."""
        found = self._tracker.read(*args, **kwargs)
        self.tokens.append(found.tokens_computed)
        return found


_TALK = (
    "I'd like to find an italian restaurant in the centre",
    "yes please",
    "4 people on Friday at 7pm",
    "Ana Lind",
    "what do you need that for?",
    "+44 20 7946 0958",
    "no, make it Saturday",
    "yes",
)


def turn_ms(rounds: int) -> list[Figure]:
    """A whole turn by rules, templates and a log in memory, on the restaurant bot."""
    bot = load_bot(EXAMPLES / "restaurant")
    tracker = RuleTracker()
    wall, processor = [], []
    for i in range(rounds + 1):
        agent = agent_of(bot, tracker=tracker)
        for text in _TALK:
            started, used = time.perf_counter(), time.thread_time()
            turn(agent, text=text)
            if i:  # the first round compiles phrases
                wall.append(1000 * (time.perf_counter() - started))
                processor.append(1000 * (time.thread_time() - used))
    return [
        Figure(
            name=f"a turn tracked by rules, p50 of {what}",
            value=statistics.median(times),
            unit="ms",
            spread=(min(times), sorted(times)[int(0.95 * len(times))]),
            target=30,
            higher_is_better=False,
        )
        for what, times in (("wall-clock time", wall), ("processor time", processor))
    ]
