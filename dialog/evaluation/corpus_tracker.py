"""The trackers of bots over the dialogues of a corpus.

Each turn becomes a `Situation` in which the slots of the turn's services are open, the system's
acts (where the corpus has them) or its words say what was asked, and the same reader as for bots
gives commands; the state is their fold.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from dialog.evaluation.corpus import DONTCARE, Corpus, CorpusAct, CorpusDialogue, CorpusTurn
from dialog.evaluation.hypothesis import Decision, TurnHypothesis
from dialog.evaluation.ontology import Gazetteer, column, slot_views
from dialog.evaluation.sources import ValueSources
from dialog.task.commands import Affirm, Clear, Command, DontCare, Set, SlotEdit, ValueSource
from dialog.task.understanding import Understanding
from dialog.tracker.evidence import DONTCARE as ANY_EVIDENCE
from dialog.tracker.evidence import evidence_of
from dialog.tracker.questions import is_question
from dialog.tracker.rule import RuleTracker
from dialog.tracker.situation import OpenQuestion, Situation, SlotView, TaskView
from dialog.tracker.task_intents import SentenceVectors, TaskIntents
from dialog.tracker.words import Word, find_phrase, split, words_of

_SENTENCE = re.compile(r"[^.?!]*[.?!]?")
_OFFERING = frozenset({"OFFER", "CONFIRM", "RECOMMEND", "OFFERBOOK", "INFORM", "SELECT", "BOOK"})
_ACCEPTED = 0.7
_UNTOUCHED = 0.99
_TOLD_TURNS = 2
"""What the system said in so many of its turns can be agreed to; with more, turns cost more."""
_MULTIWOZ_SLOTS = {
    "price": "pricerange", "depart": "departure", "dest": "destination", "leave": "leaveAt",
    "arrive": "arriveBy", "people": "book people", "day": "book day", "stay": "book stay",
    "time": "book time",
}  # fmt: skip

State = dict[str, tuple[str, ...]]


class Reader(Protocol):
    """Reads a situation; the trackers of bots do."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    def understand(self, situation: Situation, intents: TaskIntents) -> Understanding:
        """Return the commands and posteriors of one turn."""
        ...


