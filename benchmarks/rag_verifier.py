"""The verifier on SciFact's evidence: which claims does their evidence support, which contradict?

616 pairs of a claim and the evidence sentences of one abstract are labelled SUPPORT, 341
CONTRADICT.
The sentences are those whose numbers are given, after our own cutting of the abstract, which now
and then differs by one. Lexical cover alone is the baseline. "verifier" is a logistic rule over
cover, similarity of the vectors and the hard checks, fitted and measured in five folds grouped by
claim; "with lift" adds the evidence lift under the default model. The hard checks alone need no
fitting: a claim is refused where they find something. F1 is of SUPPORT, at the threshold that is
best on the other folds.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from api.bootstrap import open_scorer
from api.settings import load_settings
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import encoded
from llm.chat import TextScorer
from rag.claim_check import check_claim, nearest_part
from rag.polarity import is_negated, opposed

_FOLDS = 5
_QUICK = 120
_RESAMPLES = 1000
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(\[])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A claim and the sentences of an abstract that speak of it."""

    claim_id: str
    claim: str
    evidence: str
    is_support: bool


def verifier(options: Options) -> list[Figure]:
    """Return AUROC and F1 of the verifier beside lexical cover alone."""
    pairs = read_pairs(options.data)
    if options.is_quick:
        pairs = pairs[:_QUICK]
    truth = np.array([pair.is_support for pair in pairs])
    groups = [pair.claim_id for pair in pairs]
    plain = plain_features(pairs)
    lift = lifts(pairs)
    scores = {
        "lexical cover alone": plain[:, 0],
        "verifier": cross_validated(plain, truth, groups, seed=options.seed),
        "verifier with lift": cross_validated(
            np.column_stack([plain, lift]), truth, groups, seed=options.seed
        ),
    }
    figures = []
    base = {"AUROC": auroc(scores["lexical cover alone"], truth)}
    base["F1"] = f1(scores["lexical cover alone"], truth, groups, seed=options.seed)
    print(f"{len(pairs)} pairs, {int(truth.sum())} of support\n")
    print("| rule | AUROC | F1 of support |\n|---|---|---|")
    for name, values in scores.items():
        low, high = interval(values, truth, groups, seed=options.seed)
        area = auroc(values, truth)
        score = f1(values, truth, groups, seed=options.seed)
        print(f"| {name} | {area:.3f} [{low:.3f}, {high:.3f}] | {score:.3f} |")
        is_base = name == "lexical cover alone"
        figures += [
            Figure(
                name=f"SciFact evidence, {name}: AUROC",
                value=area,
                unit=f"of {len(pairs)} pairs",
                spread=(low, high),
                baseline=None if is_base else base["AUROC"],
                target=None if is_base or options.is_quick else base["AUROC"],
            ),
            Figure(
                name=f"SciFact evidence, {name}: F1 of support",
                value=score,
                unit=f"of {len(pairs)} pairs",
                baseline=None if is_base else base["F1"],
            ),
        ]
    refused = [bool(check_claim(pair.claim, pair.evidence).problems) for pair in pairs]
    for label in (True, False):
        of_it = [was for was, pair in zip(refused, pairs, strict=True) if pair.is_support == label]
        name = "SUPPORT" if label else "CONTRADICT"
        print(f"a hard check objects to {sum(of_it)} of {len(of_it)} {name}")
    return figures


def read_pairs(data: Path) -> list[Pair]:
    """Read the labelled pairs."""
    folder = data / "ir_scifact"
    texts = {
        row["_id"]: _SENTENCE.split(row["text"].strip()) for row in _lines(folder / "corpus.jsonl")
    }
    pairs = []
    for row in _lines(folder / "claims_train.jsonl"):
        for one in row["evidence"]:
            sentences = texts[one["doc_id"]]
            numbers = [min(number, len(sentences) - 1) for number in one["sentences"]]
            pairs.append(
                Pair(
                    claim_id=row["id"],
                    claim=row["claim"],
                    evidence=" ".join(sentences[number] for number in dict.fromkeys(numbers)),
                    is_support=one["label"] == "SUPPORT",
                )
            )
    return pairs


def plain_features(pairs: Sequence[Pair]) -> Float[np.ndarray, "n f"]:
    """Return cover first, then what needs no language model."""
    claims = encoded([pair.claim for pair in pairs], f"scifact-claims-{len(pairs)}")
    sources = encoded([pair.evidence for pair in pairs], f"scifact-evidence-{len(pairs)}")
    near = np.einsum("nd,nd->n", claims, sources)
    rows = []
    for pair, similarity in zip(pairs, near, strict=True):
        check = check_claim(pair.claim, pair.evidence)
        part = nearest_part(pair.claim, pair.evidence)
        kinds = [problem.kind for problem in check.problems]
        rows.append(
            [
                check.cover,
                float(similarity),
                float("number" in kinds),
                float("name" in kinds),
                float(is_negated(pair.claim) != is_negated(part)),
                float(is_negated(pair.claim)),
                float(opposed(pair.claim, part) is not None),
                float("negation" in kinds or "opposite" in kinds),
            ]
        )
    return np.array(rows)


