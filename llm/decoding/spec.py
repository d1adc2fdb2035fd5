"""What a request may ask of the decoder beyond sampling: form, steering, contrast, drafts, search.

Frozen values that check themselves; they can be hashed and compared. What they name (heads, n-gram
models) is looked up where a request is admitted. Knows no model and no tokens.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from llm.decoding.grammar_spec import GrammarSpec

MAX_STEERS = 8
MAX_BRANCHES = 16
MAX_DRAFT = 32
MAX_CANDIDATES = 200
MAX_PREDICTION_CHARS = 200_000

SteerMethod = Literal["fudge", "reward"]
DrafterName = Literal["auto", "off", "prompt", "history", "ngram", "grammar", "prediction"]
SearchMethod = Literal["sample", "beam", "best_of", "mbr", "self_consistency"]
UtilityName = Literal["exact", "token_f1", "chrf", "slot_f1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """One scorer that the text should please (P4).

    "fudge" adds `weight` x log P(attribute | prefix, token) (arXiv 2104.05218); a negative weight
    asks for the opposite attribute. "reward" adds `weight` x reward, the reward being in [0, 1]
    (RAD, arXiv 2310.09520). Only the `candidates` most probable tokens are scored, and no other can
    come; of several steers the fewest count.
    """

    scorer: str
    weight: float = 1.0
    method: SteerMethod = "fudge"
    candidates: int = MAX_CANDIDATES

    def __post_init__(self) -> None:
        if not self.scorer:
            raise ValueError("steer needs the name of a scorer, got an empty one")
        if not (math.isfinite(self.weight) and abs(self.weight) <= 1000):
            raise ValueError(f"the weight of a steer must be in [-1000, 1000], got {self.weight}")
        if self.method not in ("fudge", "reward"):
            raise ValueError(f"the method of a steer must be fudge or reward, got {self.method!r}")
        if not 1 <= self.candidates <= MAX_CANDIDATES:
            raise ValueError(
                f"the candidates of a steer must be in [1, {MAX_CANDIDATES}], got {self.candidates}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Guidance by an expert and an anti-expert (P3, arXiv 2105.03023): z + weight (z+ - z-).

    Both are adapters of the decoder's head, by name. Only tokens of the model's own top-p set of
    `top_p` can come.
    """

    expert: str
    anti_expert: str
    weight: float = 1.0
    top_p: float = 0.9

    def __post_init__(self) -> None:
        if not (self.expert and self.anti_expert):
            raise ValueError("experts need the names of an expert and an anti-expert")
        if not (math.isfinite(self.weight) and abs(self.weight) <= 100):
            raise ValueError(f"the weight of experts must be in [-100, 100], got {self.weight}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"the top_p of experts must be in (0, 1], got {self.top_p}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Contrastive decoding in its sampling form (P3, arXiv 2210.15097, 2309.09117).

    (1 + weight) z_expert - weight z_amateur, for tokens of at least `head` times the highest
    probability. The amateur is the decoder's own early exit ("exit") or an n-gram model by its
    name ("ngram:NAME").
    """

    amateur: str = "exit"
    weight: float = 0.5
    head: float = 0.1

    def __post_init__(self) -> None:
        name = self.amateur.removeprefix("ngram:")
        if self.amateur != "exit" and (name == self.amateur or not name):
            raise ValueError(f"the amateur must be 'exit' or 'ngram:NAME', got {self.amateur!r}")
        if not (math.isfinite(self.weight) and 0 <= self.weight <= 10):
            raise ValueError(f"the weight of a contrast must be in [0, 10], got {self.weight}")
        if not 0 < self.head <= 1:
            raise ValueError(f"the head of a contrast must be in (0, 1], got {self.head}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """How tokens are drafted, to be verified several at a time.

    By "exact" verification the text is that of no speculation, byte for byte; "rejection" keeps
    the distribution alone (arXiv 2211.17192). `max_draft` bounds the tokens of one draft; how many
    of them are tried adapts. `prediction` is a text that the answer is expected to resemble.
    """

    drafter: DrafterName = "auto"
    verify: Literal["exact", "rejection"] = "exact"
    max_draft: int = 8
    prediction: str = ""
    ngram: str = ""

    def __post_init__(self) -> None:
        if self.drafter not in (
            "auto",
            "off",
            "prompt",
            "history",
            "ngram",
            "grammar",
            "prediction",
        ):
            raise ValueError(f"there is no drafter {self.drafter!r}")
        if self.verify not in ("exact", "rejection"):
            raise ValueError(f"verify must be 'exact' or 'rejection', got {self.verify!r}")
        if not 1 <= self.max_draft <= MAX_DRAFT:
            raise ValueError(f"max_draft must be in [1, {MAX_DRAFT}], got {self.max_draft}")
        if len(self.prediction) > MAX_PREDICTION_CHARS:
            raise ValueError(
                f"a prediction may have {MAX_PREDICTION_CHARS} characters at most, got"
                f" {len(self.prediction)}"
            )
        if self.drafter == "ngram" and not self.ngram:
            raise ValueError("the drafter 'ngram' needs the name of a model in ngram")
        if self.drafter == "prediction" and not self.prediction:
            raise ValueError("the drafter 'prediction' needs a prediction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How one answer is found among several branches.

    "sample" draws one. "beam" keeps the `width` most probable, in `groups` that shun each other's
    tokens by `diversity` nats (arXiv 1610.02424); a hypothesis of n tokens is worth its
    log-probability / ((5 + n) / 6) ** `length_penalty` (arXiv 1609.08144). The others draw `width`
    samples: "best_of" takes the one of the highest mean log-probability, "mbr" the one of the
    highest mean `utility` against all (arXiv 2211.07634), "self_consistency" the one whose answer
    most agree on (arXiv 2203.11171), which is what `answer_regex` captures, or the whole text.
    """

    method: SearchMethod = "sample"
    width: int = 4
    groups: int = 1
    diversity: float = 0.5
    length_penalty: float = 1.0
    utility: UtilityName = "chrf"
    answer_regex: str = ""

    def __post_init__(self) -> None:
        if self.method not in ("sample", "beam", "best_of", "mbr", "self_consistency"):
            raise ValueError(f"there is no search {self.method!r}")
        if not 1 <= self.width <= MAX_BRANCHES:
            raise ValueError(f"the width of a search must be in [1, {MAX_BRANCHES}]")
        if not (1 <= self.groups <= self.width and self.width % self.groups == 0):
            raise ValueError(
                f"the groups of a search must divide its width, got {self.groups} of {self.width}"
            )
        if not (math.isfinite(self.diversity) and 0 <= self.diversity <= 100):
            raise ValueError(f"diversity must be in [0, 100], got {self.diversity}")
        if not (math.isfinite(self.length_penalty) and 0 <= self.length_penalty <= 10):
            raise ValueError(f"length_penalty must be in [0, 10], got {self.length_penalty}")
        if self.utility not in ("exact", "token_f1", "chrf", "slot_f1"):
            raise ValueError(f"there is no utility {self.utility!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSpec:
    """Everything a request may ask of the decoder beyond `SamplingParams`.

    `context_faithfulness` is alpha of context-aware decoding (arXiv 2305.14739), 0 for none; it
    needs a second prompt without the evidence. `num_choices` answers are drawn. `mark` is "auto",
    "off" or a watermark scheme by its name. All of it composes.
    """

    grammar: GrammarSpec | None = None
    steer: tuple[Steer, ...] = ()
    experts: Experts | None = None
    contrast: Contrast | None = None
    context_faithfulness: float = 0.0
    speculation: Speculation = field(default_factory=Speculation)
    search: Search = field(default_factory=Search)
    num_choices: int = 1
    mark: str = "auto"

    def __post_init__(self) -> None:
        if len(self.steer) > MAX_STEERS:
            raise ValueError(f"at most {MAX_STEERS} scorers steer a text, got {len(self.steer)}")
        if not (math.isfinite(self.context_faithfulness) and 0 <= self.context_faithfulness <= 10):
            raise ValueError(
                f"context_faithfulness must be in [0, 10], got {self.context_faithfulness}"
            )
        if not 1 <= self.num_choices <= MAX_BRANCHES:
            raise ValueError(f"n must be in [1, {MAX_BRANCHES}], got {self.num_choices}")
        if self.num_choices > 1 and self.search.method != "sample":
            raise ValueError(
                f"n {self.num_choices} and search {self.search.method!r} exclude each other; a"
                " search gives one answer"
            )


PLAIN = DecodeSpec()
