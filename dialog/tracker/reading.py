"""One turn read by rules: from the open question outwards, each reading where none before fits.

The order is that of the pairs: what steers the dialogue, then what answers the open question, then
values and tasks, then questions of the user, then talk.
"""

from dataclasses import replace

from dialog.task.commands import (
    Affirm,
    Cancel,
    Chitchat,
    Command,
    Deny,
    Done,
    More,
    Resume,
    Set,
    SlotEdit,
    Start,
    Unclear,
    ValueSource,
)
from dialog.tracker.edits import Edits, edits_of
from dialog.tracker.inferences.anaphora import copied
from dialog.tracker.inferences.answers import answer
from dialog.tracker.inferences.denial import denied
from dialog.tracker.inferences.indifference import indifferent
from dialog.tracker.inferences.presupposition import aimed_at
from dialog.tracker.inferences.scalars import direction
from dialog.tracker.offers import chosen
from dialog.tracker.questions import (
    asks_to_know,
    attribute_question,
    is_question,
    knowledge_question,
    term_question,
)
from dialog.tracker.situation import Situation
from dialog.tracker.steering import language, steering
from dialog.tracker.task_intents import ScoredTask, TaskIntents
from dialog.tracker.words import first_phrase, words_of

START = 0.55
SWITCH = 0.75
SECOND = 0.8
CLARIFY = 0.08
INFERRED = 0.6
"""How well words must fit a task to start it, to leave another for it, to be a second one of the
turn; how near two are that are asked about; how sure a task is that only its slots were named."""

_FINAL = {"handoff", "restart", "repeat", "rephrase", "why", "hold", "skip"}
_GUESS = 0.3
_CHAT = 0.9


