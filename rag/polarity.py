"""Which way a sentence points: its negations, and words that have an opposite.

English. Word lists and no grammar: they tell that two sentences may contradict each other, and the
figure of `python -m benchmarks.rag --part verifier` tells how well.
"""

import re

from index.analyser import analyse

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|cannot|neither|nor|without|unable|fail(?:s|ed)?|hardly"
    r"|barely|lack(?:s|ed|ing)?|absent|absence)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_OPPOSITES = """
increase rise rose risen raise elevate grow grew grown climb gain higher high more greater
  upregulate enhance boost exceed
| decrease reduce decline fall fell fallen drop lower low less fewer smaller
  downregulate diminish shrink shrank lose
promote activate stimulate induce enable facilitate accelerate trigger cause
| inhibit suppress block prevent disable hinder slow impair repress delay
improve better benefit beneficial protect effective favourable favorable
| worsen worse harm harmful damage ineffective adverse risk
positive | negative
before prior precede | after following follow
above over | below under beneath
first | last final
begin began begun start open | end finish stop close
win won defeat | lose lost
major large big largest | minor small little smallest
long longer longest | short shorter shortest
early earlier | late later
maximum most | minimum least
north northern | south southern
east eastern | west western
true correct | false incorrect wrong
always | never
allow permit accept | forbid prohibit refuse reject deny
include | exclude
sensitive susceptible vulnerable | resistant
present presence | absent absence
necessary required essential | unnecessary dispensable
import | export
inner internal inside | outer external outside
up | down
left | right
strong stronger | weak weaker
common frequent | rare uncommon
same similar | different
"""
_PREFIXES = ("non", "un", "in", "im", "dis", "anti", "de")
_MIN_ROOT = 5


def _stems(words: str) -> frozenset[str]:
    return frozenset(analyse(words))


def _axes() -> list[tuple[frozenset[str], frozenset[str]]]:
    lines = _OPPOSITES.replace("\n|", " |").replace("\n  ", " ").strip().splitlines()
    sides = [line.split("|") for line in lines]
    return [(_stems(one), _stems(other)) for one, other in sides]


_AXES = _axes()


def is_negated(text: str) -> bool:
    """Tell whether a negation stands in it."""
    return _NEGATION.search(text) is not None


def negations(text: str) -> int:
    """Return how many negations stand in it."""
    return len(_NEGATION.findall(text))


def opposed(said: str, source: str) -> tuple[str, str] | None:
    """Return a term of `said` and one of `source` that is its opposite, where `source` lacks it."""
    of_said, of_source = analyse(said), analyse(source)
    held = set(of_source)
    for term in of_said:
        if term not in held and (other := _opposite(term, held, set(of_said))):
            return term, other
    return None


def _opposite(term: str, held: set[str], said: set[str]) -> str | None:
    for one, other in _AXES:
        for mine, theirs in ((one, other), (other, one)):
            if term in mine and not mine & held and (found := theirs & held - said):
                return min(found)
    for prefix in _PREFIXES:
        root = term.removeprefix(prefix)
        if root != term and len(root) >= _MIN_ROOT and root in held:
            return root
        if len(term) >= _MIN_ROOT and prefix + term in held:
            return prefix + term
    return None