class CorpusTracker:
    """Tracks the dialogues of a corpus with the reader of a tracker of bots."""

    def __init__(
        self,
        corpus: Corpus,
        *,
        reader: Reader | None = None,
        gazetteer: Gazetteer | None = None,
        vectors: SentenceVectors | None = None,
    ) -> None:
        """Compile the corpus's ontology; a gazetteer adds names from dialogues not scored.

        Without a reader the recogniser's is taken.
        """
        self._format = corpus.format
        names = gazetteer or Gazetteer()
        places = frozenset[str]().union(
            *(column(rows, "name") for rows in corpus.tables.values()),
            *(column(rows, "departure") for rows in corpus.tables.values()),
        )
        self._views = {
            name: slot_views(corpus, service, names, places)
            for name, service in corpus.services.items()
        }
        self._intents = {name: _intents(corpus, name, vectors) for name in corpus.services}
        self._rules = RuleTracker(vectors)
        self._reader: Reader = reader or self._rules
        self.name = self._reader.name
        self._sources = ValueSources(corpus, [v for views in self._views.values() for v in views])
        self._no_tasks = TaskIntents(())
        self._states: dict[str, State] = {}
        self._active: dict[str, str] = {}
        self._told: list[dict[tuple[str, str], str]] = []  # of the last system turns
        self._service = ""

    def begin(self, dialogue: CorpusDialogue) -> None:
        """Forget the dialogue before."""
        del dialogue  # nothing of it may be known before its turns
        self._states = {}
        self._active = {}
        self._told = []
        self._service = ""
        self._sources.begin()

    def turn(self, turn: CorpusTurn) -> TurnHypothesis:
        """Return the state after a turn."""
        services = self._services(turn)
        views = self._open_views(turn, services)
        situation = Situation(
            text=turn.user,
            system=turn.system,
            slots=views,
            question=_question(turn, views),
            has_spoken=bool(turn.system),
            may_chat=False,
        )
        read = self._reader.understand(situation, self._no_tasks)
        decisions = self._fold(situation, read, views)
        return TurnHypothesis(
            states={name: dict(state) for name, state in self._states.items()},
            intents={name: self._intent(name, turn) for name in services},
            requested={name: self._requested(situation, name) for name in services},
            decisions=tuple(decisions),
            invented=self._sources.invented(turn, self._states),
            tokens_computed=read.tokens_computed,
        )

    def _services(self, turn: CorpusTurn) -> tuple[str, ...]:
        """Return the services that the turn may be about.

        SGD gives them with the turn. MultiWOZ does not: words of a domain make it the current one,
        and all others keep their states.
        """
        if self._format != "multiwoz":
            return tuple(frame.service for frame in turn.frames)
        named = [
            domain
            for domain, words in _DOMAIN_WORDS.items()
            if any(find_phrase(words_of(turn.user), split(word), fuzzy=False) for word in words)
        ]
        by_system = [act.service for act in turn.system_acts if act.service in self._views]
        if named:
            self._service = named[0]
        elif by_system and self._service not in by_system:
            self._service = by_system[0]
        current = [self._service] if self._service and self._service not in named else []
        return (*named, *current)

    def _open_views(self, turn: CorpusTurn, services: Sequence[str]) -> tuple[SlotView, ...]:
        asked = _asked(turn, self._format)
        self._told = [*self._told, _told(turn, self._format)][-_TOLD_TURNS:]
        told = {place: value for of_turn in self._told for place, value in of_turn.items()}
        views = []
        for service in services:
            state = self._states.get(service, {})
            words = _last_question(turn.system)
            for view in self._views.get(service, ()):
                place = view.place
                is_asked = (
                    view.is_free and place in asked
                    if turn.system_acts
                    else view.is_free and any(find_phrase(words, split(p)) for p in view.words[:5])
                )
                views.append(
                    replace(
                        view,
                        has_value=view.name in state,
                        is_answered=view.name in state,
                        value=state[view.name][0] if view.name in state else None,
                        is_asked=is_asked,
                        is_current=service == (self._service or service),
                        told=told.get(place) if view.is_free else None,
                        context=replace(view.context, is_asked=is_asked),
                    )
                )
        return tuple(views)

    def _fold(
        self, situation: Situation, read: Understanding, views: Iterable[SlotView]
    ) -> list[Decision]:
        changed: dict[tuple[str, str], Decision] = {}
        for command in self._with_accepted(situation, read.commands):
            if isinstance(command, SlotEdit):
                self._states.setdefault(command.task, {})[command.slot] = (str(command.value),)
                changed[command.task, command.slot] = Decision(
                    service=command.task,
                    slot=command.slot,
                    value=str(command.value),
                    p=command.p,
                    evidence=_evidence(situation, command),
                )
            elif isinstance(command, DontCare):
                self._states.setdefault(command.task, {})[command.slot] = (DONTCARE,)
                changed[command.task, command.slot] = Decision(
                    service=command.task,
                    slot=command.slot,
                    value=DONTCARE,
                    p=command.p,
                    evidence=ANY_EVIDENCE,
                )
            elif isinstance(command, Clear):
                self._states.get(command.task, {}).pop(command.slot, None)
        for view in views:
            if view.place not in changed:
                changed[view.place] = _untouched(view, read)
        return list(changed.values())

    def _with_accepted(self, situation: Situation, commands: Sequence[Command]) -> list[Command]:
        """Return the commands with the values that the system named and the user agreed to."""
        if not any(isinstance(command, Affirm) for command in commands):
            return list(commands)
        from_system = [
            _accepted(view)
            for view in situation.slots
            if view.told is not None and view.value != view.told
        ]
        return [*commands, *from_system]

    def _intent(self, service: str, turn: CorpusTurn) -> str:
        scored = self._intents[service].score(turn.user)
        if scored and scored[0].score >= _INTENT:
            self._active[service] = scored[0].task
        for act in turn.system_acts:
            if act.act == "OFFER_INTENT" and act.service == service and act.values:
                agreed = self._rules.understand(
                    Situation(text=turn.user, question=OpenQuestion(kind="intent")), self._no_tasks
                )
                if any(isinstance(command, Affirm) for command in agreed.commands):
                    self._active[service] = act.values[0]
        if service not in self._active and scored:
            self._active[service] = scored[0].task
        return self._active.get(service, "NONE")

    def _requested(self, situation: Situation, service: str) -> tuple[str, ...]:
        if not is_question(situation):
            return ()
        words = words_of(situation.text)
        return tuple(
            view.name
            for view in self._views.get(service, ())
            if any(find_phrase(words, split(phrase)) for phrase in view.words[:1])
        )


