"""Which words give which slot a value: all readings of all slot types, divided among the slots.

Every type reads the whole text. A reading then competes for its words with those of other slots:
by whether the slot is asked for, whether its name or a fitting preposition stands before the words,
and by the length of the span. No two values share a word.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dialog.slot_types.base import Candidate
from dialog.task.commands import Alternative
from dialog.tracker.free_text import KINDS, named_texts, settled, without_common_ends
from dialog.tracker.questions import is_question
from dialog.tracker.situation import Mention, Situation, SlotView
from dialog.tracker.steering import language
from dialog.tracker.words import Word, common_words, find_phrase, split, words_of

ASKED = 1.0
NAMED = 0.8
ROLE = 0.7
CURRENT = 0.3
EMPTY = 0.2
PER_CHAR = 0.01
ORDER = 0.01

_LOOSE = frozenset({"text", "person", "address", "bool", "regex", "open"})
"""Types that read nearly anything: only where they are asked for or named."""
_FREE = frozenset({"text", "person", "address", "open"})
_MARKS = frozenset({"?", "!"})
_NUMBERS = frozenset({"integer", "number", "percent", "money"})
_ENDS = frozenset({"from", "to", "arrive", "leave"})
_EDGES = {"from": "start", "until": "end", "to": "end"}
_NEAR = 4
_DOUBTFUL = 0.8
_INTRODUCED = 0.95  # "my name is …"


def mentions(situation: Situation, slots: Iterable[SlotView]) -> list[Mention]:
    """Return what the words say about some slots, in the order of the words."""
    slots = list(slots)
    words = words_of(situation.text)
    found = [
        mention
        for slot in slots
        for candidate in slot.type.parse(situation.text, slot.context)
        if (mention := _weighed(situation, slot, candidate, words)) is not None
    ]
    found += [_named(slot, *span, situation.text) for slot, span in _named_spans(situation, slots)]
    return sorted(_divided(_yielding(situation, found)), key=lambda m: (m.start, m.slot.order))


def _named_spans(
    situation: Situation, slots: Sequence[SlotView]
) -> Iterator[tuple[SlotView, tuple[int, int]]]:
    for slot in slots:
        for span in named_texts(situation, slot):
            yield slot, span


def _named(slot: SlotView, start: int, end: int, text: str) -> Mention:
    value = " ".join(text[start:end].split())
    score = _INTRODUCED + NAMED + PER_CHAR * (end - start)
    return Mention(slot=slot, start=start, end=end, value=value, p=_INTRODUCED, score=score)


def _weighed(
    situation: Situation, slot: SlotView, candidate: Candidate, words: Sequence[Word]
) -> Mention | None:
    if candidate.p <= _DOUBTFUL and _is_common(situation.text[candidate.start : candidate.end]):
        return None
    if slot.kind in _FREE and (is_question(situation) or language(situation) is not None):
        return None  # who asks something, or for a language, does not answer in free words
    first = next((i for i, word in enumerate(words) if word.end > candidate.start), len(words))
    last = next((i for i, word in enumerate(words) if word.start >= candidate.end), len(words))
    named = _is_named(slot, words, first, last)
    role = candidate.role or _role_before(situation, words, first, slot)
    if slot.edge and role in _EDGES:  # "from Friday to Sunday"
        fits = _EDGES[role] == slot.edge
        clashes = not fits and not named
    else:
        fits = bool(slot.role) and role == slot.role
        clashes = bool(slot.role and role) and role in _ENDS and role != slot.role and not named
    may = _may_volunteer(
        situation, slot, candidate.p, named=named or fits or candidate.role == "relative"
    )
    if not slot.is_asked and not may:
        return None
    score = candidate.p + PER_CHAR * (candidate.end - candidate.start) - ORDER * slot.order
    score += ASKED * slot.is_asked + NAMED * named + ROLE * fits - ROLE * clashes
    score += CURRENT * slot.is_current + EMPTY * (not slot.is_answered)
    return Mention(
        slot=slot,
        start=candidate.start,
        end=candidate.end,
        value=candidate.value,
        p=_probability(candidate, slot, is_backed=named or fits, clashes=clashes),
        score=score,
        alternatives=tuple(
            Alternative(value=value, p=candidate.p / 2) for value in candidate.ambiguous_with
        ),
        violation="" if candidate.violation is None else candidate.violation.kind.value,
        is_negated=candidate.is_negated or _is_negated(situation, words, first),
        is_relative=candidate.role == "relative",
    )


def _is_common(text: str) -> bool:
    """Tell whether words are all common ones, which are no slip of a value's name."""
    return set(split(text)) <= common_words()


