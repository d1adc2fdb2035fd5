"""Yes and no, said straight or not: "that works for me", "I'd rather not"."""

from dataclasses import dataclass
from typing import Literal

from dialog.tracker.phrases import Phrases
from dialog.tracker.words import Word, find_phrase, first_phrase, split, words_of

DIRECT = 0.97
INDIRECT = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a closed question, and how many words of the turn it takes at its beginning."""

    polarity: Literal["yes", "no"]
    p: float
    num_words: int = 0


def answer(text: str, phrases: Phrases) -> Answer | None:
    """Return the yes or no that a turn begins with or implies; None if it has neither."""
    words = words_of(text)
    start = _behind_fillers(words, phrases)
    for polarity, said in (("no", phrases.no), ("yes", phrases.yes)):
        size = _longest_at(words, start, said)
        if size:
            other = phrases.no if polarity == "yes" else phrases.yes
            if _longest_at(words, start, other) > size:
                continue
            direct: Literal["yes", "no"] = "yes" if polarity == "yes" else "no"
            return Answer(polarity=direct, p=DIRECT, num_words=start + size)
    if first_phrase(text, phrases.indirect_no) is not None:
        return Answer(polarity="no", p=INDIRECT)
    if first_phrase(text, phrases.indirect_yes) is not None:
        return Answer(polarity="yes", p=INDIRECT)
    return None


def _behind_fillers(words: tuple[Word, ...], phrases: Phrases) -> int:
    """Return the first word that is no filler, as in "oh, well, yes"."""
    fillers = {word for phrase in phrases.polite for word in split(phrase)}
    answers = {split(phrase)[0] for phrase in (*phrases.yes, *phrases.no)}
    i = 0
    while i < len(words) and words[i].folded in fillers and words[i].folded not in answers:
        i += 1
    return i


def _longest_at(words: tuple[Word, ...], start: int, said: tuple[str, ...]) -> int:
    sizes = [
        len(parts)
        for phrase in said
        if find_phrase(words[start : start + len(parts := split(phrase))], parts, fuzzy=False)
    ]
    return max(sizes, default=0)
