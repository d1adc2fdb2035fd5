"""Names of watermark schemes, and which of them a service uses. Knows no keys."""

import math
from collections.abc import Sequence
from typing import Final, get_args

from api.settings import SchemeName
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram

SCHEME_NAMES: Final[Sequence[SchemeName]] = get_args(SchemeName)

# These need a draw; where the best token is simply taken, they leave no mark.
_OF_DRAWS: Final = ("gumbel", "synthid")
_WITHOUT_DRAWS: Final[SchemeName] = "sbw"


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


def scheme_of_greedy(name: SchemeName) -> SchemeName:
    """Return the scheme for answers that are not drawn, where draws are marked by `name`."""
    return _WITHOUT_DRAWS if name in _OF_DRAWS else name


def schemes_served(name: SchemeName) -> tuple[SchemeName, ...]:
    """Return all schemes that a service marks by whose setting is `name`."""
    return tuple(dict.fromkeys((name, scheme_of_greedy(name))))
