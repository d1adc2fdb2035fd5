"""What a request may ask and what may happen around it, as one table.

A semantic feature changes what is said; a neutral one may not change a byte. The test of the table
is `tests/llm/test_feature_matrix.py`.
"""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from llm.decoding.grammar_spec import Choices
from llm.decoding.refused_pairs import check_pairs
from llm.decoding.spec import Contrast, DecodeSpec, Experts, Search, Speculation, Steer
from llm.errors import RefusedPairError
from llm.sampling_params import Dry, Mirostat, SamplingParams

PROMPT = (7, 30, 5, 22, 41, 7, 30, 5, 9, 12, 55, 18, 40, 2, 7, 30, 33, 8, 27, 19)
OTHER_PROMPT = (3, 44, 5, 22, 17, 7, 26)  # the same question without evidence
MAX_TOKENS = 20
SEED = 2
TEMPERATURE = 0.6

# No piece of two characters of the vocabulary stands in them, so each has one spelling. Some begin
# with others, so that an output may end in two places.
OPTIONS = tuple(
    "".join(parts)
    for parts in itertools.product(
        ("0x", "kd", "77v"),
        ("qz-w", "4v:", "-mn"),
        ("x5m6", "0p,b"),
        ("k:9q", "-j3", "wv2"),
        ("d8u-hd", "h7z3,m"),
        ("", "7x", "d5"),
    )
)
SECRET = bytes(range(16))
SCHEMES = ("gumbel", "sbw", "synthid", "kgw", "kgw-hard", "unigram")
PREDICTION = "iiiihhhhhhhhsssssssseeee7777 reerere 0xqz-wx5m6k:9qd8u-hd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """How one feature changes a request, or what is around it.

    `is_warm`: a plain request of the same prompt was answered before. `has_mates`: others run
    beside it. `is_crowded`: the cache has room for it alone, and others are more important.
    """

    name: str
    kind: Literal["semantic", "neutral"] = "semantic"
    params: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    is_warm: bool = False
    max_rows: int | None = None
    has_mates: bool = False
    is_crowded: bool = False


def _draft(name: str, *, is_warm: bool = False, **more: Any) -> Feature:
    asked = Speculation(drafter=name, **more)  # type: ignore[arg-type]
    return Feature(
        name=f"draft_{name}", kind="neutral", spec={"speculation": asked}, is_warm=is_warm
    )


def _mark(scheme: str) -> Feature:
    return Feature(name=f"mark_{scheme}", spec={"mark": scheme})


FEATURES: Mapping[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature(name="grammar", spec={"grammar": Choices(options=OPTIONS)}),
        Feature(name="fudge", spec={"steer": (Steer(scorer="dull", weight=1.7),)}),
        Feature(
            name="reward",
            spec={"steer": (Steer(scorer="kind", weight=-4.0, method="reward", candidates=9),)},
        ),
        Feature(name="contrast", spec={"contrast": Contrast(weight=0.7, head=0.03)}),
        Feature(name="ngrams", spec={"contrast": Contrast(amateur="ngram:bigrams", head=0.02)}),
        Feature(name="experts", spec={"experts": Experts(expert="brave", anti_expert="timid")}),
        Feature(name="evidence", spec={"context_faithfulness": 0.7}),
        Feature(
            name="penalties",
            params={
                "repetition_penalty": 1.15,
                "presence_penalty": 0.2,
                "frequency_penalty": 0.1,
                "dry": Dry(multiplier=0.7, allowed_length=1, breakers=("7", " ")),
                "logit_bias": ((20, 0.7), (11, -1.5), (9, -100.0)),
            },
        ),
        Feature(
            name="strings",
            params={"banned_strings": ("ss", "hhh", "wx", ":0", "3d"), "min_tokens": 15},
        ),
        Feature(name="cuts", params={"top_p": 0.9137, "typical_p": 0.9531, "min_p": 0.0117}),
        Feature(name="mirostat", params={"mirostat": Mirostat(tau=1.5, eta=0.3)}),
        Feature(
            name="stop",
            params={"stop": ("sssss", "7x", "h7", "d5", "55s", "ssor", "hss", "eoo", "w\ufffd")},
        ),
        Feature(
            name="logprobs",
            params={"logprobs": True, "top_logprobs": 3, "logprobs_mode": "final"},
        ),
        Feature(name="choices", spec={"num_choices": 3}),
        Feature(
            name="beam",
            params={"temperature": 0.0},
            spec={"search": Search(method="beam", width=3, length_penalty=0.7)},
        ),
        Feature(name="best_of", spec={"search": Search(method="best_of", width=3)}),
        *map(_mark, SCHEMES),
        Feature(name="prefix_cache", kind="neutral", is_warm=True),
        Feature(name="chunking", kind="neutral", max_rows=7),
        Feature(name="mates", kind="neutral", has_mates=True),
        Feature(name="preemption", kind="neutral", is_crowded=True),
        _draft("prompt", max_draft=5),
        _draft("prediction", prediction=PREDICTION, max_draft=3),
        _draft("ngram", ngram="bigrams"),
        _draft("grammar"),
        _draft("history", is_warm=True),
        _draft("auto", ngram="bigrams", prediction=PREDICTION),
    )
}
NEUTRAL = tuple(name for name, feature in FEATURES.items() if feature.kind == "neutral")
SEMANTIC = tuple(name for name, feature in FEATURES.items() if feature.kind == "semantic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request with its surroundings."""

    params: SamplingParams
    spec: DecodeSpec
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def num_answers(self) -> int:
        """How many answers are drawn; a beam draws none."""
        if "beam" in self.names:
            return 1
        is_search = self.spec.search.method != "sample"
        return self.spec.search.width if is_search else self.spec.num_choices

    @property
    def baseline(self) -> tuple[int, ...]:
        """The second prompt."""
        return OTHER_PROMPT if self.spec.context_faithfulness else ()


