"""Which wishes of a request exclude each other: one table, from which errors and docs are made.

Everything that is not in it composes. Knows how nothing works.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llm.decoding.spec import DecodeSpec
from llm.errors import RefusedPairError
from llm.sampling_params import SamplingParams

Wish = Callable[[DecodeSpec, SamplingParams], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPair:
    """Two features by their names in the API, when each is asked for, and why they do not go."""

    first: str
    second: str
    asks_first: Wish
    asks_second: Wish
    why: str


def _beam(spec: DecodeSpec, _: SamplingParams) -> bool:
    return spec.search.method == "beam"


def _samples(spec: DecodeSpec, _: SamplingParams) -> bool:
    return spec.search.method in ("best_of", "mbr", "self_consistency")


def _rejection(spec: DecodeSpec, _: SamplingParams) -> bool:
    return spec.speculation.verify == "rejection"


def _greedy(_: DecodeSpec, params: SamplingParams) -> bool:
    return params.temperature == 0


REFUSED_PAIRS: tuple[RefusedPair, ...] = (
    RefusedPair(
        first="search.method beam",
        second="temperature",
        asks_first=_beam,
        asks_second=lambda _, params: params.temperature > 0,
        why="a beam draws nothing; leave temperature out or search otherwise",
    ),
    RefusedPair(
        first="search.method beam",
        second="mirostat",
        asks_first=_beam,
        asks_second=lambda _, params: params.mirostat is not None,
        why="mirostat follows the surprise of what is drawn, and a beam draws nothing",
    ),
    RefusedPair(
        first="search.method beam",
        second="logprobs",
        asks_first=_beam,
        asks_second=lambda _, params: params.logprobs,
        why="the account is of drawn tokens; the score of a beam is in causerie.score",
    ),
    RefusedPair(
        first="search.method beam",
        second="speculation.verify rejection",
        asks_first=_beam,
        asks_second=_rejection,
        why="a beam draws nothing that could be rejected",
    ),
    RefusedPair(
        first="search over samples",
        second="temperature 0",
        asks_first=_samples,
        asks_second=_greedy,
        why="all samples would be the same; set a temperature above 0",
    ),
    RefusedPair(
        first="speculation.verify rejection",
        second="mirostat",
        asks_first=_rejection,
        asks_second=lambda _, params: params.mirostat is not None,
        why="mirostat would follow the draft; verify exactly",
    ),
    RefusedPair(
        first="search.method beam",
        second="a mark that lies in the draw",
        asks_first=_beam,
        asks_second=lambda spec, _: spec.mark in ("gumbel", "synthid"),
        why="a beam draws nothing; ask for mark sbw or leave it out",
    ),
    RefusedPair(
        first="speculation.verify rejection",
        second="mark gumbel",
        asks_first=_rejection,
        asks_second=lambda spec, _: spec.mark == "gumbel",
        why="what is rejected is drawn by other noise than the key's; verify exactly",
    ),
    RefusedPair(
        first="context_faithfulness",
        second="overflow roll",
        asks_first=lambda spec, _: spec.context_faithfulness > 0,
        asks_second=lambda _, params: params.overflow == "roll",
        why="the two prompts would lose different tokens; shorten the chat",
    ),
)


def check_pairs(spec: DecodeSpec, params: SamplingParams) -> None:
    """Refuse wishes that exclude each other.

    Raises:
        RefusedPairError: it names both and the way out.
    """
    for pair in REFUSED_PAIRS:
        if pair.asks_first(spec, params) and pair.asks_second(spec, params):
            raise RefusedPairError(f"{pair.first} and {pair.second} exclude each other: {pair.why}")
