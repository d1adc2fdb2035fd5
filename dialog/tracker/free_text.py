"""Where free text ends and other values begin: "window seat, and for 4 people".

The answer to a question for free text is cut into clauses. A clause belongs to the text, whole and
with all that looks like a value in it, unless most of what it says is said by values of other slots
and by their names; those take it then, and the text gets nothing of it. What stands in quotes, or
behind the slot's own name ("note: …"), is text in any case.

    window seat | and for 4 people            a note, and people = 4: no area "window"
    cake with 30 candles                      a note: 30 is nobody's
    quiet table on Friday at 7 for 4 people   one clause, mostly values: the rest of it is the text
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dialog.tracker.situation import Mention, Situation, SlotView
from dialog.tracker.words import Word, common_words, split, words_of

KINDS = frozenset({"text", "address"})
_CLAUSE_END = re.compile(r"[,;.!?](?=\s|$)|\n|\s(?=(?:and|but|und|aber|et|mais)\s)", re.IGNORECASE)
_IS = r"\s*(?::|\b(?:is|reads|says|ist|lautet|est)\b:?)\s*"
_BEFORE = r"^\W*(?:(?:a|an|the|my|and|with|ein|eine|die|der|meine|und|un|une|la|le|et)\s+)*"
_MARKS = frozenset({"?", "!"})
_QUOTED = 0.9
_LEAST_REST = 2
"""How many telling words the rest of a clause of values must have to be a text of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clause:
    start: int
    end: int
    is_text: bool


def named_texts(situation: Situation, slot: SlotView) -> list[tuple[int, int]]:
    """Return the spans of what is said for a text slot by its name: "note: no nuts"."""
    if slot.kind not in KINDS or slot.is_asked or not slot.is_free or not slot.words:
        return []
    found = []
    for start, end in _clauses(situation.text, 0, len(situation.text)):
        begin = _behind_name(situation.text, start, end, slot)
        if begin is not None and begin < end:
            found.append((begin, end))
    return found


def settled(
    situation: Situation, text: Mention, others: Sequence[Mention]
) -> tuple[Mention | None, list[Mention]]:
    """Return a free text cut to what is its own, None if nothing is, and the others' mentions left.

    `others` are the mentions of slots with values of a form.
    """
    source = situation.text
    if text.p >= _QUOTED:  # in quotes, or behind the slot's name
        return text, [m for m in others if not _overlap(m, text.start, text.end)]
    clauses = [
        _Clause(start=start, end=end, is_text=_is_text(situation, text.slot, start, end, others))
        for start, end in _clauses(source, text.start, text.end)
    ]
    runs = _runs(clauses)
    left = [m for m in others if not any(_overlap(m, a, b) for a, b in runs)]
    if not runs:
        return _rest(situation, text, left), left
    parts = [_without_lead(source, a, b, text.slot) for a, b in runs]
    parts = [(a, b) for a, b in parts if a < b]
    if not parts:
        return None, left
    start, end = max(parts, key=lambda part: part[1] - part[0])
    value = ", ".join(" ".join(source[a:b].split()) for a, b in parts)
    if len(parts) == 1 and (start, end) == (text.start, text.end):
        value = str(text.value)  # an address keeps its lines
    return replace(text, start=start, end=end, value=value), left


def _clauses(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Yield the spans of the clauses between two places, blanks at their ends cut off."""
    at = start
    for match in [*_CLAUSE_END.finditer(text, start, end), None]:
        stop = end if match is None else match.start()
        inner = text[at:stop]
        if inner.strip():
            yield at + len(inner) - len(inner.lstrip()), at + len(inner.rstrip())
        at = stop if match is None else match.end()


def _is_text(
    situation: Situation, slot: SlotView, start: int, end: int, others: Sequence[Mention]
) -> bool:
    """Tell whether a clause belongs to the text: by how much of it values of others say."""
    if _behind_name(situation.text, start, end, slot) is not None:
        return True
    inside = [m for m in others if _overlap(m, start, end)]
    names = {word for m in inside for phrase in m.slot.words for word in split(phrase)}
    num_said = num_other = 0
    for word in _words(situation.text, start, end):
        is_said = any(m.start < word.end and word.start < m.end for m in inside)
        if word.folded in common_words() and not word.folded.isdigit():
            continue
        num_said += is_said
        num_other += not is_said and word.folded not in names
    return num_other > 0 and num_other >= num_said


def _runs(clauses: Sequence[_Clause]) -> list[tuple[int, int]]:
    """Return the spans of clauses of text; those that follow each other are one."""
    runs: list[tuple[int, int]] = []
    was_text = False
    for clause in clauses:
        if clause.is_text and was_text:
            runs[-1] = (runs[-1][0], clause.end)
        elif clause.is_text:
            runs.append((clause.start, clause.end))
        was_text = clause.is_text
    return runs


def _rest(situation: Situation, text: Mention, others: Sequence[Mention]) -> Mention | None:
    """Return the longest part outside of the values where all clauses are of values."""
    inside = sorted((m.start, m.end) for m in others if _overlap(m, text.start, text.end))
    parts, at = [], text.start
    for start, end in [*inside, (text.end, text.end)]:
        parts.append(without_common_ends(_words(situation.text, at, start)))
        at = max(at, end)
    best = max(parts, key=len, default=[])
    telling = [w for w in best if w.folded not in common_words()]
    if len(telling) < (_LEAST_REST if inside else 1):
        return None
    start, end = best[0].start, best[-1].end
    return replace(text, start=start, end=end, value=" ".join(situation.text[start:end].split()))


def without_common_ends(words: list[Word]) -> list[Word]:
    """Return words without the common ones at both ends."""
    common = common_words()
    while words and words[0].folded in common:
        words = words[1:]
    while words and words[-1].folded in common:
        words = words[:-1]
    return words


def _without_lead(text: str, start: int, end: int, slot: SlotView) -> tuple[int, int]:
    behind = _behind_name(text, start, end, slot)
    if behind is not None:
        return behind, end
    lead = re.match(r"(?:and|but|und|aber|et|mais)\s+", text[start:end], re.IGNORECASE)
    return (start + lead.end() if lead else start), end


def _behind_name(text: str, start: int, end: int, slot: SlotView) -> int | None:
    """Return where a clause goes on behind the slot's own name and a colon or "is"; else None."""
    for name in slot.words[:1]:
        said = re.match(rf"{_BEFORE}{re.escape(name)}{_IS}", text[start:end], re.IGNORECASE)
        if said is not None:
            return start + said.end()
    return None


def _words(text: str, start: int, end: int) -> list[Word]:
    return [
        word
        for word in words_of(text)
        if start <= word.start and word.end <= end and word.folded not in _MARKS
    ]


def _overlap(mention: Mention, start: int, end: int) -> bool:
    return mention.start < end and start < mention.end
