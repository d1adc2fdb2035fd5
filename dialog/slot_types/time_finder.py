"""Spans of a text that mean a time of day.

An hour from 1 to 12 without "am", "pm" or a part of the day has two readings. "Half eight" is 8:30
in English and 7:30 in German.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache

from dialog.slot_types.base import TextContext
from dialog.slot_types.calendar_words import (
    known_language,
    number_pattern,
    read_number,
    read_unit,
    small_numbers,
    unit_pattern,
)
from dialog.slot_types.moments import read_time

_HALF_DAY = 12
_DAY_MINUTES = 1_440


@dataclass(frozen=True, slots=True)
class FoundTime:
    """A span that means a time of day, with its readings, the likelier first."""

    start: int
    end: int
    readings: tuple[time, ...]
    p: float = 1.0
    is_relative: bool = False


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], TextContext, str], FoundTime | None]]

_PARTS = {
    "en": {
        "am": r"a\.?m\b\.?|in the morning|this morning|tomorrow morning",
        "pm": r"p\.?m\b\.?|in the (?:afternoon|evening)|at night|tonight|this (?:afternoon|evening)"
        r"|tomorrow (?:afternoon|evening|night)",
    },
    "de": {
        "am": r"morgens|früh|vormittags|am (?:morgen|vormittag)",
        "pm": r"nachmittags|abends|nachts|am (?:nachmittag|abend)|heute abend",
    },
    "fr": {
        "am": r"du matin|le matin|ce matin",
        "pm": r"du soir|de l'après-midi|ce soir|le soir|cet après-midi",
    },
}
_FIXED = {
    "en": {"noon": time(12), "midday": time(12), "midnight": time(0)},
    "de": {"mittags?": time(12), "mitternachts?": time(0)},
    "fr": {"midi": time(12), "minuit": time(0)},
}
_AT = {
    "en": r"at|by|around|about|for|from|until|till|before|after|make it",
    "de": r"um|gegen|ab|bis|vor|nach",
    "fr": r"à|vers|dès|pour",
}


def find_times(text: str, context: TextContext) -> list[FoundTime]:
    """Return the times of day of a text in their order; a longer span hides those inside of it."""
    language = known_language(context.locale)
    plain = text.replace("\u2019", "'")
    found = []
    for pattern, read in _rules(language):
        for match in pattern.finditer(plain):
            one = read(match, context, language)
            if one is not None:
                found.append(_with_part(plain, one, language))
    kept: list[FoundTime] = []
    for one in sorted(found, key=lambda f: (f.start - f.end, f.start)):
        if all(one.end <= k.start or k.end <= one.start for k in kept):
            kept.append(one)
    return sorted(kept, key=lambda f: f.start)


@lru_cache(maxsize=4)
def _rules(language: str) -> tuple[_Rule, ...]:
    number, unit = number_pattern(language), unit_pattern(language)
    hours = "|".join(
        w
        for w, n in sorted(small_numbers(language).items(), key=lambda x: -len(x[0]))
        if n == int(n) and 1 <= n <= 24 and " " not in w
    )
    hour = rf"(?:\d{{1,2}}|{hours})"
    fixed = "|".join(_FIXED[language])
    clock = {
        "en": r"(?<![\d.:/,])(?P<h>\d{1,2})(?P<sep>[:.])(?P<m>[0-5]\d)(?::[0-5]\d)?(?![\d:/%]"
        r"|\.\d)",
        "de": r"(?<![\d.:/,])(?P<h>\d{1,2})(?P<sep>[:.])(?P<m>[0-5]\d)(?::[0-5]\d)?"
        r"(?P<uhr>\s*uhr\b)?(?![\d:/%]|\.\d)",
        "fr": r"(?<![\d.:/,])(?P<h>\d{1,2})(?P<sep>:"
        r"|\s?h(?:eures?)?\s?)(?P<m>[0-5]\d)(?![\d:/%\w]|\.\d)",
    }[language]
    rules: list[tuple[str, Callable[[re.Match[str], TextContext, str], FoundTime | None]]] = [
        (clock, _clock),
        (rf"\b(?P<fixed>{fixed})\b", _fixed),
        (
            rf"\b(?:(?P<n>{number})[\s-]?(?P<unit>{unit}))\s+(?P<later>{_LATER[language]})\b",
            _relative,
        ),
        (
            rf"\b(?:(?P<n>{number})[\s-]?(?P<unit>{unit}))\s+(?P<earlier>{_EARLIER[language]})\b",
            _relative,
        ),
        (rf"\b(?P<h>{hour})(?=\s+(?:{_PARTS[language]['am']}|{_PARTS[language]['pm']}))", _hour),
        *_of_language(language, hour, number),
    ]
    return tuple((re.compile(text, re.IGNORECASE), read) for text, read in rules)


_LATER = {"en": "later", "de": "später", "fr": "plus tard"}
_EARLIER = {"en": "earlier|sooner", "de": "früher", "fr": "plus tôt"}


def _of_language(
    language: str, hour: str, number: str
) -> list[tuple[str, Callable[[re.Match[str], TextContext, str], FoundTime | None]]]:
    at = _AT[language]
    if language == "en":
        return [
            (rf"\b(?P<h>{hour})\s*(?:o'?clock)\b", _hour),
            (rf"(?<![\d.:/,])\b(?P<h>{hour})\s?(?P<ap>[ap]\.?m)\b\.?", _hour),
            (
                rf"\b(?:{at})\s+(?P<h>{hour})(?![\w:/%]|[.,]\d|\s+(?:people|persons?|guests|nights?|days?|weeks?|of|or|euros?|dollars?|pounds?))",
                _hour,
            ),
            (rf"\bhalf\s+(?:past\s+)?(?P<h>{hour})\b", _half_past),
            (
                rf"\b(?P<q>(?:a\s+)?quarter|{number})\s+(?:minutes?\s+)?(?P<rel>past|after|to|before)\s+(?P<h>{hour})\b",
                _past,
            ),
            (
                rf"\b(?P<h>{hour})\s+(?P<mw>thirty|fifteen|forty[- ]five|twenty|ten"
                rf"|twenty[- ]five)\b(?!\s+(?:people|euros|dollars))",
                _spoken_minutes,
            ),
        ]
    if language == "de":
        return [
            (rf"\b(?P<h>{hour})\s*uhr(?:\s+(?P<mw>{number}))?\b", _uhr),
            (
                rf"\b(?:{at})\s+(?P<h>{hour})(?![\w:/%]|[.,]\d|\.|\s+(?:personen|leute|tage|nächte|wochen|uhr|euro))",
                _hour,
            ),
            (rf"\bhalb\s+(?P<h>{hour})\b", _half_to),
            (rf"\bdrei\s?viertel\s+(?P<h>{hour})\b", _three_quarters),
            (
                rf"\b(?P<q>viertel|{number})\s+(?:minuten\s+)?(?P<rel>nach|vor)\s+(?P<h>{hour})\b",
                _past,
            ),
        ]
    return [
        (
            rf"\b(?P<h>{hour})\s?(?:h|heures?)(?:\s+(?P<fr>et demie?|et quart|moins le quart"
            rf"|moins (?P<minus>{number})|(?P<mw>{number})))?\b(?!\d)",
            _heures,
        ),
        (r"\b(?P<fixed>midi|minuit)\s+(?P<fr>et demie?|et quart|moins le quart)\b", _heures),
    ]


def _clock(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    hour, minute = int(match["h"]), int(match["m"])
    if hour > 24:
        return None
    if match["sep"] == "." and not _dot_is_time(match, context, language):
        return None
    is_certain = match["h"].startswith("0") or hour > _HALF_DAY or language != "en" or hour == 0
    return FoundTime(match.start(), match.end(), _readings(hour, minute, is_certain=is_certain))


def _dot_is_time(match: re.Match[str], context: TextContext, language: str) -> bool:
    """Take 7.30 for a time where a time is asked for, or where the words say so."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    is_marked = re.search(rf"\b(?:{_AT[language]})\s+$", before, re.IGNORECASE)
    part = re.match(r"\s*(?:[ap]\.?m\b|uhr\b)", after, re.IGNORECASE)
    return bool(is_marked or part or match.groupdict().get("uhr")) or context.is_asked


