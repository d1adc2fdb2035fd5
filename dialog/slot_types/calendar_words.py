"""The words of the calendar and the clock in English, German and French."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dialog.slot_types.number_words import spell, spellings
from dialog.slot_types.words import language_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarWords:
    """One language's words; regular expressions where a word has forms."""

    weekdays: tuple[str, ...]  # Monday first; the full name is said
    weekday_forms: tuple[str, ...]
    months: tuple[str, ...]
    month_forms: tuple[str, ...]
    days: Mapping[str, int]  # "tomorrow" and its kin, as days from today
    units: Mapping[str, tuple[int, int]]  # unit: (months, seconds)
    this: str
    next: str
    last: str
    of: str  # between day and month
    article: str
    ordinal: str  # what follows the digits of a day of the month
    later: str
    earlier: str
    ago: str
    inside: str  # "in" of "in two days"
    from_now: str


_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60

WORDS: Mapping[str, CalendarWords] = {
    "en": CalendarWords(
        weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        weekday_forms=(
            "mon(?:day)?s?", "tue(?:s(?:day)?)?s?", "wed(?:nesday)?s?", "thu(?:r(?:s(?:day)?)?)?s?",
            "fri(?:day)?s?", "sat(?:urday)?s?", "sun(?:day)?s?",
        ),
        months=(
            "January", "February", "March", "April", "May", "June", "July", "August", "September",
            "October", "November", "December",
        ),
        month_forms=(
            "jan(?:uary)?", "feb(?:ruary)?", "mar(?:ch)?", "apr(?:il)?", "may", "june?", "july?",
            "aug(?:ust)?", "sept?(?:ember)?", "oct(?:ober)?", "nov(?:ember)?", "dec(?:ember)?",
        ),
        days={
            "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0,
            "tomorrow": 1, "tmrw": 1, "day after tomorrow": 2, "yesterday": -1,
            "day before yesterday": -2,
        },
        units={
            "seconds?|secs?": (0, 1), "minutes?|mins?": (0, _MINUTE), "hours?|hrs?|h": (0, _HOUR),
            "days?|nights?": (0, _DAY), "weeks?": (0, 7 * _DAY), "fortnights?": (0, 14 * _DAY),
            "months?": (1, 0), "years?": (12, 0),
        },
        this="this|this coming|the coming|coming",
        next="next",
        last="last|past",
        of="of",
        article="the",
        ordinal="st|nd|rd|th",
        later="later|after(?: that)?",
        earlier="earlier|sooner|before(?: that)?",
        ago="ago",
        inside="in|within",
        from_now="from now|from today|hence",
    ),
    "de": CalendarWords(
        weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        weekday_forms=(
            "montags?|mo", "dienstags?|di", "mittwochs?|mi", "donnerstags?|do", "freitags?|fr",
            "samstags?|sonnabends?|sa", "sonntags?|so",
        ),
        months=(
            "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
            "Oktober", "November", "Dezember",
        ),
        month_forms=(
            "jan(?:uar)?|jänner", "feb(?:ruar)?", "märz|maerz|mär", "apr(?:il)?", "mai", "juni?",
            "juli?", "aug(?:ust)?", "sept?(?:ember)?", "okt(?:ober)?", "nov(?:ember)?",
            "dez(?:ember)?",
        ),
        days={
            "heute": 0, "heute abend": 0, "morgen": 1, "übermorgen": 2, "gestern": -1,
            "vorgestern": -2,
        },
        units={
            "sekunden?": (0, 1), "minuten?|min": (0, _MINUTE), "stunden?|std|h": (0, _HOUR),
            "tag(?:e[ns]?)?|nacht|nächten?": (0, _DAY), "wochen?": (0, 7 * _DAY),
            "monat(?:e[ns]?)?": (1, 0), "jahr(?:e[ns]?)?": (12, 0),
        },
        this="diese[nrsm]?|kommende[nrsm]?",
        next="nächste[nrsm]?|naechste[nrsm]?",
        last="letzte[nrsm]?|vergangene[nrsm]?",
        of="",
        article="den|der|dem|am",
        ordinal=r"\.|te[rn]?|ste[rn]?",
        later="später|danach|nachher",
        earlier="früher|vorher|davor",
        ago="",
        inside="in",
        from_now="ab heute|ab jetzt",
    ),
    "fr": CalendarWords(
        weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        weekday_forms=(
            "lundis?", "mardis?", "mercredis?", "jeudis?", "vendredis?", "samedis?", "dimanches?",
        ),
        months=(
            "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
            "octobre", "novembre", "décembre",
        ),
        month_forms=(
            "janv?(?:ier)?", "févr?(?:ier)?|fevrier", "mars", "avr(?:il)?", "mai", "juin",
            "juil(?:let)?", "août|aout", "sept?(?:embre)?", "oct(?:obre)?", "nov(?:embre)?",
            "déc(?:embre)?|decembre",
        ),
        days={
            "aujourd'hui": 0, "ce soir": 0, "ce matin": 0, "cet après-midi": 0, "demain": 1,
            "après-demain": 2, "après demain": 2, "hier": -1, "avant-hier": -2,
        },
        units={
            "secondes?": (0, 1), "minutes?|min": (0, _MINUTE), "heures?|h": (0, _HOUR),
            "jours?|nuits?": (0, _DAY), "semaines?": (0, 7 * _DAY), "mois": (1, 0),
            "ans?|années?": (12, 0),
        },
        this="ce|cet|cette",
        next="prochaine?",
        last="derni(?:er|ère)|passée?",
        of="",
        article="le",
        ordinal="er|e|ème",
        later="plus tard|après",
        earlier="plus tôt|avant",
        ago="",
        inside="dans|d'ici",
        from_now="à partir d'aujourd'hui",
    ),
}  # fmt: skip

