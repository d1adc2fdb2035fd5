"""Free text, names of persons, addresses: spans of what was said."""

import re
from dataclasses import dataclass

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.slot_types.words import language_of, trimmed, words_of

MAX_CHARS = 2_000
MAX_NAME_WORDS = 6

_QUOTED = re.compile(
    r"[\"\u201c\u201e\u00ab]([^\"\u201d\u201c\u00bb]{1,500})[\"\u201d\u201c\u00bb]"
)
_LEAD = {
    "en": r"(?:it'?s|that'?s|it is|that is|i'?d say|just|put|write|say|please write|make it)\s+",
    "de": r"(?:es ist|das ist|das wäre|schreiben sie|bitte)\s+",
    "fr": r"(?:c'est|ce serait|mettez|écrivez)\s+",
}
_TITLES = (
    r"(?:mrs?|ms|miss|mx|dr|prof|herrn?|frau|mme|mlle|monsieur|madame|mademoiselle|sir)\b\.?\s*"
)
_NAMED = {
    "en": r"(?:my name is|my name'?s|the name is|the name'?s|the name should be|i am called"
    r"|under the name(?: of)?|in the name of|name'?s|for the name|call me|guest is|name:)\s+",
    "de": r"(?:mein name ist|ich heiße|ich heisse|der name ist|auf den namen|unter dem namen"
    r"|name:)\s+",
    "fr": r"(?:je m'appelle|mon nom est|le nom est|au nom de|sous le nom de|nom\s?:)\s+",
}
_I_AM = {
    "en": r"(?:i'?m|i am|this is|it'?s|it is|under|put it under|book it under|for)\s+",
    "de": r"(?:ich bin|hier ist|das ist|es ist|auf|unter|für)\s+",
    "fr": r"(?:je suis|c'est|sous|ici|pour|à)\s+",
}
_NAME_WORD = re.compile(r"[^\W\d_]+(?:['\u2019.-][^\W\d_]+)*\.?")
_ENDS = frozenset({
    "and", "for", "please", "at", "on", "my", "thanks", "thank", "email", "e", "with", "but", "is",
    "und", "bitte", "für", "mit", "danke", "am", "um", "ist", "aber", "meine",
    "et", "pour", "merci", "avec", "svp", "mon", "mais", "est", "s'il",
})  # fmt: skip
_NO_NAMES = frozenset({
    "yes", "no", "ok", "okay", "what", "why", "cancel", "stop", "help", "sure", "hello", "hi",
    "you",
    "repeat", "back", "skip", "sorry", "maybe", "nothing", "none", "it", "that", "this", "not",
    "actually", "wait", "i", "we", "the", "a", "how", "which", "where", "when", "can",
    "could", "do",
    "don't", "want", "need", "looking", "make", "change", "never", "mind", "any", "either",
    "ja", "nein", "was", "warum", "abbrechen", "hilfe", "wie", "welche", "nicht", "doch", "ich",
    "wir",
    "oui", "non", "quoi", "pourquoi", "annuler", "aide", "comment", "quel", "quelle", "je",
    "nous", "pas",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTextType:
    """Any text; `keeps_lines` for addresses."""

    name: str = "text"
    keeps_lines: bool = False

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the whole answer where it is asked for, else only what stands in quotes."""
        found = [
            Candidate(start=m.start(1), end=m.end(1), value=m[1], p=0.9)
            for m in _QUOTED.finditer(text)
        ]
        if found or not context.is_asked:
            return found
        start, end = trimmed(text, *_without_lead(text, context.locale))
        if start >= end:
            return []
        return [Candidate(start=start, end=end, value=self._clean(text[start:end]), p=0.8)]

    def _clean(self, text: str) -> str:
        if not self.keeps_lines:
            return " ".join(text.split())
        lines = [" ".join(line.split()) for line in text.splitlines()]
        return "\n".join(line for line in lines if line)

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - a text is said as it is
        """Return the text."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the text without blanks around it.

        Raises:
            ValueError: it is no text, empty, or longer than `MAX_CHARS`.
        """
        del context
        return self._clean(checked_text(value)), None


def checked_text(value: JsonValue) -> str:
    """Return a value as a text that holds something.

    Raises:
        ValueError: it is no text, empty, or longer than `MAX_CHARS`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - a wrong value
    text = str(value).strip()
    if not 0 < len(text) <= MAX_CHARS:
        raise ValueError(f"a text has 1 to {MAX_CHARS} characters, got {len(text)}")
    return text


def _without_lead(text: str, locale: str) -> tuple[int, int]:
    lead = re.match(rf"\s*{_LEAD.get(language_of(locale), _LEAD['en'])}", text, re.IGNORECASE)
    return (lead.end() if lead else 0), len(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonType:
    """The name of a person, without title; its case is kept as it was written."""

    name: str = "person"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the name after "my name is"; where a name is asked for, the answer itself."""
        language = language_of(context.locale)
        named = re.search(rf"\b{_NAMED.get(language, _NAMED['en'])}", text, re.IGNORECASE)
        if named:
            found = _name_at(text, named.end())
            return [_as_name(text, *found, p=0.97)] if found else []
        lead = re.match(rf"\s*{_I_AM.get(language, _I_AM['en'])}", text, re.IGNORECASE)
        if context.is_asked:
            found = _name_at(text, lead.end() if lead else 0)
            return [_as_name(text, *found, p=0.85)] if found else []
        if lead:
            found = _name_at(text, lead.end())
            if found and all(w[:1].isupper() for w in text[slice(*found)].split()):
                return [_as_name(text, *found, p=0.6)]
        return []

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - a name is said as it is
        """Return the name."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the name without title.

        Raises:
            ValueError: it is no text or empty.
        """
        del context
        text = " ".join(checked_text(value).split())
        return re.sub(rf"^(?:{_TITLES})+", "", text, flags=re.IGNORECASE) or text, None


def _name_at(text: str, start: int) -> tuple[int, int] | None:
    """Return the span of a name that begins at a place, title and all."""
    rest = re.match(rf"[\s,:\"'\u201c\u201e]*(?:{_TITLES})*", text[start:], re.IGNORECASE)
    start += rest.end() if rest else 0
    end, at, num_words = start, start, 0
    while num_words < MAX_NAME_WORDS:
        word = _NAME_WORD.match(text, at)
        if word is None or word[0].lower().rstrip(".") in _ENDS | _NO_NAMES:
            break
        end, num_words = word.end(), num_words + 1
        at = end
        if at >= len(text) or text[at] != " ":
            break
        at += len(text[at:]) - len(text[at:].lstrip(" "))
    if end < len(text) and text[end] in "@\u2019'":
        return None
    if text[start:end].endswith(".") and len(text[start:end].rsplit(maxsplit=1)[-1]) > 2:
        end -= 1
    following = words_of(text[end:])
    goes_on = text[end : end + 1] == " " and following and following[0].text in _NO_NAMES
    if goes_on or not num_words or not words_of(text[start:end]):
        return None
    return start, end


def _as_name(text: str, start: int, end: int, *, p: float) -> Candidate:
    return Candidate(start=start, end=end, value=" ".join(text[start:end].split()), p=p)