def _readings(hour: int, minute: int, *, is_certain: bool = False) -> tuple[time, ...]:
    """Return the times that an hour may mean; afternoons first from 1 to 7."""
    if hour in {0, 24}:
        return (time(0, minute),)
    if is_certain or hour > _HALF_DAY:
        return (time(hour, minute),) if hour < 24 else ()
    early, late = time(hour % 12, minute), time(hour % 12 + 12, minute)
    return (late, early) if hour <= 7 or hour == _HALF_DAY else (early, late)


def _as_hour(text: str, language: str) -> int:
    return int(read_number(text, language))


def _found(match: re.Match[str], hour: int, minute: int) -> FoundTime | None:
    if hour > 24 or hour < 0:
        return None
    readings = _readings(hour, minute)
    return (
        FoundTime(
            match.start("h")
            if match.re.groupindex.get("h") and match.start("h") == match.start()
            else _trim(match),
            match.end(),
            readings,
        )
        if readings
        else None
    )


def _trim(match: re.Match[str]) -> int:
    """Leave "at" out of a span that begins with it."""
    lead = re.match(rf"(?:{'|'.join(_AT.values())})\s+(?=[\w])", match[0], re.IGNORECASE)
    groups = match.groupdict()
    begins_with_at = lead is not None and not groups.get("q") and not groups.get("fixed")
    return match.start() + lead.end() if begins_with_at and lead else match.start()


