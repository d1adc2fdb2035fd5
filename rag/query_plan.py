"""What is looked for besides the question as it stands, and what becomes of all that is found.

    question → rewrite → lanes (own search · hyde · paraphrases · self-ask · knowledge · carried)
             → fusion → near duplicates out → MMR → rerank

The plan of a collection that nobody tuned asks no model and is the fused search of `rag/retriever`;
`rag/plan_tuning.py` turns on what helps on a collection's own questions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

RewriteName = Literal["questions", "subject", "model"]
FusionName = Literal["sum", "scores", "ranks"]
RerankerName = Literal["late-interaction", "query-likelihood", "cross-encoder"]

MOST_DRAFTS = 8
MOST_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """Which techniques a search uses.

    `rewrite` is how a follow-up is made to stand alone: with the question before it ("questions"),
    with the dialogue's subject ("subject"), or by the model.

    `hyde` hypothetical passages are averaged with the query's vector (arXiv 2212.10496, eq. 8);
    `paraphrases` are searched beside the question; `self_ask` is the most sub-questions (arXiv
    2210.03350); `knowledge` has the model write down what it knows (arXiv 2110.08387), which is
    searched for and never cited. `carried` keeps what the last turns cited among the candidates of
    a follow-up.

    `fusion` makes one ranking of vectors and terms ("sum" is the formula of `rag/retriever`), and
    by scores, or for "ranks" by ranks, of that and the other lanes, each of which counts
    `lane_weight`. `distinct` is from which similarity on a passage repeats another, `mmr` the
    share of relevance beside novelty; 0 and 1 switch them off. The reranker reads the first
    `rerank_depth`. A lane or a reranker that takes longer than `lane_s` seconds is left out.
    """

    rewrite: RewriteName = "subject"
    hyde: int = 0
    paraphrases: int = 0
    self_ask: int = 0
    knowledge: bool = False
    carried: bool = True
    fusion: FusionName = "sum"
    lane_weight: float = 0.5
    distinct: float = 0.0
    mmr: float = 1.0
    rerank: RerankerName | None = None
    rerank_depth: int = 20
    lane_s: float = 5.0

    def __post_init__(self) -> None:
        for name, most in (("hyde", MOST_DRAFTS), ("paraphrases", MOST_DRAFTS)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be in [0, {most}], got {getattr(self, name)}")
        if not 0 <= self.self_ask <= MOST_STEPS:
            raise ValueError(f"self_ask must be in [0, {MOST_STEPS}], got {self.self_ask}")
        for name, kind in (("rewrite", RewriteName), ("fusion", FusionName)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}"
                )
        if self.rerank is not None and self.rerank not in get_args(RerankerName):
            raise ValueError(
                f"rerank is one of {', '.join(get_args(RerankerName))} or none, got {self.rerank!r}"
            )
        if not (0 <= self.distinct <= 1 and 0 <= self.mmr <= 1):
            raise ValueError(
                f"distinct and mmr must be in [0, 1], got {self.distinct} and {self.mmr}"
            )
        if not (self.lane_weight > 0 and self.lane_s > 0 and self.rerank_depth >= 1):
            raise ValueError(
                "lane_weight and lane_s must be above 0 and rerank_depth at least 1, got"
                f" {self.lane_weight}, {self.lane_s} and {self.rerank_depth}"
            )

    @property
    def asks_model(self) -> bool:
        """Whether a lane of it is written by a model."""
        return bool(self.hyde or self.paraphrases or self.self_ask or self.knowledge)

    @property
    def looks_closer(self) -> bool:
        """Whether more candidates are needed than are asked for."""
        return bool(self.asks_model or self.distinct or self.mmr < 1 or self.rerank)

    @property
    def needs_engine(self) -> bool:
        """Whether a search by it needs the chat model."""
        return self.asks_model or self.rewrite == "model" or self.rerank == "query-likelihood"

    @property
    def is_fused_search(self) -> bool:
        """Whether a question that stands alone is searched for as without a plan."""
        return not self.looks_closer and self.fusion == "sum"

    def changes(self) -> dict[str, Any]:
        """Return what differs from the plan of a collection that nobody tuned, for a file."""
        usual = asdict(DEFAULT_PLAN)
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    @classmethod
    def from_changes(cls, changes: Mapping[str, Any]) -> "QueryPlan":
        """Rebuild a plan from `changes`.

        Raises:
            ValueError: a name or a value is none of a plan's.
        """
        known = {one.name for one in fields(cls)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"a plan has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        return cls(**changes)


DEFAULT_PLAN = QueryPlan()
