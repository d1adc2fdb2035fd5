"""A user turn as a query that stands on its own.

A rule, no model: a follow-up that leans on what was said ("and why is that?") takes the previous
question along; anything else is searched as it stands, so that a new subject is not blurred by the
old one.
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
_WORD = re.compile(r"[^\W\d_][\w']*")
_FEW_WORDS = 4
_SHORT = 9


def standalone_query(question: str, earlier_questions: Sequence[str]) -> str:
    """Return what to search for: the question, with the one before it where it leans on that."""
    if not earlier_questions or not _leans(question):
        return question
    return f"{earlier_questions[-1]} {question}"


def _leans(question: str) -> bool:
    words = [word.lower() for word in _WORD.findall(question)]
    if len(words) <= _FEW_WORDS and _CONTINUING.match(question):
        return True
    return len(words) <= _SHORT and not _LEANING.isdisjoint(words)