def _hour(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    hour = _as_hour(match["h"], language)
    half = match.groupdict().get("ap")
    if half:
        if not 1 <= hour <= _HALF_DAY:
            return None
        late = half[0].lower() == "p"
        return FoundTime(match.start(), match.end(), (time(hour % 12 + (12 if late else 0)),))
    return _found(match, hour, 0)


def _half_past(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    return _found(match, _as_hour(match["h"], language), 30)


def _half_to(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    hour = _as_hour(match["h"], language)
    return _found(match, 12 if hour == 1 else hour - 1, 30)


def _three_quarters(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    hour = _as_hour(match["h"], language)
    return _found(match, 12 if hour == 1 else hour - 1, 45)


def _past(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    is_quarter = "quarter" in match["q"].lower() or "viertel" in match["q"].lower()
    minutes = 15 if is_quarter else int(read_number(match["q"], language))
    hour = _as_hour(match["h"], language)
    if not 0 < minutes < 60:
        return None
    if match["rel"].lower() in {"past", "after", "nach"}:
        return _found(match, hour, minutes)
    return _found(match, 12 if hour == 1 else hour - 1, 60 - minutes)


def _spoken_minutes(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    hour = _as_hour(match["h"], language)
    return _found(match, hour, int(read_number(match["mw"], language))) if hour <= 12 else None


def _uhr(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    hour = _as_hour(match["h"], language)
    minute = int(read_number(match["mw"], language)) if match["mw"] else 0
    return _found(match, hour, minute) if minute < 60 else None


def _heures(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    groups = match.groupdict()
    fixed = groups.get("fixed")
    hour = (12 if fixed.lower() == "midi" else 0) if fixed else _as_hour(match["h"], language)
    extra = (groups.get("fr") or "").lower()
    minute = {"et demi": 30, "et demie": 30, "et quart": 15, "moins le quart": -15}.get(extra, 0)
    if groups.get("minus"):
        minute = -int(read_number(groups["minus"] or "0", language))
    elif groups.get("mw"):
        minute = int(read_number(groups["mw"] or "0", language))
    if minute >= 60:
        return None
    if minute < 0:
        hour, minute = (hour - 1) % 24, 60 + minute
    if fixed:
        return FoundTime(match.start(), match.end(), (time(hour % 24, minute),))
    is_certain = hour == 0 or (
        "h" in match[0][len(match["h"]) : len(match["h"]) + 2].lower() and False
    )
    readings = _readings(hour, minute, is_certain=is_certain)
    return FoundTime(match.start(), match.end(), readings) if readings else None


def _fixed(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    del context
    for form, value in _FIXED[language].items():
        if re.fullmatch(form, match["fixed"], re.IGNORECASE):
            return FoundTime(match.start(), match.end(), (value,))
    return None


def _relative(match: re.Match[str], context: TextContext, language: str) -> FoundTime | None:
    """Move the slot's present value: "an hour later"."""
    months, seconds = read_unit(match["unit"], language)
    moved = timedelta(seconds=read_number(match["n"], language) * seconds)
    if months or not timedelta(0) < moved < timedelta(days=1) or context.current is None:
        return None
    text = str(context.current)
    try:
        current = datetime.fromisoformat(text).time() if "T" in text else read_time(text)
    except ValueError:
        return None
    minutes = int(moved.total_seconds()) // 60 * (1 if match.groupdict().get("later") else -1)
    total = (current.hour * 60 + current.minute + minutes) % _DAY_MINUTES
    return FoundTime(match.start(), match.end(), (time(total // 60, total % 60),), is_relative=True)


def _with_part(text: str, found: FoundTime, language: str) -> FoundTime:
    """Choose among morning and evening by the words right after the time, or before it."""
    if len(found.readings) == 1:
        return found
    for part, is_late in (("am", False), ("pm", True)):
        words = _PARTS[language][part]
        after = re.match(rf"[\s,]*(?:{words})", text[found.end :], re.IGNORECASE)
        before = re.search(
            rf"(?:\b(?:{words}))(?:\s+(?:um|at|à|gegen|around))?\s+$",
            text[: found.start],
            re.IGNORECASE,
        )
        if after or before:
            end = found.end + after.end() if after else found.end
            start = before.start() if before and not after else found.start
            chosen = tuple(t for t in found.readings if (t.hour >= 12) == is_late)
            if (
                found.readings[0].hour % 12 == 0
                and is_late
                and language == "en"
                and after
                and "night" in after[0]
            ):
                chosen = (time(0, found.readings[0].minute),)
            return FoundTime(start, end, chosen, found.p)
    return found
