"""The constrained tracker: a model chooses from what the state admits, and cannot leave it.

For every slot that may change, and for the move that the turn makes, the model says how probable
each admitted text is on a fork of one cached prefix; normalised once over the set, these are
posteriors. log p(option) = `weight` x log P(text | prefix) + log prior, up to a constant, the prior
being the recogniser's; with `prior` false the model stands alone. Only the last exchange stands in
the prefix, so a turn costs the same however long the dialogue is.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dialog.bot.definition import BotDefinition
from dialog.task.canonical import canonical_json
from dialog.task.commands import (
    MAX_COMMANDS,
    Affirm,
    Alternative,
    Change,
    Command,
    Deny,
    DontCare,
    Resume,
    Set,
    Start,
    Unclear,
)
from dialog.task.state import DialogState
from dialog.task.understanding import Understanding
from dialog.tracker.admissible import situation_of
from dialog.tracker.mentions import mentions
from dialog.tracker.moves import Move, moves_of
from dialog.tracker.options import Option, options_of
from dialog.tracker.priors import move_priors, option_priors, reading_of, with_reading
from dialog.tracker.reading import Reading
from dialog.tracker.situation import Situation, SlotView
from dialog.tracker.task_intents import SentenceVectors, TaskIntents
from llm.chat import TextScorer

ANY_VALUE = "dontcare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """The probabilities of a slot's options, those of one value added; they sum to 1."""

    slot: SlotView
    options: tuple[tuple[Option, float], ...]

    @property
    def best(self) -> tuple[Option, float]:
        """The likeliest; of equals the one that changes less."""
        return self.options[0]


@dataclass(slots=True)
class _Cost:
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How the model's word and the recogniser's prior are put together."""

    weight: float = 0.25
    prior: bool = True
    skip_idle: bool = field(default=True)  # do not ask about slots of which nothing was read

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"the weight of the model must be >= 0, got {self.weight}")


class ConstrainedTracker:
    """Reads messages with a scorer of texts under the grammar of the state."""

    name = "constrained"

    def __init__(
        self,
        scorer: TextScorer,
        weights: Weights | None = None,
        *,
        vectors: SentenceVectors | None = None,
    ) -> None:
        """Take a scorer, and sentence vectors to compare with the tasks' examples, if any."""
        self._scorer = scorer
        self._vectors = vectors
        self._weights = weights or Weights()
        self._intents: dict[str, TaskIntents] = {}

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Return what the message asks of the state."""
        situation = situation_of(bot, state, message)
        intents = self._intents.get(bot.hash)
        if intents is None:
            intents = TaskIntents(situation.tasks, self._vectors)
            self._intents[bot.hash] = intents
        return self.understand(situation, intents, about=bot.name)

    def understand(
        self, situation: Situation, intents: TaskIntents, *, about: str = ""
    ) -> Understanding:
        """Return the commands and posteriors of one turn."""
        ruled = Reading(situation, intents).commands()
        cost = _Cost()
        prefix = prefix_of(situation, about)
        moves = self._moves(situation, ruled, prefix, cost)
        started = {m.command.task for m, _ in moves[:1] if isinstance(m.command, Start | Resume)}
        slots = [
            slot
            for slot in situation.slots
            if slot.is_open or slot.task in started or not situation.tasks
        ]
        posteriors = self.posteriors(situation, slots, prefix, cost, ruled)
        return Understanding(
            commands=_commands(moves[0], posteriors),
            posteriors={
                f"{p.slot.task}.{p.slot.name}": tuple(
                    Alternative(value=ANY_VALUE if option.kind == "any" else option.value, p=value)
                    for option, value in p.options
                )
                for p in posteriors
            },
            tracker=self.name,
            grammar=_digest(situation, posteriors),
            model=self._scorer.name,
            tokens_computed=cost.tokens,
        )

    def posteriors(
        self,
        situation: Situation,
        slots: Iterable[SlotView],
        prefix: str,
        cost: "_Cost | None" = None,
        ruled: Sequence[Command] = (),
    ) -> list[Posterior]:
        """Return the posterior of each slot of which something could be read.

        `ruled` is what the recogniser makes of the turn, for the prior.
        """
        found = []
        slots = list(slots)
        taken = {(m.slot.place, canonical_json(m.value)) for m in mentions(situation, slots)}
        for slot in slots:
            options = with_reading(options_of(situation, slot), slot, situation, taken, ruled)
            if len(options) < 2 or self._is_idle(slot, options):
                continue
            query = f"{prefix}The user's {_named(slot)} is"
            scores = self._score(query, [option.text for option in options], cost)
            priors = option_priors(slot, options) if self._weights.prior else None
            found.append(
                Posterior(slot=slot, options=_summed(options, self._normalised(scores, priors)))
            )
        return found

    def _is_idle(self, slot: SlotView, options: Sequence[Option]) -> bool:
        """Tell whether no word of the turn, nor of the bot's, speaks for any value of the slot."""
        if not (self._weights.skip_idle and self._weights.prior) or slot.is_asked:
            return False
        return not any(option.p or option.kind in ("offer", "said") for option in options)

    def _moves(
        self, situation: Situation, ruled: Sequence[Command], prefix: str, cost: _Cost
    ) -> list[tuple[Move, float]]:
        moves = [  # as it was read, where it was: with the direction, the entity, the guesses
            replace(move, command=reading_of(move, ruled) or move.command)
            for move in moves_of(situation)
        ]
        scores = self._score(f"{prefix}The user", [move.text for move in moves], cost)
        priors = move_priors(moves, ruled) if self._weights.prior else None
        weighed = zip(moves, self._normalised(scores, priors), strict=True)
        return sorted(weighed, key=lambda pair: -pair[1])

    def _score(self, prefix: str, texts: list[str], cost: "_Cost | None") -> list[float]:
        found = self._scorer.score(prefix, [f"{text}." for text in texts])
        if cost is not None:
            cost.tokens += found.computed_tokens
        return list(found.log_probs)

    def _normalised(self, scores: Sequence[float], priors: Sequence[float] | None) -> list[float]:
        weight = self._weights.weight if priors is not None else 1.0
        logs = [weight * score for score in scores]
        if priors is not None:
            logs = [log + math.log(p) for log, p in zip(logs, priors, strict=True)]
        top = max(logs)
        exponents = [math.exp(log - top) for log in logs]
        total = math.fsum(exponents)
        return [value / total for value in exponents]


