"""Planted facts: is a claim flagged when its evidence has another number, date or name, or a "not"?

The claims are sentences of XQuAD's paragraphs. In a copy of the sentence one fact is changed, which
then is the evidence: a number into another one, a date's year, a name in the middle of the sentence
into one from another article, wherever it stands (of names that stand in several places, changing
one of them is counted apart), a negation put behind an auxiliary verb. Flagged is what the verdict
does not call supported. "in its paragraph": the evidence is the whole paragraph with the change in
it, which may hold the old number or name elsewhere. Two controls count false alarms: the claim with
its numbers and dates written otherwise, and with its clauses turned round, beside the true
sentence.

Ids and citations are those of real answers: `python -m benchmarks.rag --part xquad`.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rag_options import Options
from benchmarks.report import Figure, share
from rag.claim_check import check_claim
from rag.dates import dates
from rag.grounding import verdict_on
from rag.quantities import numbers

_QUICK = 40
_MOST = 300  # of a kind
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*(?=[ ,.])")
_AUXILIARY = re.compile(r"\b(?:is|was|are|were|has|had|can|could|will|would|did|does)\b(?! not)")
_NEGATED = re.compile(r"\b(?:not|no|never|none|cannot|neither|nor|without|n't|lack\w*|fail\w*)\b")
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August"]
_WORDS = {
    2: "two",
    3: "three",
    4: "four",
    5: "five",
    6: "six",
    7: "seven",
    8: "eight",
    9: "nine",
    10: "ten",
    11: "eleven",
    12: "twelve",
}
TARGET = 0.95
_WITH_TARGET = ("number", "date", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence, the paragraph that it stands in, and its article."""

    text: str
    paragraph: str
    article: str


Change = Callable[[Claim, random.Random, Sequence[str]], str | None]


def facts(options: Options) -> list[Figure]:
    """Return the share of changed facts that are flagged, by kind, and of false alarms."""
    claims = list(read_claims(options.data))
    draws = random.Random(options.seed)
    draws.shuffle(claims)
    names = sorted({name for claim in claims for name in _NAME.findall(claim.text)})
    kinds: dict[str, Change] = {
        "number": _other_number,
        "date": _other_date,
        "name": _other_name,
        "name in one of its places": _other_name_once,
        "negation": _negated,
    }
    figures = []
    most = _QUICK if options.is_quick else _MOST
    print("| changed | flagged | in its paragraph |\n|---|---|---|")
    for kind, change in kinds.items():
        changed = [
            (claim, other)
            for claim in claims
            if (other := change(claim, draws, names)) is not None and other != claim.text
        ][:most]
        alone = [_is_flagged(claim.text, other) for claim, other in changed]
        whole = [
            _is_flagged(claim.text, claim.paragraph.replace(claim.text, other))
            for claim, other in changed
        ]
        target = TARGET if kind in _WITH_TARGET and not options.is_quick else None
        figures += [
            share(f"planted {kind} flagged", sum(alone), len(alone), target=target),
            share(f"planted {kind} flagged in its paragraph", sum(whole), len(whole)),
        ]
        print(f"| {kind} | {sum(alone)} of {len(alone)} | {sum(whole)} of {len(whole)} |")
    for name, rewrite in (("in other writing", _rewritten), ("turned round", _turned_round)):
        same = [(claim, other) for claim in claims if (other := rewrite(claim.text)) is not None]
        same = same[:most]
        alarms = [_is_flagged(other, claim.text) for claim, other in same]
        print(f"false alarms, {name}: {sum(alarms)} of {len(alarms)}")
        figure = share(f"false alarms, {name}", sum(alarms), len(alarms))
        figures.append(
            Figure(
                name=figure.name,
                value=figure.value,
                unit=figure.unit,
                spread=figure.spread,
                higher_is_better=False,
            )
        )
    return figures


