"""Slot types for corpora, whose values are spellings and not canonical values.

SGD keeps the words that were said ("8 pm", "March 14th"), MultiWOZ a clock of 24 hours and digits.
Names come from tables, from closed lists, and from own lists; never from labels.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.tracker.words import find_phrase, split, words_of

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_NTH = r"\d{1,2}(?:st|nd|rd|th)"
_COUNT = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2})"
_PART = r"(?:in the )?(?:morning|afternoon|evening|night)|at night"
DATES = re.compile(
    rf"\b(?:(?:the )?{_NTH} of (?:{_MONTH}|this month|next month)"
    rf"|{_MONTH} (?:{_NTH}|\d{{1,2}})\b(?!:)|\d{{1,2}} {_MONTH}"
    rf"|{_WEEKDAY} (?:next|this) week|(?:next|this|coming) {_WEEKDAY}|{_WEEKDAY}"
    rf"|(?:the )?day after tomorrow|tomorrow|today|later today|(?:the )?{_NTH}\b(?! of)"
    r"|(?:next|this) (?:week|month)|\d{4}-\d{2}-\d{2})\b",
    re.IGNORECASE,
)
TIMES = re.compile(
    rf"\b(?:(?:half past|quarter past|quarter to|a quarter past|a quarter to) {_COUNT}"
    rf"(?: (?:am|pm|a\.m\.|p\.m\.|{_PART}|o'clock))?"
    rf"|(?:morning|afternoon|evening|night)(?: at)? \d{{1,2}}(?::\d{{2}})?"
    rf"|\d{{1,2}}[:.]\d{{2}}(?: ?(?:am|pm|a\.m\.|p\.m\.|{_PART}))?"
    rf"|{_COUNT}(?: o'clock)? ?(?:am|pm|a\.m\.|p\.m\.|o'clock|{_PART})(?: {_PART})?"
    r"|noon|midnight)(?=\W|$)",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"\$ ?[\d,]+(?:\.\d+)?|\b[\d,]+(?:\.\d+)? (?:dollars|bucks|pounds|euros?)\b", re.IGNORECASE
)
NUMBERS = re.compile(rf"\b{_COUNT}\b(?![- ]way)", re.IGNORECASE)

_RUN = re.compile(
    r"(?:(?<=[^.?!\s] )|(?<=^)|(?<=[.?!] ))[A-Z0-9][\w'&.-]*"
    r"(?: (?:[A-Z0-9][\w'&-]*|of|the|and|at|de|la|&|in)(?=\W|$)){0,6}"
)
_FIRST = frozenset(
    split(
        "i i'm i'd i'll yes no ok okay please what when where which who how can could do does is"
        " are find show book get the a an my me for from to in on at it that this would yeah sure"
        " actually hi hello hey and also there any some thanks thank great good let if we search"
        " make check nope reserve play transfer add set tell you yep will anything something not"
        " just so"
    )
)
_TAIL = re.compile(r"(?: (?:of|the|and|at|de|la|&|in))+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanType:
    """Spans that a pattern finds, as they stand in the text."""

    name: str
    pattern: re.Pattern[str]
    p: float = 0.85

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the spans by their place."""
        del context
        return [
            Candidate(start=m.start(), end=m.end(), value=m.group(), p=self.p)
            for m in self.pattern.finditer(text)
        ]

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the words."""
        del locale
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the words."""
        del context
        return str(value), None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockType(SpanType):
    """Times of day as "HH:MM" of 24 hours."""

    name: str = "time"
    pattern: re.Pattern[str] = TIMES

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the times; an hour alone only with am, pm or o'clock."""
        del context
        found = []
        for m in self.pattern.finditer(text):
            value = _clock(m.group().lower())
            if value:
                found.append(Candidate(start=m.start(), end=m.end(), value=value, p=self.p))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenType(SpanType):
    """Names that no list holds: runs of capitalised words, where the text has any."""

    name: str = "open"
    pattern: re.Pattern[str] = _RUN
    p: float = 0.6

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the runs; a word that only begins a sentence is left out."""
        del context
        found = []
        for m in self.pattern.finditer(text):
            start, run = m.start(), m.group()
            while (
                run
                and split(run.split(" ", maxsplit=1)[0] or ".")[:1]
                and (split(run.split(" ", maxsplit=1)[0])[0] in _FIRST)
            ):
                _, _, rest = run.partition(" ")
                start += len(run) - len(rest)
                run = rest
            run = _TAIL.sub("", run).rstrip(".")
            if run and run[0].isalpha() and run[0].isupper():
                found.append(Candidate(start=start, end=start + len(run), value=run, p=self.p))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedType(SpanType):
    """Yes-or-no slots, set by speaking of what they are about; `yes` and `no` are their values."""

    name: str = "flag"
    pattern: re.Pattern[str] = NUMBERS
    phrases: tuple[str, ...] = ()
    yes: str = "True"
    no: str = "False"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return yes where a phrase stands, no where a negation stands close before it."""
        del context
        words = words_of(text)
        found = []
        for phrase in self.phrases:
            for first, last in find_phrase(words, split(phrase)):
                before = [w.folded for w in words[max(0, first - 4) : first]]
                negated = any(w in {"no", "not", "without", "don't", "n't"} for w in before)
                found.append(
                    Candidate(
                        start=words[first].start,
                        end=words[last - 1].end,
                        value=self.no if negated else self.yes,
                        p=self.p,
                    )
                )
        return found


def digits(values: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the names of values, number words among them."""
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return {
        value: (words[int(value)],) if value.isdigit() and int(value) < len(words) else ()
        for value in values
    }


def _clock(text: str) -> str:
    numbers = re.findall(r"\d+", text)
    if text in ("noon", "midnight"):
        return "12:00" if text == "noon" else "00:00"
    if not numbers:
        return ""
    hour, minute = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0
    if "half past" in text:
        minute = 30
    elif "quarter past" in text:
        minute = 15
    elif "quarter to" in text:
        hour, minute = hour - 1, 45
    is_late = any(word in text for word in ("pm", "p.m", "afternoon", "evening", "night"))
    if is_late and hour < 12:
        hour += 12
    if ("am" in text or "a.m" in text or "morning" in text) and hour == 12:
        hour = 0
    return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else ""