def prefix_of(situation: Situation, about: str = "") -> str:
    """Return what the model reads before it is asked: the bot, and the last exchange."""
    tasks = ", ".join(task.phrases[0] for task in situation.tasks if task.phrases)
    header = f"The assistant {about} can {tasks}.\n" if tasks else "A user talks to an assistant.\n"
    said = f"Assistant: {situation.system}\n" if situation.system else ""
    return f"{header}{said}User: {situation.text}\n"


def _named(slot: SlotView) -> str:
    return slot.about.strip().rstrip(".").lower() or slot.name.replace("_", " ")


def _summed(options: Sequence[Option], values: Sequence[float]) -> tuple[tuple[Option, float], ...]:
    totals: dict[str, float] = {}
    first: dict[str, Option] = {}
    for option, value in zip(options, values, strict=True):
        totals[option.key] = totals.get(option.key, 0.0) + value
        first.setdefault(option.key, option)
    order = sorted(totals, key=lambda key: -totals[key])
    return tuple((first[key], totals[key]) for key in order)


def _commands(move: tuple[Move, float], posteriors: Sequence[Posterior]) -> tuple[Command, ...]:
    """Return the move and the edits; a change of values and a yes to the old ones exclude."""
    edits = [edit for posterior in posteriors if (edit := edit_of(posterior)) is not None]
    command, p = move[0].command, move[1]
    found: list[Command] = []
    is_answer = isinstance(command, Affirm | Unclear)
    if command is not None and not (edits and is_answer):
        found.append(replace(command, p=min(1.0, p)))
    if isinstance(command, Start | Resume | Deny | Affirm | Unclear) or command is None:
        found += edits
    return tuple(found[:MAX_COMMANDS]) or (Unclear(),)


def edit_of(posterior: Posterior) -> Command | None:
    """Return the edit that the likeliest option asks for, None if it changes nothing."""
    (option, p), slot = posterior.best, posterior.slot
    p = min(1.0, p)
    if option.kind == "none":
        return None
    if option.kind == "any":
        return DontCare(slot=slot.name, task=slot.task, p=p)
    if slot.has_value and slot.value == option.value:
        return None
    kind = Change if slot.has_value else Set
    others = [(o, q) for o, q in posterior.options[1:4] if o.kind not in ("none", "any")]
    return kind(
        slot=slot.name,
        task=slot.task,
        value=[option.value] if slot.is_many else option.value,
        p=p,
        raw=option.text.strip(),
        span=option.span,
        source=option.source,
        alternatives=tuple(Alternative(value=o.value, p=q) for o, q in others),
    )


def _digest(situation: Situation, posteriors: Sequence[Posterior]) -> str:
    """Return a hash of the grammar: of all that could have been chosen."""
    admitted: Mapping[str, list[str]] = {
        f"{p.slot.task}.{p.slot.name}": sorted(option.key for option, _ in p.options)
        for p in posteriors
    }
    moves = [move.text for move in moves_of(situation)]
    return hashlib.blake2b(repr((moves, admitted)).encode(), digest_size=8).hexdigest()