_INTENT = 0.5
_DOMAIN_WORDS: Mapping[str, tuple[str, ...]] = {
    "hotel": ("hotel", "hotels", "guesthouse", "guest house", "place to stay", "room", "lodging",
              "guesthouses", "somewhere to stay", "accommodation", "accommodations"),
    "restaurant": ("restaurant", "restaurants", "food", "eat", "dine", "dining", "cuisine",
                   "table", "place to dine", "eatery"),
    "attraction": ("attraction", "attractions", "museum", "museums", "places to go", "college",
                   "park", "theatre", "theatres", "nightclub", "nightclubs", "cinema", "swimming",
                   "architecture", "entertainment", "boat", "sports", "place to go", "concert",
                   "colleges", "parks", "see in town", "places to visit", "sightseeing"),
    "taxi": ("taxi", "cab", "taxis"),
    "train": ("train", "trains"),
}  # fmt: skip


def _intents(corpus: Corpus, service: str, vectors: SentenceVectors | None) -> TaskIntents:
    return TaskIntents(
        tuple(
            TaskView(name=intent.name, phrases=(_apart(intent.name), intent.description))
            for intent in corpus.services[service].intents
        ),
        vectors,
    )


def _apart(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name)


def _slot_of(act: CorpusAct, corpus_format: str) -> str:
    name = act.slot
    if corpus_format != "multiwoz":
        return name
    low = name.lower()
    if act.service == "train" and low == "day":
        return "day"
    return _MULTIWOZ_SLOTS.get(low, low)


def _asked(turn: CorpusTurn, corpus_format: str) -> set[tuple[str, str]]:
    return {
        (act.service, _slot_of(act, corpus_format))
        for act in turn.system_acts
        if act.act == "REQUEST" and act.slot
    }


def _told(turn: CorpusTurn, corpus_format: str) -> dict[tuple[str, str], str]:
    """Return the values that the system put forward and a yes would take."""
    told: dict[tuple[str, str], str] = {}
    for act in turn.system_acts:
        if act.act in _OFFERING and len(act.values) == 1 and act.slot not in ("count", "intent"):
            if corpus_format != "sgd" and act.act == "INFORM" and act.slot.lower() != "name":
                continue
            if corpus_format == "sgd" and act.act == "INFORM":
                continue
            value = act.values[0] if corpus_format == "sgd" else act.values[0].lower()
            told[act.service, _slot_of(act, corpus_format)] = value
    return told


def _question(turn: CorpusTurn, views: Sequence[SlotView]) -> OpenQuestion:
    asked = [view for view in views if view.is_asked]
    if asked:
        return OpenQuestion(kind="question", task=asked[0].task, slot=asked[0].name)
    closed = "?" in turn.system or any(view.told is not None for view in views)
    return OpenQuestion(kind="check" if closed else "")


def _last_question(system: str) -> tuple[Word, ...]:
    sentences = [s for s in _SENTENCE.findall(system) if s.strip()]
    asked = [s for s in sentences if s.endswith("?")]
    return words_of(asked[-1]) if asked else ()


def _untouched(view: SlotView, read: Understanding) -> Decision:
    posterior = read.posteriors.get(f"{view.task}.{view.name}", ())
    told = ".told" if view.told is not None else ""
    return Decision(
        service=view.task,
        slot=view.name,
        value=None,
        p=next((min(1.0, part.p) for part in posterior if part.value is None), _UNTOUCHED),
        evidence=f"untouched{'.asked' * view.is_asked}{told}",
    )


def _accepted(view: SlotView) -> SlotEdit:
    return Set(
        slot=view.name,
        task=view.task,
        value=view.told,
        source=ValueSource.SYSTEM,
        p=_ACCEPTED,
    )


def _evidence(situation: Situation, edit: SlotEdit) -> str:
    view = situation.by_place[edit.task, edit.slot]
    return evidence_of(edit, view.kind, is_asked=view.is_asked)