class Reading:
    """Reads one situation."""

    def __init__(self, situation: Situation, intents: TaskIntents) -> None:
        self._situation = situation
        self._scored = intents.score(situation.text) if situation.tasks else []
        self._said = answer(situation.text, situation.phrases)

    def commands(self) -> list[Command]:
        """Return what the turn asks, in the order in which it is to be taken up."""
        situation = self._situation
        if not words_of(situation.text):
            return [Unclear()]
        wished = language(situation)
        before: list[Command] = [] if wished is None else [wished]
        steered = steering(situation)
        if steered is not None and steered[0].head in _FINAL:
            return [*before, steered[0]]
        started = self._started()
        edits = self._edits(started)
        if steered is not None:
            meant = self._steered(steered[0], started, edits)
            if meant:
                return [*before, *meant]
        if self._is_small_talk(started, edits):
            return [*before, Chitchat(p=_CHAT)]
        found = self._answered(edits) or self._asked(started, edits)
        if not found:
            found = self._told(started, edits)
        return [*before, *found] if before or found else self._nothing()

    def _is_small_talk(self, started: list[Command], edits: Edits) -> bool:
        situation = self._situation
        if started or edits.edits or not situation.may_chat:
            return False
        return first_phrase(situation.text, situation.phrases.chitchat) is not None

    # --- tasks --------------------------------------------------------------------------------

    def _started(self) -> list[Command]:
        """Return the tasks that the words start; two that fit alike are asked about."""
        current = self._situation.current_task
        best = self._scored[0] if self._scored else None
        if best is None or best.score < (SWITCH if current else START) or best.task == current:
            return []
        rest = [s for s in self._scored[1:] if s.task != current]
        if rest and best.score - rest[0].score < CLARIFY and best.words == rest[0].words:
            return [Unclear(guesses=(best.task, rest[0].task), p=best.score / 2)]
        tasks = [best]
        if rest and rest[0].score >= SECOND and rest[0].words - best.words:
            tasks.append(rest[0])
        return [self._start(scored) for scored in tasks]

    def _start(self, scored: ScoredTask) -> Command:
        p = min(1.0, scored.score)
        view = next(t for t in self._situation.tasks if t.name == scored.task)
        return Resume(task=scored.task, p=p) if view.is_suspended else Start(task=scored.task, p=p)

    def _edits(self, started: list[Command]) -> Edits:
        """Return the edits of tasks under way or begun in this turn, else of the likeliest task."""
        names = {c.task for c in started if isinstance(c, Start | Resume)}
        slots = self._situation.slots
        if names:
            return edits_of(
                self._situation,
                [
                    replace(slot, is_current=slot.task in names)
                    for slot in slots
                    if slot.is_open or slot.task in names
                ],
            )
        if any(slot.is_open for slot in slots):
            return edits_of(self._situation, [slot for slot in slots if slot.is_open])
        return self._edits_of_one_task()

    def _edits_of_one_task(self) -> Edits:
        """Return the edits of the task that takes the most of the words; the offered one first."""
        situation = self._situation
        scores = {scored.task: scored.score for scored in self._scored}
        best, most = Edits(), (0, False, 0.0)
        for task in situation.tasks:
            edits = edits_of(situation, [s for s in situation.slots if s.task == task.name])
            is_offered = situation.question.task == task.name
            weight = (len(edits.edits), is_offered, scores.get(task.name, 0.0))
            if weight > most and edits.edits:
                best, most = edits, weight
        return best

    # --- what steers --------------------------------------------------------------------------

    def _steered(self, command: Command, started: list[Command], edits: Edits) -> list[Command]:
        """Return what a steering command comes to, [] if something else is meant."""
        situation = self._situation
        starts = [c for c in started if isinstance(c, Start | Resume)]
        if isinstance(command, Resume):
            return [aimed_at(situation, command)]
        if isinstance(command, Cancel):
            is_asked = situation.has_knowledge and asks_to_know(situation)  # "what does it cost?"
            is_task = starts and self._scored[0].score >= SECOND and self._is_said_by_the_task()
            if is_asked or is_task:
                return []
            aimed = aimed_at(situation, command)
            return [aimed, *starts, *edits.edits] if starts else [aimed]
        question = situation.question
        if isinstance(command, Done) and (
            starts or (question.is_closed and question.kind != "closing")
        ):
            return []
        if isinstance(command, More):
            if chosen(situation) is not None:
                return []
            command = direction(situation) or command
        return [] if edits.edits else [command]

    def _is_said_by_the_task(self) -> bool:
        """Tell whether the word that cancels belongs to a task ("cancel a booking" is one)."""
        view = next(t for t in self._situation.tasks if t.name == self._scored[0].task)
        cancels = self._situation.phrases.commands["cancel"]
        return any(first_phrase(phrase, cancels) is not None for phrase in view.phrases)

    # --- what answers the open question -------------------------------------------------------

    def _answered(self, edits: Edits) -> list[Command]:
        situation, said = self._situation, self._said
        question = situation.question
        if situation.offered or question.kind == "clarify":
            choice = chosen(situation)
            if choice is not None and not self._fills_asked(edits):
                return [choice]
        may_deny = question.kind == "clarify" and said is not None and said.polarity == "no"
        if not (question.is_closed or may_deny) or edits.edits or edits.commands:
            return []
        if said is None or (is_question(situation) and said.num_words == 0):
            return []
        if said.polarity == "yes":
            return [Affirm(slot=question.slot, p=said.p)]
        if self._started():
            return []
        return [Deny(slot=question.slot, p=said.p)]

    def _fills_asked(self, edits: Edits) -> bool:
        return any(slot.place in edits.places for slot in self._situation.asked)

    # --- what the user wants to know ----------------------------------------------------------

    def _asked(self, started: list[Command], edits: Edits) -> list[Command]:
        situation = self._situation
        if not is_question(situation):
            return []
        wanted = attribute_question(situation)
        if wanted is not None and not self._fills_asked(edits):
            return [wanted]
        if started or edits.edits:
            return []
        term = term_question(situation)
        if term is not None:
            return [term]
        further = direction(situation)
        if further is not None:
            return [further]
        documents = knowledge_question(situation)
        return [] if documents is None else [documents]

    # --- what the user tells ------------------------------------------------------------------

    def _told(self, started: list[Command], edits: Edits) -> list[Command]:
        situation = self._situation
        copies = copied(situation, edits.places)
        given: list[SlotEdit] = [*edits.edits, *copies]
        given += self._bool_answer({(e.task, e.slot) for e in given})
        filled = {(e.task, e.slot) for e in given}
        any_will_do = indifferent(situation, filled)
        if not any(isinstance(c, Unclear) for c in started):
            started = started or self._inferred(given)
        found: list[Command] = [
            *denied(situation, self._said, given),
            *started,
            *given,
            *edits.commands,
            *any_will_do,
        ]
        if found:
            return found
        further = direction(situation)
        return [] if further is None else [further]

    def _bool_answer(self, filled: set[tuple[str, str]]) -> list[SlotEdit]:
        """Return the value of a yes/no slot that an indirect answer gives."""
        if self._said is None:
            return []
        return [
            Set(
                slot=slot.name,
                task=slot.task,
                value=self._said.polarity == "yes",
                raw=self._situation.text,
                source=ValueSource.INFERRED,
                p=self._said.p,
            )
            for slot in self._situation.asked
            if slot.kind == "bool" and slot.place not in filled
        ]

    def _inferred(self, given: list[SlotEdit]) -> list[Command]:
        """Return the start of the only task whose slots were spoken of, where none is under way."""
        situation = self._situation
        tasks = list(dict.fromkeys(edit.task for edit in given))
        if situation.current_task or any(t.is_open for t in situation.tasks) or len(tasks) != 1:
            return []
        question = situation.question
        if question.kind == "intent" and question.task == tasks[0]:
            return [Affirm(p=INFERRED)]
        return [Start(task=tasks[0], p=INFERRED)]

    def _nothing(self) -> list[Command]:
        """Return what is left to say of a turn that no reading fits."""
        situation, said = self._situation, self._said
        polite = set(situation.phrases.polite)
        rest = [w for w in words_of(situation.text) if w.folded not in polite and w.folded != "!"]
        if not rest and situation.may_chat and not situation.question.slot:
            return [Chitchat(p=INFERRED)]
        if said is not None and situation.question.kind in {"closing", "intent"}:
            return [Affirm(p=said.p) if said.polarity == "yes" else Deny(p=said.p)]
        guesses = tuple(s.task for s in self._scored[:2] if s.score >= _GUESS)
        return [Unclear(guesses=guesses if len(guesses) > 1 else ())]