def _may_volunteer(situation: Situation, slot: SlotView, p: float, *, named: bool) -> bool:
    """Tell whether a slot takes words that nobody asked for; a number only in a correction."""
    if not slot.is_free:
        return False
    if slot.kind in _LOOSE:
        return named or (slot.kind == "person" and p >= _INTRODUCED)
    return named or slot.kind not in _NUMBERS or not slot.is_answered or situation.corrects


def _probability(candidate: Candidate, slot: SlotView, *, is_backed: bool, clashes: bool) -> float:
    """Return how sure it is that these words mean this value of this slot, before calibration."""
    p = candidate.p
    if candidate.ambiguous_with:
        p = min(p, 1 / (1 + len(candidate.ambiguous_with)))
    if slot.kind in _NUMBERS and not (slot.is_asked or is_backed):
        p *= 0.8
    if clashes:
        p *= 0.5
    return p


def _is_named(slot: SlotView, words: Sequence[Word], first: int, last: int) -> bool:
    near = words[max(0, first - _NEAR) : min(len(words), last + 2)]
    return any(find_phrase(near, split(phrase)) for phrase in slot.words)


def _role_before(situation: Situation, words: Sequence[Word], first: int, slot: SlotView) -> str:
    """Return the role that the words just before give, of those a slot of this kind may have."""
    roles = ("from", "to") if slot.role in {"from", "to"} else ("arrive", "leave")
    best, best_size = "", 0
    for role in roles:
        for phrase in situation.phrases.roles.get(role, ()):
            size = len(split(phrase))
            before = words[max(0, first - size) : first]
            if size > best_size and find_phrase(before, split(phrase), fuzzy=False):
                best, best_size = role, size
    return best


def _is_negated(situation: Situation, words: Sequence[Word], first: int) -> bool:
    """Tell whether a negation stands just before: "not Italian", "anything but a hotel"."""
    for phrase in situation.phrases.negation:
        size = len(split(phrase))
        if phrase in situation.phrases.no:  # "no, Italian" denies something else
            continue
        for gap in (0, 1):
            stop = first - gap
            before = words[max(0, stop - size) : stop]
            if len(before) == size and find_phrase(before, split(phrase), fuzzy=False):
                return True
    return False


def _yielding(situation: Situation, found: Sequence[Mention]) -> list[Mention]:
    """Return the mentions with free text cut where a stricter type reads a part of it.

    "Zurich, on Friday" is a text and a date, "an hour later" no text at all.
    """
    kept = [m for m in found if m.slot.kind not in _FREE]
    introduced = [m for m in found if m.slot.kind == "person" and m.p >= _INTRODUCED]
    for whole in (m for m in found if m.slot.kind in KINDS):
        formed = [m for m in kept if m.slot.kind not in _LOOSE]
        mine, left = settled(situation, whole, [*formed, *introduced])
        if mine is not None and not _is_common(situation.text[mine.start : mine.end]):
            kept = [m for m in kept if m.slot.kind in _LOOSE or m in left]
            kept.append(mine)
    strict = [m for m in kept if m.slot.kind not in _LOOSE and m.p >= _DOUBTFUL]
    for loose in (m for m in found if m.slot.kind in _FREE - KINDS):
        inside = [m for m in strict if loose.start < m.end and m.start < loose.end]
        if not inside:
            kept.append(loose)
            continue
        start, end = _rest(situation.text, loose, inside)
        text = situation.text[start:end]
        if _is_common(text):
            continue
        kept += [
            replace(loose, start=start + c.start, end=start + c.end, value=c.value, p=c.p)
            for c in loose.slot.type.parse(text, loose.slot.context)[:1]
        ]
    return kept


def _rest(text: str, loose: Mention, inside: Sequence[Mention]) -> tuple[int, int]:
    """Return the longest part of a mention outside of others, common words at its ends cut off."""
    edges = [loose.start, *sorted(x for m in inside for x in (m.start, m.end)), loose.end]
    parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    words = [
        [w for w in words_of(text) if a <= w.start and w.end <= b and w.folded not in _MARKS]
        for a, b in parts
    ]
    cut = [without_common_ends(part) for part in words]
    best = max(cut, key=len, default=[])
    return (best[0].start, best[-1].end) if best else (loose.start, loose.start)


def _divided(found: Sequence[Mention]) -> list[Mention]:
    """Return the best mention for all words and slots; a slot of many takes several."""
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda m: (-m.score, m.start, m.slot.order)):
        taken = any(mention.start < other.end and other.start < mention.end for other in kept)
        is_full = not mention.slot.is_many and any(
            other.slot.place == mention.slot.place and not other.is_negated for other in kept
        )
        if not taken and not is_full:
            kept.append(mention)
    return kept
