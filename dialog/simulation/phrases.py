"""What people say, by language: carriers for the values that the slot types put into words."""

from collections.abc import Mapping, Sequence
from typing import Final

Phrases = Mapping[str, Sequence[str]]

ENGLISH: Final[Phrases] = {
    "start": (
        *("I want to {about}", "I would like to {about}", "can you help me {about}?"),
        *("I'd like to {about} please", "please {about}"),
    ),
    "yes": ("yes", "yes please", "that's right", "correct", "yes, that is right"),
    "no": ("no", "no thanks", "no, thank you"),
    "done": ("that's all, thank you", "no, that's all", "nothing else, thanks", "no thanks, bye"),
    "more": ("what else do you have?", "show me more", "something else please", "any others?"),
    "any": ("I don't care", "any is fine", "it doesn't matter", "I don't mind"),
    "skip": ("skip that", "I'd rather not say", "no, skip this one"),
    "cancel": ("forget it", "cancel that please", "never mind, cancel it"),
    "handoff": ("I want to talk to a person", "can I speak to somebody, please"),
    "repeat": ("can you repeat that?", "sorry, what did you say?"),
    "why": ("why do you need that?", "why do you ask?"),
    "language": ("auf Deutsch bitte",),
    "knowledge": (
        *(
            "what do you know about {query}?",
            "what about {query}?",
            "I have a question about {query}",
        ),
        *("can you tell me about {query}?",),
    ),
    "bare": ("{value}", "{value} please", "{value}, please"),
    "bare.date": ("{value}", "on {value}", "{value} please"),
    "bare.time": ("{value}", "at {value}", "at {value} please"),
    "bare.person": ("{value}", "my name is {value}", "{value}, please"),
    "bare.email": ("{value}", "it's {value}", "my email is {value}"),
    "bare.phone": ("{value}", "it's {value}", "my number is {value}"),
    "bare.text": ("{value}",),
    "bare.address": ("{value}",),
    "also": ("the {label} is {value}",),
    "also.date": ("on {value}",),
    "also.time": ("at {value}",),
    "also.integer": ("{value} {label}",),
    "also.person": ("the name is {value}",),
    "also.email": ("my email is {value}",),
    "also.phone": ("my number is {value}",),
    "change": (
        *("no, the {label} is {value}", "actually, the {label} should be {value}"),
        *("sorry, change the {label} to {value}",),
    ),
    "choose": ("the {ordinal} one", "{name}", "I'll take {name}", "the {ordinal} one please"),
}
GERMAN: Final[Phrases] = {
    "start": ("ich möchte {about}",),
    "yes": ("ja", "ja bitte", "genau", "das stimmt"),
    "no": ("nein", "nein danke"),
    "done": ("das ist alles, danke", "nein, das war alles", "das war's"),
    "more": ("was haben Sie noch?", "zeig mir mehr", "andere Möglichkeiten?"),
    "any": ("egal", "das ist mir egal"),
    "skip": ("überspringen", "das möchte ich nicht sagen"),
    "cancel": ("vergessen Sie es", "abbrechen bitte"),
    "handoff": ("ich möchte mit einem Menschen sprechen",),
    "repeat": ("wie bitte?", "noch einmal bitte"),
    "why": ("warum fragen Sie das?", "wozu brauchen Sie das?"),
    "language": ("in English please",),
    "knowledge": ("was wissen Sie über {query}?",),
    "bare": ("{value}", "{value} bitte"),
    "bare.date": ("{value}", "am {value}"),
    "bare.time": ("um {value}",),
    "bare.person": ("{value}", "mein Name ist {value}"),
    "bare.text": ("{value}",),
    "bare.address": ("{value}",),
    "also": ("{label} {value}",),
    "also.date": ("am {value}",),
    "also.time": ("um {value}",),
    "change": ("nein, {label} {value}", "doch lieber {value}"),
    "choose": ("{name}", "ich nehme {name}"),
}
LANGUAGES: Final[Mapping[str, Phrases]] = {"en": ENGLISH, "de": GERMAN}
ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")


def phrases_of(locale: str) -> Phrases:
    """Return the phrases of a language, English ones where there are none."""
    return LANGUAGES.get(locale.split("-", maxsplit=1)[0], ENGLISH)
