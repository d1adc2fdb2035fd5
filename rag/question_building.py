"""A set of questions from a corpus: so many of each kind, the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rag.corpus import Corpus, fold
from rag.errors import EvaluationSetError
from rag.evaluation_set import EvaluationItem
from rag.question_makers import MAKERS

_MOST_PASSED = 20  # candidates looked at a question, for the sake of other documents
RULE_KINDS = tuple(MAKERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSet:
    """The questions, and of which kinds there are fewer than asked for: `(made, wanted)`."""

    items: tuple[EvaluationItem, ...]
    short: dict[str, tuple[int, int]]


def build_set(corpus: Corpus, *, num: int, kinds: Sequence[str], seed: int) -> BuiltSet:
    """Return about `num` questions, as many of each kind as there can be up to an equal share.

    No two have the same words, and no document serves a kind twice before each has served it once.

    Raises:
        EvaluationSetError: the corpus yields no question of these kinds.
        ValueError: a kind is unknown, or `num` is below their number.
    """
    unknown = sorted(set(kinds) - set(MAKERS))
    if unknown or not kinds:
        raise ValueError(f"kinds are {', '.join(MAKERS)}, got {', '.join(unknown) or 'none'}")
    if num < len(kinds):
        raise ValueError(f"{len(kinds)} kinds need at least {len(kinds)} questions, got {num}")
    items: list[EvaluationItem] = []
    short: dict[str, tuple[int, int]] = {}
    asked: set[tuple[bool, str]] = set()
    for number, kind in enumerate(kinds):
        wanted = num // len(kinds) + (number < num % len(kinds))
        # Each kind has its own stream: asking for fewer kinds changes none of the others.
        rng = np.random.default_rng([seed, list(MAKERS).index(kind)])
        made = _spread(MAKERS[kind](corpus, rng), wanted, asked)
        items.extend(made)
        if len(made) < wanted:
            short[kind] = (len(made), wanted)
    if not items:
        raise EvaluationSetError(
            f"{corpus.num_documents} documents yield no question of the kinds {', '.join(kinds)};"
            " they need sentences or headings, and unanswerable ones a second document"
        )
    return BuiltSet(items=tuple(items), short=short)


def _spread(
    candidates: Iterator[EvaluationItem], wanted: int, asked: set[tuple[bool, str]]
) -> list[EvaluationItem]:
    """Take questions, first one a document, then from those that were passed over."""
    taken: list[EvaluationItem] = []
    passed: list[EvaluationItem] = []
    served: set[str] = set()
    for item in candidates:
        key = (item.answerable, fold(item.query))
        if key in asked:
            continue
        asked.add(key)
        source = item.held_out[0] if item.held_out else item.relevant[0].uri
        if source in served:
            passed.append(item)
        else:
            served.add(source)
            taken.append(item)
        if len(taken) == wanted or len(passed) >= _MOST_PASSED * wanted:
            break
    return [*taken, *passed][:wanted]
