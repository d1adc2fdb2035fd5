"""Names of watermark schemes, and what each of them is. Knows no keys."""

import math
from collections.abc import Sequence
from typing import Final, get_args

from api.settings import SchemeName, StatisticName
from llm.watermark.bayesian import bayesian_synthid
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram

SCHEME_NAMES: Final[Sequence[SchemeName]] = get_args(SchemeName)

_OF_DRAWS: Final = ("gumbel", "synthid")


def scheme_named(name: SchemeName, vocabulary_size: int) -> Scheme:
    """Return a scheme; `vocabulary_size` is the width of the logits."""
    match name:
        case "gumbel":
            return Gumbel()
        case "synthid":
            return SynthID()
        case "sbw":
            return GreenLists()
        case "kgw":
            return GreenLists(vocabulary_size=vocabulary_size)
        case "kgw-hard":
            return GreenLists(vocabulary_size=vocabulary_size, delta=math.inf)
        case "unigram":
            return Unigram(vocabulary_size=vocabulary_size)


def detector_scheme(
    name: SchemeName, vocabulary_size: int, statistic: StatisticName | None = None
) -> Scheme:
    """Return what a text is scored by; `statistic` is how a tournament's bits are added up.

    Every statistic of SynthID finds the same mark.
    """
    if name != "synthid" or statistic is None:
        return scheme_named(name, vocabulary_size)
    return bayesian_synthid() if statistic == "bayesian" else SynthID(statistic=statistic)


def scheme_of_greedy(name: SchemeName) -> SchemeName | None:
    """Return the scheme of answers that are not drawn, where drawn ones are marked by `name`.

    None leaves them unmarked: a mark that lies in the draw has no place there, and green lists,
    which change what is said, were not asked for.
    """
    return None if name in _OF_DRAWS else name