def read_claims(data: Path) -> Iterator[Claim]:
    """Yield the sentences of all paragraphs."""
    text = (data / "xquad" / "xquad.en.first24.json").read_text(encoding="utf-8")
    for article in json.loads(text)["data"]:
        for paragraph in article["paragraphs"]:
            for sentence in _SENTENCE.split(paragraph["context"]):
                if len(sentence.split()) >= 6:  # a sentence and no rest of one
                    yield Claim(
                        text=sentence, paragraph=paragraph["context"], article=article["title"]
                    )


def _is_flagged(claim: str, evidence: str) -> bool:
    return verdict_on(check_claim(claim, evidence)) != "supported"


def _other_number(claim: Claim, draws: random.Random, names: Sequence[str]) -> str | None:
    del names
    spans = [(date.start, date.end) for date in dates(claim.text)]
    found = [
        one
        for one in numbers(claim.text)
        if one.text.isdigit() and not any(start <= one.start < end for start, end in spans)
    ]
    if not found:
        return None
    one = draws.choice(found)
    new = str(int(one.text) + draws.choice([1, 2, 3, 10, 100]))
    return claim.text[: one.start] + new + claim.text[one.end :]


def _other_date(claim: Claim, draws: random.Random, names: Sequence[str]) -> str | None:
    del names
    found = list(dates(claim.text))
    if not found:
        return None
    one = draws.choice(found)
    if one.year is not None:
        new = one.text.replace(str(one.year), str(one.year + draws.choice([-7, -1, 1, 3])))
    else:
        new = re.sub(r"[A-Z][a-z]+", draws.choice(_MONTHS), one.text, count=1)
        if new.lower()[:5] == one.text.lower()[:5]:
            return None
    return claim.text[: one.start] + new + claim.text[one.end :]


def _other_name(claim: Claim, draws: random.Random, names: Sequence[str]) -> str | None:
    picked = _name_and_other(claim, draws, names)
    if picked is None:
        return None
    found, other = picked
    return re.sub(rf"\b{re.escape(found[0])}\b", other, claim.text)


def _other_name_once(claim: Claim, draws: random.Random, names: Sequence[str]) -> str | None:
    picked = _name_and_other(claim, draws, names)
    if picked is None or claim.text.count(picked[0][0]) == 1:
        return None
    found, other = picked
    return claim.text[: found.start()] + other + claim.text[found.end() :]


def _name_and_other(
    claim: Claim, draws: random.Random, names: Sequence[str]
) -> tuple[re.Match[str], str] | None:
    found = [one for one in _NAME.finditer(claim.text) if one[0] not in _MONTHS]
    if not found:
        return None
    one = draws.choice(found)
    words = set(one[0].split())
    others = [name for name in names if not words & set(name.split())]
    return one, draws.choice(others)


def _negated(claim: Claim, draws: random.Random, names: Sequence[str]) -> str | None:
    del draws, names
    found = _AUXILIARY.search(claim.text)
    if found is None or _NEGATED.search(claim.text):
        return None
    return f"{claim.text[: found.end()]} not{claim.text[found.end() :]}"


def _rewritten(text: str) -> str | None:
    """Return a sentence with its numbers and dates in another writing."""
    pieces: list[tuple[int, int, str]] = []
    for date in dates(text):
        if date.year and date.day:
            pieces.append((date.start, date.end, f"{date.year}-{date.month:02}-{date.day:02}"))
        else:
            pieces.append((date.start, date.end, date.text))
    for one in numbers(text):
        if any(start <= one.start < end for start, end, _ in pieces):
            continue
        if one.text.isdigit() and int(one.text) in _WORDS and text[one.end : one.end + 1] == " ":
            pieces.append((one.start, one.end, _WORDS[int(one.text)]))
        elif "," in one.text:
            pieces.append((one.start, one.end, one.text.replace(",", "")))
    new = text
    for start, end, piece in sorted(pieces, reverse=True):
        new = new[:start] + piece + new[end:]
    return new if new != text else None


def _turned_round(text: str) -> str | None:
    """Return a sentence of two clauses with the second before the first."""
    first, comma, second = text.rstrip(".").partition(", ")
    if not comma or min(len(first.split()), len(second.split())) < 4:
        return None
    return f"{second[0].upper()}{second[1:]}, {first}."
