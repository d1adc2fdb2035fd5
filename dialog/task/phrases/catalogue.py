"""The built-in phrases by language; English stands in where a language has no words of its own."""

from collections.abc import Mapping
from typing import Final

from dialog.task.phrases import english, french, german

LANGUAGES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "en": english.PHRASES,
    "de": german.PHRASES,
    "fr": french.PHRASES,
}


def phrase(locale: str, key: str) -> tuple[str, ...]:
    """Return the variants of a phrase in a locale's language."""
    language = locale.split("-", maxsplit=1)[0].lower()
    found = LANGUAGES.get(language, english.PHRASES)
    return found.get(key) or english.PHRASES[key]
