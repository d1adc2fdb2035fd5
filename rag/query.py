"""A user turn as a query that stands on its own.

Rules, no model. A follow-up that leans on what was said ("and why is that?") takes the previous
question along, or the subject of the dialogue where that is known; anything else is searched as it
stands, so that a new subject is not blurred by the old one.
"""

import re
from collections.abc import Sequence

_LEANING = frozenset(
    [
        *("it", "its", "they", "them", "their", "theirs", "this", "that", "these", "those"),
        *("he", "him", "his", "she", "her", "hers", "one", "ones", "former", "latter", "same"),
        *("there", "then"),
    ]
)
_CONTINUING = re.compile(
    r"^\s*(?:and|or|but|so|then|also|what about|how about|why not|why|when|for example|an example"
    r"|really|more|else|go on|tell me more|explain|example)\b",
    re.IGNORECASE,
)
_FURTHER = frozenset(
    [*("other", "others", "another", "else", "more", "further", "besides", "instead"), "also"]
)
_POSSESSIVE = frozenset(["his", "its", "their", "theirs", "hers"])
_PRONOUN = re.compile(r"\b(?:he|she|they|it|him|them|his|her|its|their)\b", re.IGNORECASE)
_REMARK = re.compile(r"\s*\([^)]*\)\s*$")  # "Pinhead (Hellraiser)"
_WORD = re.compile(r"[^\W\d_][\w']*")
_FEW_WORDS = 4
_SHORT = 9
_LONG = 20


def standalone_query(question: str, earlier_questions: Sequence[str]) -> str:
    """Return what to search for: the question, with the one before it where it leans on that."""
    if not earlier_questions or not _leans(question):
        return question
    return f"{earlier_questions[-1]} {question}"


def _leans(question: str) -> bool:
    if is_fragment(question):
        return True
    words = [word.lower() for word in _WORD.findall(question)]
    return len(words) <= _SHORT and not _LEANING.isdisjoint(words)


def about(question: str, subject: str) -> str:
    """Return what to search for where the dialogue's subject is known (`rag.subject`).

    On CANARD the question with the subject finds the answer more than twice as often as the
    question alone; earlier questions beside it only blur it.
    """
    return f"{question} {subject}" if subject and refers_back(question) else question


def spelled_out(question: str, subject: str) -> str:
    """Return the question with its first pronoun replaced by the subject, for people to read."""
    name = _REMARK.sub("", subject)
    if not name:
        return question
    own = f"{name}'" if name.endswith("s") else f"{name}'s"
    return _PRONOUN.sub(lambda m: own if m[0].lower() in _POSSESSIVE else name, question, count=1)


def is_fragment(question: str) -> bool:
    """Tell whether a question is a few words that go on from the one before ("and why?")."""
    return len(_WORD.findall(question)) <= _FEW_WORDS and bool(_CONTINUING.match(question))


def refers_back(question: str) -> bool:
    """Tell whether a question leaves its subject, or what it is more of, to the turns before."""
    if is_fragment(question):
        return True
    words = [word.lower() for word in _WORD.findall(question)]
    return len(words) <= _LONG and not (_LEANING | _FURTHER).isdisjoint(words)
