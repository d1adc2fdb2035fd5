"""E-mail addresses, web addresses and telephone numbers, also as they are spoken."""

import re
from dataclasses import dataclass

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.number_words import read_words
from dialog.slot_types.text import checked_text
from dialog.slot_types.words import language_of, words_of

_LOCAL = r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
_EMAIL = re.compile(rf"(?<![\w.+-]){_LOCAL}@{_DOMAIN}(?![\w-]|\.\w)")
_AT = {"en": "at", "de": "at|ät|klammeraffe", "fr": "arobase|arrobase|at"}
_DOT = {"en": "dot|point", "de": "punkt|dot", "fr": "point|dot"}
_DASH = {"en": "dash|hyphen", "de": "minus|strich|bindestrich", "fr": "tiret"}
_UNDERSCORE = {"en": "underscore", "de": "unterstrich", "fr": "underscore|tiret bas"}
_SLASH = {"en": "slash", "de": "slash|schrägstrich", "fr": "slash|barre oblique"}
_URL = re.compile(
    rf"(?<![\w@.])(?:(?P<scheme>https?)://|(?=www\.))?(?P<host>{_DOMAIN})(?P<port>:\d{{1,5}})?"
    r"(?P<path>/[^\s<>\"']*)?(?![\w@-]|\.\w)",
    re.IGNORECASE,
)


def _spoken(locale: str, *, is_email: bool) -> re.Pattern[str]:
    language = language_of(locale) if language_of(locale) in _AT else "en"
    word = r"[A-Za-z0-9]+"
    inner = f"(?:{_DOT[language]}|{_DASH[language]}|{_UNDERSCORE[language]})"
    dots = rf"{word}(?:\s+(?:{_DOT[language]}|{_DASH[language]})\s+{word})*"
    if is_email:
        local = rf"{word}(?:(?:\s+{inner}\s+|[.]){word})*"
        return re.compile(
            rf"\b{local}\s+(?:{_AT[language]})\s+(?:{_DOMAIN}|{dots}\s+(?:{_DOT[language]})\s+{word})\b",
            re.IGNORECASE,
        )
    return re.compile(
        rf"\b{dots}\s+(?:{_DOT[language]})\s+[A-Za-z]{{2,24}}(?:\s+(?:{_SLASH[language]})\s+{word})*\b",
        re.IGNORECASE,
    )


def _written(spoken: str, locale: str) -> str:
    language = language_of(locale) if language_of(locale) in _AT else "en"
    text = spoken
    for words, sign in (
        (_AT[language], "@"), (_DOT[language], "."), (_DASH[language], "-"),
        (_UNDERSCORE[language], "_"), (_SLASH[language], "/"),
    ):  # fmt: skip
        text = re.sub(rf"\s+(?:{words})\s+", sign, text, flags=re.IGNORECASE)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailType:
    """An e-mail address, its domain in lower case."""

    name: str = "email"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the addresses, also "ana at example dot org"."""
        found = [
            Candidate(start=m.start(), end=m.end(), value=_email(m[0]))
            for m in _EMAIL.finditer(text)
        ]
        for match in _spoken(context.locale, is_email=True).finditer(text):
            written = _written(match[0], context.locale)
            if _EMAIL.fullmatch(written):
                found.append(
                    Candidate(start=match.start(), end=match.end(), value=_email(written), p=0.85)
                )
        return found

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - read as it is
        """Return the address."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the normal form.

        Raises:
            ValueError: it is no text.
        """
        del context
        text = checked_text(value)
        if not _EMAIL.fullmatch(text):
            return text, Violation(kind=ViolationKind.WRONG_FORM, bound="ana@example.org")
        return _email(text), None


def _email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlType:
    """A web address, scheme and host in lower case."""

    name: str = "url"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the addresses, also "example dot org"."""
        found = []
        for match in _URL.finditer(text):
            end = match.end()
            while text[end - 1] in ".,;:!?)":
                end -= 1
            p = 1.0 if match["scheme"] or match["path"] or context.is_asked else 0.7
            value = _url(text[match.start() : end])
            found.append(Candidate(start=match.start(), end=end, value=value, p=p))
        for match in _spoken(context.locale, is_email=False).finditer(text):
            written = _written(match[0], context.locale)
            if context.is_asked and _URL.fullmatch(written):
                found.append(
                    Candidate(start=match.start(), end=match.end(), value=_url(written), p=0.8)
                )
        return found

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - read as it is
        """Return the address."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the normal form.

        Raises:
            ValueError: it is no text.
        """
        del context
        text = checked_text(value)
        if not _URL.fullmatch(text):
            return text, Violation(kind=ViolationKind.WRONG_FORM, bound="https://example.org")
        return _url(text), None


