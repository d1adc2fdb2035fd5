"""Questions of the user: about an attribute of an entity, a term, or for the documents."""

from dialog.slot_types.base import JsonValue
from dialog.task.commands import Ask, Command, Knowledge, What
from dialog.tracker.situation import Situation
from dialog.tracker.words import find_phrase, first_phrase, split, words_of

_ASK = 0.9
_WHAT = 0.85
_KNOWLEDGE = 0.7
_MAX_WORDS = 24


def is_question(situation: Situation) -> bool:
    """Tell whether the turn is put as a question: by its mark, or by how it begins."""
    words = words_of(situation.text)
    if not words:
        return False
    if words[-1].folded == "?":
        return True
    fillers = set(situation.phrases.polite)
    start = next((i for i, w in enumerate(words) if w.folded not in fillers), 0)
    begins = {start, 0}
    return any(
        find_phrase(words[i : i + len(parts)], parts, fuzzy=False)
        for i in begins
        for phrase in situation.phrases.question
        for parts in (split(phrase),)
    )


def asks_to_know(situation: Situation) -> bool:
    """Tell whether a question asks for an answer, and not for a deed ("can you cancel it?")."""
    if not is_question(situation):
        return False
    fillers = set(situation.phrases.polite)
    words = [w.folded for w in words_of(situation.text)]
    first = next((w for w in words if w not in fillers or w in ("is", "are")), "")
    return first not in situation.phrases.request


def attribute_question(situation: Situation) -> Ask | None:
    """Return the attribute that is asked for; the longest name that the words hold."""
    words = words_of(situation.text)
    best, size = "", 0
    for column, names in situation.attributes.items():
        for name in names:
            parts = split(name)
            if len(" ".join(parts)) > size and find_phrase(words, parts):
                best, size = column, len(" ".join(parts))
    if not best:
        return None
    return Ask(attribute=best, entity=_entity(situation), p=_ASK)


def term_question(situation: Situation) -> What | None:
    """Return the term of the glossary that is asked about."""
    found = first_phrase(situation.text, situation.terms)
    return None if found is None else What(term=found.phrase, p=_WHAT)


def knowledge_question(situation: Situation) -> Command | None:
    """Return the question as one for the documents, if there are any; at most 24 words of it."""
    if not situation.has_knowledge:
        return None
    words = words_of(situation.text)
    stop = words[min(len(words), _MAX_WORDS) - 1].end
    return Knowledge(query=situation.text[:stop].strip(), p=_KNOWLEDGE)


def _entity(situation: Situation) -> JsonValue:
    found = first_phrase(situation.text, situation.entities)
    return None if found is None else situation.entities[found.phrase]
