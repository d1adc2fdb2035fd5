"""DSTC11 track 5: which turns ask for knowledge, and which snippets answer them.

2,103 dialogues up to a user's turn; half of these turns ask for what stands in reviews and FAQs of
143 hotels and restaurants (10,882 snippets). Folds are of dialogues: contexts that begin with the
same words share a fold, and what decides a context was fitted on the other folds.

- Knowledge turn: logistic in the vector of the turn and a few words of it; beside "it ends in ?".
- Selection, on the turns that ask: the entities named last in the dialogue, then each of their
  snippets by itself, logistic in its nearness to the question, to what answered the most similar
  questions of other folds, and in the products of both vectors along 64 principal axes. A snippet
  counts by all five fields of its label; F1 is over all snippets of all turns, exact match of the
  whole set of a turn, both by our own definition. Recall@5 has a ceiling, since many turns have
  more than five.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.rag_dstc11_entities import Entity, NamedEntities, words_of
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import encoded
from rag.logistic import fit_logistic
from rag.metrics import bootstrap_interval

FOLDS = 5
NUM_QUICK = 400
BASELINE_TARGET = 0.825
_DEPTH = 5
_AXES = 64
_SHARPNESS = (10.0, 25.0)  # of the weights of similar questions
_RIDGE_TURN, _RIDGE_SNIPPET = 30.0, 10.0
_THRESHOLDS = tuple(np.arange(0.2, 0.55, 0.05).round(2).tolist())
_WORDS = ("they", "it", "there", "their", "any", "either", "i", "need", "book", "place", "both")
_ASKING = frozenset(
    [
        *("what", "which", "who", "how", "where", "when", "why", "is", "are", "do", "does", "can"),
        *("could", "would", "will", "did", "was", "have", "has"),
    ]
)
Label = tuple[str, int, str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The turns of a dialogue, whose last one is judged, and the snippets that answer it."""

    turns: tuple[str, ...]
    is_asking: bool
    gold: frozenset[Label]

    @property
    def last(self) -> str:
        """The turn that is judged."""
        return self.turns[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A sentence of a review, or a question with its answer; `asked` is what questions resemble."""

    label: Label
    asked: str

    @property
    def entity(self) -> Entity:
        """The hotel or restaurant."""
        return self.label[0], self.label[1]


def dstc11(options: Options) -> list[Figure]:
    """Return the figures of the turns that ask, and of the snippets chosen for them."""
    contexts, snippets, names = read_dstc11(options.data / "dstc11_track5")
    if options.is_quick:
        contexts = contexts[:NUM_QUICK]
    entities = NamedEntities(names)
    folds = folds_of(contexts, options.seed)
    questions = encoded([one.last for one in contexts], "dstc11-turns").astype(np.float64)
    figures = _turn_figures(contexts, entities, questions, folds, options)
    asking = np.flatnonzero([one.is_asking for one in contexts])
    vectors = encoded([one.asked for one in snippets], "dstc11-snippets").astype(np.float64)
    candidates = Candidates.of([contexts[i] for i in asking], snippets, entities)
    p = _snippet_probabilities(candidates, questions[asking], vectors, folds[asking])
    figures += _selection_figures(candidates, p, folds[asking], options)
    for figure in figures:
        beside = "" if figure.baseline is None else f" (beside {figure.baseline:.3f})"
        print(f"{figure.name}: {figure.value:.3f} {figure.spread}{beside}", flush=True)
    return figures


def read_dstc11(folder: Path) -> tuple[list[Context], list[Snippet], dict[Entity, str]]:
    """Return the contexts, the snippets, and the names of what they are about."""
    logs, labels, knowledge = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("logs", "labels", "knowledge")
    )
    contexts = [
        Context(
            turns=tuple(turn["text"] for turn in turns),
            is_asking=label["target"],
            gold=frozenset(
                (k["domain"], k["entity_id"], k["doc_type"], k["doc_id"], k.get("sent_id", -1))
                for k in label.get("knowledge", [])
            ),
        )
        for turns, label in zip(logs, labels, strict=True)
    ]
    snippets, names = [], dict[Entity, str]()
    for domain, found in knowledge.items():
        for key, entity in found.items():
            number = int(key)
            names[domain, number] = entity["name"]
            for review_key, review in entity.get("reviews", {}).items():
                snippets += [
                    Snippet(label=(domain, number, "review", int(review_key), int(i)), asked=text)
                    for i, text in review["sentences"].items()
                ]
            snippets += [
                Snippet(label=(domain, number, "faq", int(i), -1), asked=faq["question"])
                for i, faq in entity.get("faqs", {}).items()
            ]
    return contexts, snippets, names


def folds_of(contexts: Sequence[Context], seed: int) -> Int[np.ndarray, " n"]:
    """Return the fold of each context; those that begin with the same words share one."""
    beginnings = [one.turns[0].lower().strip() for one in contexts]
    names = sorted(set(beginnings))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = dict(zip(names, (order % FOLDS).tolist(), strict=True))
    return np.array([fold[beginning] for beginning in beginnings])


def _turn_figures(
    contexts: Sequence[Context],
    entities: NamedEntities,
    questions: Float[np.ndarray, "n d"],
    folds: Int[np.ndarray, " n"],
    options: Options,
) -> list[Figure]:
    rows = np.concatenate([questions, [_turn_features(c, entities) for c in contexts]], axis=1)
    truth = np.array([one.is_asking for one in contexts])
    told = np.zeros(len(truth), bool)
    for fold in range(FOLDS):
        others = folds != fold
        model = fit_logistic(rows[others], truth[others].astype(float), ridge=_RIDGE_TURN)
        told[~others] = model.logits(rows[~others]) > 0
    ends = np.array([one.last.strip().endswith("?") for one in contexts])
    return [
        Figure(
            name="DSTC11, knowledge turn F1",
            value=_f1(told, truth),
            unit=f"of {len(truth)} turns",
            spread=_f1_interval(told, truth, options.seed),
            baseline=_f1(ends, truth),
            target=None if options.is_quick else BASELINE_TARGET,
        )
    ]


def _turn_features(context: Context, entities: NamedEntities) -> list[float]:
    words = words_of(context.last)
    return [
        context.last.strip().endswith("?"),
        "?" in context.last,
        bool(words) and words[0] in _ASKING,
        len(words),
        bool(entities.last_named(context.turns)),
        bool(entities.named_in(context.last)),
        len(context.turns),
        *(word in words for word in _WORDS),
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """The snippets that may answer each question: pairs of a question and a snippet, by number."""

    contexts: Sequence[Context]
    snippets: Sequence[Snippet]
    owner: Int[np.ndarray, " p"]
    snippet: Int[np.ndarray, " p"]
    num_entities: Int[np.ndarray, " n"]

    @classmethod
    def of(
        cls, contexts: Sequence[Context], snippets: Sequence[Snippet], entities: NamedEntities
    ) -> "Candidates":
        """Take all snippets of the entities named last."""
        of_entity: dict[Entity, list[int]] = {}
        for i, one in enumerate(snippets):
            of_entity.setdefault(one.entity, []).append(i)
        named = [entities.last_named(context.turns) for context in contexts]
        pairs = [
            (number, i)
            for number, found in enumerate(named)
            for entity in found
            for i in of_entity.get(entity, [])
        ]
        owner, snippet = np.array(pairs, np.int64).reshape(-1, 2).T
        counts = np.array([len(found) for found in named])
        return cls(
            contexts=contexts, snippets=snippets, owner=owner, snippet=snippet, num_entities=counts
        )

    def is_gold(self) -> Bool[np.ndarray, " p"]:
        """Return which pairs are right."""
        pairs = zip(self.owner.tolist(), self.snippet.tolist(), strict=True)
        return np.array([self.snippets[i].label in self.contexts[n].gold for n, i in pairs])

    def of_each(self) -> Iterator[tuple[frozenset[Label], Int[np.ndarray, " m"]]]:
        """Yield the labels of each question and the numbers of its pairs."""
        starts = np.searchsorted(self.owner, np.arange(len(self.contexts) + 1))
        for context, low, high in zip(self.contexts, starts, starts[1:], strict=False):
            yield context.gold, np.arange(low, high)


def _snippet_probabilities(
    candidates: Candidates,
    questions: Float[np.ndarray, "n d"],
    vectors: Float[np.ndarray, "s d"],
    folds: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " p"]:
    """Return the probability of each pair by models that were fitted on other folds."""
    number = {snippet.label: i for i, snippet in enumerate(candidates.snippets)}
    answers = np.stack(
        [
            vectors[[number[label] for label in sorted(context.gold)]].mean(axis=0)
            for context in candidates.contexts
        ]
    )
    plain = _nearness(candidates, questions, vectors)
    truth, fold_of = candidates.is_gold().astype(float), folds[candidates.owner]
    p = np.zeros(len(truth))
    for fold in range(FOLDS):
        # Of a question that is fitted on, too, similar ones come from yet other folds.
        similar = _similar(candidates, (questions, answers, vectors), folds, fold)
        rows = np.concatenate([plain, similar], axis=1)
        others = fold_of != fold
        model = fit_logistic(rows[others], truth[others], ridge=_RIDGE_SNIPPET)
        p[~others] = model.probabilities(rows[~others])
    return p


def _nearness(
    candidates: Candidates, questions: Float[np.ndarray, "n d"], vectors: Float[np.ndarray, "s d"]
) -> Float[np.ndarray, "p f"]:
    owner, snippet = candidates.owner, candidates.snippet
    near = (vectors[snippet] * questions[owner]).sum(axis=1)
    best = _best(near, owner, len(questions))
    is_faq = np.array([candidates.snippets[i].label[2] == "faq" for i in snippet.tolist()], float)
    centre = vectors.mean(axis=0)
    axes = np.linalg.svd(vectors - centre, full_matrices=False)[2][:_AXES].T
    products = ((vectors[snippet] - centre) @ axes) * ((questions[owner] - centre) @ axes)
    columns = [
        near,
        near - best[owner],
        best[owner],
        is_faq,
        is_faq * near,
        is_faq * (near - best[owner]),
        candidates.num_entities[owner].astype(float),
    ]
    return np.concatenate([np.stack(columns, axis=1), products], axis=1)


def _similar(
    candidates: Candidates,
    rows: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Float[np.ndarray, "s d"]],
    folds: Int[np.ndarray, " n"],
    fold: int,
) -> Float[np.ndarray, "p f"]:
    """Return how near snippets are to what answered similar questions of neither fold."""
    questions, answers, vectors = rows
    owner, snippet = candidates.owner, candidates.snippet
    likeness = questions @ questions.T
    usable = (folds != fold)[None, :] & (folds[None, :] != folds[:, None])
    columns = [np.where(usable, likeness, -1).max(axis=1)[owner]]
    for sharpness in _SHARPNESS:
        weights = np.where(usable, np.exp(sharpness * likeness), 0.0)
        expected = (weights / weights.sum(axis=1, keepdims=True)) @ answers
        near = (vectors[snippet] * expected[owner]).sum(axis=1)
        columns += [near, near - _best(near, owner, len(questions))[owner]]
    return np.stack(columns, axis=1)


def _selection_figures(
    candidates: Candidates,
    p: Float[np.ndarray, " p"],
    folds: Int[np.ndarray, " n"],
    options: Options,
) -> list[Figure]:
    counts = {at: np.array(list(_counts(candidates, p, at))) for at in _THRESHOLDS}
    chosen = np.zeros((len(folds), 3))
    for fold in range(FOLDS):
        others = folds != fold
        best = max(_THRESHOLDS, key=lambda at: _set_f1(counts[at][others]))
        chosen[~others] = counts[best][~others]
    recall, ceiling = [], []
    for gold, pairs in candidates.of_each():
        top = pairs[np.argsort(-p[pairs], kind="stable")[:_DEPTH]]
        found = {candidates.snippets[i].label for i in candidates.snippet[top].tolist()}
        recall.append(len(found & gold) / len(gold))
        ceiling.append(min(_DEPTH, len(gold)) / len(gold))
    exact = ((chosen[:, 0] == chosen[:, 1]) & (chosen[:, 0] == chosen[:, 2])).astype(float)
    unit = f"of {len(folds)} turns that ask"
    draws = np.random.default_rng(options.seed).integers(0, len(folds), (1000, len(folds)))
    low, high = np.percentile([_set_f1(chosen[rows]) for rows in draws], [2.5, 97.5])
    exact_interval = bootstrap_interval(exact.tolist(), seed=options.seed)
    recall_interval = bootstrap_interval(recall, seed=options.seed)
    return [
        Figure(
            name="DSTC11, selection, set F1",
            value=_set_f1(chosen),
            unit=unit,
            spread=(float(low), float(high)),
        ),
        Figure(
            name="DSTC11, selection, exact match",
            value=exact_interval.value,
            unit=unit,
            spread=(exact_interval.low, exact_interval.high),
        ),
        Figure(
            name="DSTC11, selection, recall@5, beside its ceiling",
            value=recall_interval.value,
            unit=unit,
            spread=(recall_interval.low, recall_interval.high),
            baseline=float(np.mean(ceiling)),
        ),
    ]


def _counts(
    candidates: Candidates, p: Float[np.ndarray, " p"], at: float
) -> Iterator[tuple[int, int, int]]:
    """Yield for each question how many are right, chosen, and there; at least one is chosen."""
    for gold, pairs in candidates.of_each():
        chosen = pairs[p[pairs] >= at]
        if not len(chosen) and len(pairs):
            chosen = pairs[[int(np.argmax(p[pairs]))]]
        labels = {candidates.snippets[i].label for i in candidates.snippet[chosen].tolist()}
        yield len(labels & gold), len(labels), len(gold)


def _best(
    values: Float[np.ndarray, " p"], owner: Int[np.ndarray, " p"], num: int
) -> Float[np.ndarray, " n"]:
    best = np.full(num, -1.0)
    np.maximum.at(best, owner, values)
    return best


def _set_f1(counts: Float[np.ndarray, "n 3"]) -> float:
    right, chosen, there = counts.sum(axis=0)
    return float(2 * right / (chosen + there))


def _f1(told: Bool[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    return float(2 * (told & truth).sum() / (told.sum() + truth.sum()))


def _f1_interval(
    told: Bool[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], seed: int
) -> tuple[float, float]:
    draws = np.random.default_rng(seed).integers(0, len(truth), (1000, len(truth)))
    low, high = np.percentile([_f1(told[rows], truth[rows]) for rows in draws], [2.5, 97.5])
    return float(low), float(high)