def _url(text: str) -> str:
    match = _URL.fullmatch(text)
    assert match is not None, text
    scheme = (match["scheme"] or "https").lower()
    path = "" if match["path"] in {None, "/"} else match["path"]
    return f"{scheme}://{match['host'].lower()}{match['port'] or ''}{path}"


_COUNTRY = {
    "US": "1", "CA": "1", "GB": "44", "IE": "353", "AU": "61", "DE": "49", "AT": "43", "CH": "41",
    "LI": "423", "FR": "33", "BE": "32", "LU": "352",
}  # fmt: skip
_OF_LANGUAGE = {"en": "US", "de": "DE", "fr": "FR"}
_TRUNK = frozenset({"44", "353", "61", "49", "43", "41", "33", "32"})
_PHONE = re.compile(
    r"(?<![\w.,:/-])(?:\+|00)?\(?\d(?:[\s().\u00a0/-]{0,2}\d){5,16}(?![\w:]|[.,]\d)"
)
_REPEATS = {
    "en": {"double": 2, "triple": 3},
    "de": {"doppel": 2, "zweimal": 2, "dreimal": 3},
    "fr": {"double": 2, "triple": 3, "deux fois": 2},
}
_PLUS = {"plus"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneType:
    """A telephone number as E.164, with the locale's country where none is given."""

    name: str = "phone"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the numbers in digits, and "oh seven seven double nine …" in words."""
        found = []
        for match in _PHONE.finditer(text):
            value = _e164(match[0], context.locale)
            if value:
                is_sure = match[0].startswith(("+", "00", "0")) or context.is_asked
                p = 1.0 if is_sure else 0.6
                found.append(Candidate(start=match.start(), end=match.end(), value=value, p=p))
        return found or self._in_words(text, context)

    def _in_words(self, text: str, context: TextContext) -> list[Candidate]:
        language = language_of(context.locale)
        words = words_of(text)
        repeats = _REPEATS.get(language, _REPEATS["en"])
        digits, start, end, at = "", -1, -1, 0
        best: tuple[str, int, int] = ("", 0, 0)
        while at < len(words):
            word = words[at]
            times = repeats.get(word.text, 1)
            read = (
                read_words(words, at + (times > 1), language)
                if at + (times > 1) < len(words)
                else None
            )
            if word.text in _PLUS and not digits:
                digits, start, end, at = "+", word.start, word.end, at + 1
            elif word.text.isdigit() or (read and read[0] < 1_000):
                spoken = word.text if word.text.isdigit() else str(read[0] if read else "")
                digits += spoken * times
                start = word.start if start < 0 else start
                at = at + 1 if word.text.isdigit() else (read[1] if read else at + 1)
                end = words[at - 1].end
            else:
                digits, start, at = "", -1, at + 1
            if len(digits) > len(best[0]):
                best = (digits, start, end)
        value = _e164(best[0], context.locale) if best[0] else None
        return [Candidate(start=best[1], end=best[2], value=value, p=0.85)] if value else []

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - the same everywhere
        """Return the number in groups: "+41 44 668 18 00"."""
        digits = str(value).removeprefix("+")
        code = next((digits[:n] for n in (1, 2, 3) if digits[:n] in set(_COUNTRY.values())), "")
        rest = digits[len(code) :]
        head = len(rest) % 2 + 2 if len(rest) > 4 else len(rest)
        groups = [rest[:head], *(rest[i : i + 2] for i in range(head, len(rest), 2))]
        return " ".join([f"+{code}" if code else f"+{groups.pop(0)}", *groups]).strip()

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the number as E.164.

        Raises:
            ValueError: it is no text and no number.
        """
        text = checked_text(value)
        found = _e164(text, context.locale) if re.fullmatch(r"[\d+().\s\u00a0/-]+", text) else None
        if found is None:
            return text, Violation(kind=ViolationKind.WRONG_FORM, bound="+41 44 668 18 00")
        return found, None


def _e164(text: str, locale: str) -> str | None:
    language, _, region = locale.partition("-")
    code = _COUNTRY.get(region or _OF_LANGUAGE.get(language, "US"), "1")
    plus = text.lstrip().startswith("+")
    digits = re.sub(r"\(0\)|\D", "", text) if plus else re.sub(r"\D", "", text)
    if plus:
        full = digits
    elif digits.startswith("00"):
        full = digits[2:]
    elif code == "1":
        full = digits if len(digits) == 11 and digits.startswith("1") else f"1{digits}"
        if len(full) != 11:
            return None
    elif digits.startswith("0") and code in _TRUNK:
        full = f"{code}{digits[1:]}"
    else:
        full = f"{code}{digits}"
    return f"+{full}" if 8 <= len(full) <= 15 and not full.startswith("0") else None
