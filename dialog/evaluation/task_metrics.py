"""Metrics of whole dialogues, in our own definitions; each is a pure function.

*Inform* (corpus): for every domain of the goal with a venue, the entity offered last satisfies the
goal's constraints. *Success*: inform, and every requested attribute was told. *Combined* is their
mean plus BLEU. Public scripts disagree; never mix these numbers with another script's.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dialog.evaluation.corpus import DONTCARE, DomainGoal, Row
from dialog.evaluation.text_match import sorted_tokens
from dialog.evaluation.tracking_metrics import F1

_ANY = frozenset({"", DONTCARE})
_TIMES = frozenset({"leaveAt", "arriveBy"})
_FLAGS = frozenset({"internet", "parking"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueOutcome:
    """What came of one dialogue: entities offered last, and attributes told, by domain."""

    offered: Mapping[str, Row]
    told: Mapping[str, frozenset[str]]


def inform(goal: Mapping[str, DomainGoal], outcome: DialogueOutcome) -> bool:
    """Tell whether each domain with constraints was offered an entity that meets them all."""
    return all(
        domain in outcome.offered and meets(outcome.offered[domain], wanted.constraints)
        for domain, wanted in goal.items()
        if wanted.constraints
    )


def success(goal: Mapping[str, DomainGoal], outcome: DialogueOutcome) -> bool:
    """Tell whether it informs and every requested attribute was told."""
    return inform(goal, outcome) and all(
        set(wanted.requests) <= outcome.told.get(domain, frozenset())
        for domain, wanted in goal.items()
    )


def combined(inform_rate: float, success_rate: float, bleu: float) -> float:
    """Return (inform + success) / 2 + BLEU, all in [0, 100]."""
    return (inform_rate + success_rate) / 2 + bleu


def requested_told(goal: Mapping[str, DomainGoal], outcome: DialogueOutcome) -> F1:
    """Return the simulator's inform: precision and recall of told attributes over all domains."""
    wanted = {(d, a) for d, g in goal.items() for a in g.requests}
    told = {(d, a) for d, names in outcome.told.items() for a in names}
    hits = len(wanted & told)
    return F1(
        precision=hits / len(told) if told else 1.0,
        recall=hits / len(wanted) if wanted else 1.0,
    )


def book_rate(
    wanted: Mapping[str, Mapping[str, str]], booked: Mapping[str, Mapping[str, str]]
) -> float | None:
    """Return the share of the goal's bookings that were made as it says; None without any."""
    needed = {domain: values for domain, values in wanted.items() if values}
    if not needed:
        return None
    right = sum(
        all(str(booked.get(domain, {}).get(k, "")) == v for k, v in values.items())
        for domain, values in needed.items()
    )
    return right / len(needed)


def pass_hat_k(successes: Sequence[int], trials: int, k: int) -> float:
    """Return the mean over scenarios of C(c, k) / C(n, k): the chance that k trials all succeed.

    Raises:
        ValueError: k is not in [1, n], or a scenario has more successes than trials.
    """
    if not 1 <= k <= trials:
        raise ValueError(f"k must be in [1, {trials}], the number of trials, got {k}")
    if not successes:
        raise ValueError("pass^k needs at least one scenario, got none")
    if any(not 0 <= c <= trials for c in successes):
        raise ValueError(f"a scenario of {trials} trials has 0 to {trials} successes")
    return sum(math.comb(c, k) / math.comb(trials, k) for c in successes) / len(successes)


def turns_quantile(turns: Sequence[int], q: float) -> int:
    """Return the smallest number of turns that a share `q` of dialogues does not exceed."""
    if not turns or not 0 < q <= 1:
        raise ValueError(f"a quantile needs dialogues and q in (0, 1], got {len(turns)} and {q}")
    return sorted(turns)[math.ceil(q * len(turns)) - 1]


def exact_repeats(said: Sequence[str], asked_to_repeat: Iterable[int] = ()) -> int:
    """Return how many replies are, word for word, ones that were said before.

    Those at the positions in `asked_to_repeat` answer the user's own "repeat" and do not count.
    """
    exempt = set(asked_to_repeat)
    seen: set[str] = set()
    repeats = 0
    for i, text in enumerate(said):
        repeats += text in seen and i not in exempt
        seen.add(text)
    return repeats


def repeated_ngrams(said: Sequence[str], n: int = 4) -> float:
    """Return rep-n: the share of n-grams of words that occurred before in the dialogue."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in said:
        words = text.lower().split()
        counts.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    total = counts.total()
    return (total - len(counts)) / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPair:
    """A first part that was opened in a turn, and the turn of its fitting second part, if any."""

    opened: int
    closed: int | None = None


def adjacency_completion(pairs: Sequence[ObservedPair], within: int = 3) -> float:
    """Return the share of pairs closed by a fitting part within so many turns; 1 for none."""
    if not pairs:
        return 1.0
    done = sum(p.closed is not None and p.closed - p.opened <= within for p in pairs)
    return done / len(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotErrors:
    """Values of acts that a text lacks, such that it should not have, and how many in all."""

    missing: int
    added: int
    total: int

    @property
    def rate(self) -> float:
        """SER: (missing + added) / values in the acts; a wrong value is both missing and added."""
        errors = self.missing + self.added
        return errors / self.total if self.total else float(errors > 0)


def slot_errors(text: str, must_include: Sequence[str], others: Iterable[str] = ()) -> SlotErrors:
    """Count how a text keeps to its acts: values that must be in it, and others that must not.

    Values are compared as runs of words; one that is part of a value to be said is not added.
    """
    words = f" {_plain(text)} "
    wanted = [_plain(value) for value in must_include]
    missing = sum(f" {value} " not in words for value in wanted)
    added = sum(
        1
        for other in {_plain(value) for value in others}
        if other and f" {other} " in words and not any(other in value for value in wanted)
    )
    return SlotErrors(missing=missing, added=added, total=len(wanted))


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def meets(row: Row, constraints: Mapping[str, str], *, is_exact: bool = False) -> bool:
    """Tell whether a row of a table is what was asked for; "free" is a yes.

    A journey that has to leave at a time may leave later, one that has to arrive by it earlier;
    with `is_exact` it may not.
    """
    return all(
        value in _ANY or _agrees(column, row.get(column, ""), value, is_exact=is_exact)
        for column, value in constraints.items()
    )


def _agrees(column: str, held: str, value: str, *, is_exact: bool) -> bool:
    if column in _TIMES and not is_exact and held:
        return held >= value if column == "leaveAt" else held <= value
    if column in _FLAGS and value == "free":
        return held in ("free", "yes")
    return sorted_tokens(held) == sorted_tokens(value) or _bare(held) == _bare(value)


def _bare(text: str) -> str:
    """Return the letters and digits alone: "night club" is "nightclub", "the X" is "X"."""
    return "".join(c for c in text.lower().removeprefix("the ") if c.isalnum())
