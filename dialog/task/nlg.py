"""From acts to words: templates and variants, no sentence twice, every value in it.

Which variant is said follows from the state alone, so that a replay says the same. The words are
checked: a text that lacks a value of its act is never sent (slot error rate 0).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Protocol

from dialog.bot.definition import BotDefinition
from dialog.task.act_words import ActWords, Wording, holds
from dialog.task.acts import QUESTIONS, Act, ActName, Decision
from dialog.task.buttons import buttons_of
from dialog.task.canonical import digest
from dialog.task.commands import JSON
from dialog.task.events import BotUttered
from dialog.task.phrases.catalogue import phrase
from dialog.task.state import DialogState

_MAX_COMBINATIONS: Final = 64
_LEAST_TRIES_FOR_EXAMPLES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is said, and by which templates and variants."""

    text: str
    templates: tuple[str, ...] = ()
    variants: tuple[int, ...] = ()
    buttons: tuple[JSON, ...] = ()
    rephrased_from: str = ""
    values: tuple[str, ...] = ()  # the words that any rewording must keep

    def event(self, message_id: str, decision: Decision) -> BotUttered:
        """Return what is recorded: these words for the acts that were decided."""
        return BotUttered(
            message_id=message_id,
            text=self.text,
            acts=decision.acts,
            templates=self.templates,
            variants=self.variants,
            buttons=self.buttons,
            rule=decision.rule,
            lost=decision.lost,
            rephrased_from=self.rephrased_from,
        )


class NLG(Protocol):
    """Words acts."""

    def say(self, bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> Utterance:
        """Return the words for the acts of one turn."""
        ...


class TemplateNLG:
    """Words from the bot file and the built-in phrases."""

    def say(self, bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> Utterance:
        """Return the words for the acts of one turn; the first variant that was not yet said."""
        is_repeat = any(notice.kind == "repeat" for notice in state.notices)
        if is_repeat and tuple(acts) == state.last_acts and state.last_text:
            return Utterance(text=state.last_text, buttons=buttons_of(bot, state, acts))
        words = ActWords(bot, state)
        wordings = [words.of(act) for act in acts]
        values = tuple(value for wording in wordings for value in wording.values)
        first: Utterance | None = None
        for parts, variants in _candidates(state, acts, wordings):
            text = _joined(parts)
            found = Utterance(
                text=text,
                templates=tuple(wording.template for wording in wordings),
                variants=variants,
                buttons=buttons_of(bot, state, acts),
                values=values,
            )
            first = first or found
            if digest(text) not in state.said:
                break
        else:
            found = first or Utterance(text="")
        found = _greeted(bot, state, acts, found)
        assert holds(found.text, values), f"{found.text!r} lacks one of {values}"
        return found


def _candidates(
    state: DialogState, acts: Sequence[Act], wordings: Sequence[Wording]
) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Yield the parts of the text in the order of preference: the next variants, then others.

    The last act changes fastest, as it is mostly the question; a question that is put again has a
    few words before it that say so.
    """
    starts = [state.variants.get(wording.template, 0) for wording in wordings]
    ranges = [range(len(wording.variants)) for wording in wordings]
    is_put_again = bool(acts) and acts[-1].tries > 0 and acts[-1].name in QUESTIONS
    leads = phrase(state.locale, "again")
    order = range(1, len(leads)) if is_put_again and len(acts) == 1 else range(len(leads))
    count = 0
    for lead in order:
        for offsets in product(*ranges):
            picks = tuple(
                (start + offset) % len(wording.variants)
                for start, offset, wording in zip(starts, offsets, wordings, strict=True)
            )
            parts = [w.variants[pick] for w, pick in zip(wordings, picks, strict=True)]
            if lead and parts and acts[-1].name in QUESTIONS:
                parts[-1] = leads[lead] + _small(parts[-1])
            yield parts, picks
            count += 1
            if count >= _MAX_COMBINATIONS * (lead + 1):
                break


def _small(text: str) -> str:
    """Return a sentence as it goes on after a colon; names and "I" keep their capitals."""
    first = text.split(" ", 1)[0]
    if first in ("I", "I'm") or (len(first) > 1 and first[1:] != first[1:].lower()):
        return text
    return text[:1].lower() + text[1:] if first in _SENTENCE_STARTS else text


_SENTENCE_STARTS: Final = frozenset(
    {
        *("Which", "What", "How", "At", "On", "When", "From", "For", "Under", "Whose", "Is", "So"),
        *("To", "Let", "Did", "Do", "Would", "Shall", "Could", "Of", "Anything", "Can", "We"),
        *("Tell", "There", "Here", "You", "Back", "Has"),
    }
)


def _joined(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part).strip()


def _greeted(
    bot: BotDefinition, state: DialogState, acts: Sequence[Act], said: Utterance
) -> Utterance:
    """Return the utterance with a greeting before it where the conversation begins with it."""
    is_first = not state.is_greeted and bot.conversation.greet
    names = {act.name for act in acts}
    if not is_first or not names or names & {ActName.HANDOFF, ActName.GOODBYE}:
        return said
    key = "welcome"
    act = Act(name=ActName.INFORM, key=key)
    wording = ActWords(bot, state).of(act)
    return replace(
        said,
        text=_joined([wording.variants[0], said.text]),
        templates=(wording.template, *said.templates),
        variants=(0, *said.variants),
    )


def one_moment(bot: BotDefinition, state: DialogState) -> str:
    """Return what a channel says while a reply takes long; it is not recorded, as no turn is."""
    wording = ActWords(bot, state).of(Act(name=ActName.HOLD, key="one_moment"))
    return wording.variants[0]