class ClashError(Exception):
    """Two features want the same thing in two ways, so nobody can ask for both."""


def wish(
    names: Iterable[str],
    *,
    params: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Wish:
    """Return the request that asks for some features, and for more.

    Raises:
        ClashError: they want different values of the same field.
        ValueError: they are refused where a request is made.
        RefusedPairError: they are refused by the table of pairs.
    """
    features = tuple(FEATURES[name] for name in names)
    of_params, of_spec = dict(params or {}), dict(spec or {})
    for feature in features:
        for asked, together in ((feature.params, of_params), (feature.spec, of_spec)):
            for key, value in asked.items():
                if key == "steer":
                    together[key] = (*together.get(key, ()), *value)
                elif together.setdefault(key, value) != value:
                    raise ClashError(f"{feature.name} wants another {key}")
    base = {"temperature": TEMPERATURE, "seed": SEED, "max_tokens": MAX_TOKENS}
    made = Wish(
        params=SamplingParams(**{**base, **of_params}),
        spec=DecodeSpec(**{"speculation": Speculation(drafter="off"), "mark": "off", **of_spec}),
        features=features,
    )
    check_pairs(made.spec, made.params)
    return made


@cache
def is_possible(names: tuple[str, ...]) -> bool:
    """Whether some features can be asked for together."""
    try:
        wish(names)
    except (ClashError, ValueError, RefusedPairError):
        return False
    return True


def covering_rows(strength: int, *, largest: int, seed: int) -> list[tuple[str, ...]]:
    """Return sets of features such that any `strength` that go together are all in one of them.

    Greedy: each set begins with a combination that is in none yet, and takes what adds most.
    """
    shuffler = random.Random(seed)
    names = sorted(FEATURES)
    left = {each for each in itertools.combinations(names, strength) if is_possible(each)}
    rows: list[tuple[str, ...]] = []
    while left:
        row = list(min(left))
        others = [name for name in names if name not in row]
        while len(row) < largest and others:
            shuffler.shuffle(others)
            gains = {name: _gain(row, name, left, strength) for name in others}
            best = max(others, key=gains.__getitem__)
            others.remove(best)
            if gains[best] and all(is_possible(tuple(sorted((best, one)))) for one in row):
                row.append(best)
        row.sort()
        left -= set(itertools.combinations(row, strength))
        rows.append(tuple(row))
    return rows


def _gain(row: list[str], name: str, left: set[tuple[str, ...]], strength: int) -> int:
    pairs = itertools.combinations(row, strength - 1)
    return sum(tuple(sorted((*pair, name))) in left for pair in pairs)
