"""Yes and no, direct and indirect; only for the slot in question."""

import re
from dataclasses import dataclass

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.slot_types.words import language_of

_YES = {
    "en": (
        "yes please|yes|yeah|yep|yup|yea|sure thing|sure|of course|certainly|definitely|absolutely"
        "|ok|okay|correct|right|that works(?: for me)?|works for me|sounds good|i do|i would"
        "|i'd like that|i'd love to|why not|please do|go ahead|true|indeed|fine|with pleasure"
        "|that would be (?:great|nice|lovely)"
    ),
    "de": (
        "ja bitte|ja gerne|ja|jawohl|jep|gerne|klar|natürlich|sicher|genau|richtig|stimmt|in"
        " ordnung"
        "|okay|ok|passt|einverstanden|selbstverständlich|warum nicht|auf jeden fall|wahr"
    ),
    "fr": (
        "oui merci|oui|ouais|bien sûr|d'accord|volontiers|avec plaisir|certainement|exactement"
        "|c'est ça|ça marche|ça me va|ok|parfait|pourquoi pas|vrai|absolument"
    ),
}
_NO = {
    "en": (
        "no thanks|no thank you|nope|nah|no|not really|not at all|rather not|i'd rather not"
        "|i'd prefer not(?: to)?|i don't|i do not|don't|never|incorrect|wrong|false|not this time"
        "|not necessary|no need|i'll pass|absolutely not|of course not|certainly not"
    ),
    "de": (
        "nein danke|nein|nö|nicht wirklich|lieber nicht|auf keinen fall|keineswegs|falsch|niemals"
        "|nicht nötig|natürlich nicht|nee|eher nicht"
    ),
    "fr": (
        "non merci|non|pas vraiment|plutôt pas|pas du tout|surtout pas|jamais|faux|pas la peine"
        "|bien sûr que non|je préfère pas|je ne préfère pas"
    ),
}
_SAID = {"en": ("yes", "no"), "de": ("ja", "nein"), "fr": ("oui", "non")}
_STRONG = re.compile(r"^\s*(?:yes|no|ja|nein|oui|non)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoolType:
    """True or false."""

    name: str = "bool"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return yes or no where this slot is asked for, nothing otherwise."""
        if not context.is_asked:
            return []
        language = language_of(context.locale)
        found: list[tuple[int, int, bool]] = []
        for words, value in ((_YES, True), (_NO, False)):
            pattern = rf"(?<!\w)(?:{words.get(language, words['en'])})(?!\w)"
            matches = re.finditer(pattern, text.replace("\u2019", "'"), re.IGNORECASE)
            found += [(match.start(), match.end(), value) for match in matches]
        found.sort(key=lambda span: (span[0], span[0] - span[1]))
        kept: list[tuple[int, int, bool]] = []
        for start, end, value in found:
            if not kept or start >= kept[-1][1]:
                kept.append((start, end, value))
        if not kept:
            return []
        start, end, value = kept[0]
        is_sure = bool(_STRONG.match(text)) or len({v for _, _, v in kept}) == 1
        other = () if is_sure else (not value,)
        p = 0.97 if _STRONG.match(text) else 0.9 if is_sure else 0.55
        return [Candidate(start=start, end=end, value=value, p=p, ambiguous_with=other)]

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the locale's yes or no."""
        yes, no = _SAID.get(language_of(locale), _SAID["en"])
        return yes if value is True else no

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return true or false.

        Raises:
            ValueError: it is neither.
        """
        del context
        if isinstance(value, bool):
            return value, None
        if value in {"true", "false"}:
            return value == "true", None
        raise ValueError(f"{value!r} is neither true nor false")