def lifts(pairs: Sequence[Pair]) -> Float[np.ndarray, " n"]:
    """Return log p(claim | evidence) - log p(claim) in nats per character, cached."""
    settings = load_settings()
    words = json.dumps([settings.chat_model, *[(pair.claim, pair.evidence) for pair in pairs]])
    digest = hashlib.blake2b(words.encode(), digest_size=8).hexdigest()
    path = settings.home / "benchmark-lifts" / f"scifact-{digest}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = open_scorer(settings)
        try:
            values = [_lift(engine, pair) for pair in pairs]
        finally:
            engine.close()
        np.save(path, np.array(values))
    found: Float[np.ndarray, " n"] = np.load(path)
    return found


def _lift(engine: TextScorer, pair: Pair) -> float:
    told = engine.score(f"Evidence: {pair.evidence}\nTherefore:", [f" {pair.claim}"])
    bare = engine.score("Therefore:", [f" {pair.claim}"])
    return float(told.log_probs[0] - bare.log_probs[0]) / len(pair.claim)


def cross_validated(
    rows: Float[np.ndarray, "n f"],
    truth: Bool[np.ndarray, " n"],
    groups: Sequence[str],
    *,
    seed: int,
) -> Float[np.ndarray, " n"]:
    """Return the logistic rule's probability for each row by the weights of the other folds."""
    folds = fold_of(groups, seed=seed)
    scores = np.empty(len(truth))
    for fold in range(_FOLDS):
        kept = folds != fold
        mean, spread = rows[kept].mean(axis=0), rows[kept].std(axis=0) + 1e-9
        weights = _logistic((rows[kept] - mean) / spread, truth[kept])
        x = np.column_stack([(rows[~kept] - mean) / spread, np.ones((~kept).sum())])
        scores[~kept] = 1 / (1 + np.exp(-(x @ weights)))
    return scores


def _logistic(
    rows: Float[np.ndarray, "n f"], truth: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " g"]:
    x = np.column_stack([rows, np.ones(len(rows))])
    at = np.zeros(x.shape[1])
    penalty = np.diag([*np.ones(rows.shape[1]), 1e-6])
    for _ in range(30):
        p = 1 / (1 + np.exp(-(x @ at)))
        slope = x.T @ (p - truth) + penalty @ at
        at -= np.linalg.solve((x.T * (p * (1 - p))) @ x + penalty, slope)
    return at


def fold_of(groups: Sequence[str], *, seed: int) -> Float[np.ndarray, " n"]:
    """Return the fold of each row; rows of one group are in one."""
    names = sorted(set(groups))
    np.random.default_rng(seed).shuffle(names)
    place = {name: i % _FOLDS for i, name in enumerate(names)}
    return np.array([place[group] for group in groups])


def auroc(scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """Return the chance that one that is true scores above one that is not; a tie is a half."""
    yes, no = scores[truth], np.sort(scores[~truth])
    below = np.searchsorted(no, yes, "left") + np.searchsorted(no, yes, "right")
    return float(below.mean() / (2 * len(no)))


def f1(
    scores: Float[np.ndarray, " n"],
    truth: Bool[np.ndarray, " n"],
    groups: Sequence[str],
    *,
    seed: int,
) -> float:
    """Return F1 of what is true, each fold at the threshold that is best on the others."""
    folds = fold_of(groups, seed=seed)
    said = np.zeros(len(truth), bool)
    for fold in range(_FOLDS):
        kept = folds != fold
        steps = np.unique(scores[kept])
        best = max(steps, key=lambda at: _f1(scores[kept] >= at, truth[kept]))
        said[~kept] = scores[~kept] >= best
    return _f1(said, truth)


def _f1(said: Bool[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    right = int((said & truth).sum())
    return 2 * right / max(1, int(said.sum() + truth.sum()))


def interval(
    scores: Float[np.ndarray, " n"],
    truth: Bool[np.ndarray, " n"],
    groups: Sequence[str],
    *,
    seed: int,
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the AUROC, claims being drawn as a whole."""
    draws = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    names = list(rows)
    found = []
    for _ in range(_RESAMPLES):
        picked = [i for at in draws.integers(0, len(names), len(names)) for i in rows[names[at]]]
        if 0 < truth[picked].sum() < len(picked):
            found.append(auroc(scores[picked], truth[picked]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