_ONE = {
    "en": {"a": 1, "an": 1, "one": 1, "another": 1, "half a": 0.5, "half an": 0.5, "a few": 3},
    "de": {"ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "eine halbe": 0.5,
           "einer halben": 0.5, "ein halbes": 0.5, "anderthalb": 1.5, "eineinhalb": 1.5},
    "fr": {"un": 1, "une": 1, "une demi": 0.5, "demi": 0.5},
}  # fmt: skip


def calendar_words(locale: str) -> CalendarWords:
    """Return the words of a locale's language, English ones for an unknown language."""
    return WORDS.get(language_of(locale), WORDS["en"])


def known_language(locale: str) -> str:
    """Return the language of a locale if there are words for it, else "en"."""
    return language_of(locale) if language_of(locale) in WORDS else "en"


@lru_cache(maxsize=8)
def small_numbers(language: str) -> Mapping[str, float]:
    """Return the spelled numbers up to 99 and "a", "half an" and their kin."""
    found: dict[str, float] = {
        form: n for form, n in spellings(language).items() if n < 100 and len(form) > 1
    }
    found |= {spell(n, language): n for n in range(100)}
    return {**found, **_ONE.get(language, _ONE["en"])}


@lru_cache(maxsize=8)
def number_pattern(language: str) -> str:
    """Return a regular expression for a small number in digits or words."""
    words = sorted(small_numbers(language), key=len, reverse=True)
    inner = "|".join(re.escape(word).replace(r"\ ", r"[\s-]") for word in words)
    return rf"(?:\d{{1,4}}(?:[.,]5)?(?!\d)|{inner})"


def read_number(text: str, language: str) -> float:
    """Return what `number_pattern` found."""
    bare = text.lower().strip()
    if bare[0].isdigit():
        return float(bare.replace(",", "."))
    numbers = small_numbers(language)
    spaced = re.sub(r"[\s-]+", " ", bare)
    found = numbers.get(bare, numbers.get(spaced))
    assert found is not None, text
    return found


@lru_cache(maxsize=8)
def unit_pattern(language: str) -> str:
    """Return a regular expression for a unit of time."""
    return "|".join(sorted(WORDS[language].units, key=len, reverse=True))


def read_unit(text: str, language: str) -> tuple[int, int]:
    """Return (months, seconds) of a unit that `unit_pattern` found."""
    for form, unit in WORDS[language].units.items():
        if re.fullmatch(form, text, re.IGNORECASE):
            return unit
    raise AssertionError(text)


def index_of(text: str, forms: tuple[str, ...]) -> int:
    """Return which of the forms a word is."""
    return next(i for i, form in enumerate(forms) if re.fullmatch(form, text, re.IGNORECASE))
