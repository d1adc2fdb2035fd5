"""What a slot is called, and which of several like slots it is, by its name and description."""

from collections.abc import Iterable

from dialog.tracker.phrases import idle_words
from dialog.tracker.words import split

_ROLES = {
    "from": ("from", "origin", "departure", "depart", "source", "pickup", "leaving", "abfahrt"),
    "to": ("to", "destination", "dropoff", "arrival", "ziel", "going"),
    "arrive": ("arrive", "arriveby", "arrival", "ankunft", "dropoff", "until", "end", "checkout"),
    "leave": ("leave", "leaveat", "departure", "depart", "pickup", "start", "outbound", "leaving"),
}
_PLACES = {"text", "entity", "choice", "address", "open"}


def slot_words(name: str, about: str = "", examples: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the phrases by which a user may name the slot, the most specific first.

    Its name with spaces, and the words of its description that say something.
    """
    spaced = " ".join(split(_apart(name)))
    telling = [w for w in split(about) if w not in idle_words() and len(w) > 2 and w.isalpha()]
    single = [w for w in split(spaced) if w not in idle_words() and len(w) > 2]
    return tuple(dict.fromkeys([spaced, *single, *telling[:4], *examples]))


def slot_role(name: str, about: str, kind: str) -> str:
    """Return which end of a journey or a period a slot is, "" for none.

    A place is "from" or "to", a time "arrive" or "leave"; the name decides, then the description.
    """
    roles = ("from", "to") if kind in _PLACES else ("arrive", "leave")
    for text in (_apart(name), about):
        words = split(text)
        for word in words:
            for role in roles:
                if word in _ROLES[role]:
                    return role
    return ""


def _apart(name: str) -> str:
    """Return `leaveAt` and `check_in` as separate words."""
    return "".join(f" {c}" if c.isupper() else c for c in name).replace("_", " ")
