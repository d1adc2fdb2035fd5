"""From a wanted recall to a method, its parameters and an effort, by measuring on the user's rows.

Exact search wins outright where it is quick enough. Else all methods begin on few rows; the best
third goes on to more of them, up to all (successive halving, Jamieson & Talwalkar 2016). Each is
measured at the least effort whose recall holds the target with its lower bound, found by bisection;
the last ones are timed in turns, so that a slow minute of the machine touches all of them.

Letters: `n` rows, `d` their width, `q` queries, `k` neighbours.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from index.errors import TuningError
from index.flat import FlatBuilder
from index.index_files import parameters_of
from index.methods import METHODS
from index.progress import OnProgress, unheard
from index.protocol import AnnBackend, AnnBuilder, Candidate, Metric
from index.recall import Recall, recall_of
from index.tuning import FLAT_P95_MS, Choice, Target, Trial, Tuning

_RUNGS = (4_000, 20_000)
_FEWEST_KEPT, _KEPT_SHARE = 3, 3  # a third of the candidates goes on
_MOST_QUERIES = 1_000
_RUNG_QUERIES = 200  # on the way; the last rung asks all
_TIMED_QUERIES = 60
_FIRST_LOOK = 4  # searches that show whether an effort is hopelessly slow
_ROUNDS = 5
_FEWEST_ROWS = 100
_SLOW = 8.0  # times as slow as the best so far of its rung: not measured further


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """Rows of one rung, and what is true of them."""

    rows: Float32[np.ndarray, "n d"]
    queries: Float[np.ndarray, "q d"]
    true_scores: Float64[np.ndarray, "q k"]
    metric: Metric
    target: Target
    seed: int
    threads: int

    def recall(self, backend: AnnBackend, effort: int) -> Recall:
        _, scores = backend.search(self.queries, self.target.k, effort=effort)
        return recall_of(scores, self.true_scores, confidence=self.target.confidence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Built:
    """A candidate built on a rung, at the least effort that holds the target."""

    candidate: Candidate
    backend: AnnBackend
    trial: Trial


def tune(  # noqa: PLR0913  # all by name
    rows: Float32[np.ndarray, "n d"],
    metric: Metric,
    *,
    target: Target,
    queries: Float[np.ndarray, "q d"] | None = None,
    seed: int = 0,
    threads: int = 1,
    methods: Iterable[type[AnnBuilder]] | None = None,
    on_progress: OnProgress = unheard,
) -> Tuning:
    """Return the choice that holds `target` at the least time a search, or memory.

    `queries` are logged ones; without them some rows are held out and asked for. For cosine the
    rows have length one.

    Raises:
        TuningError: nothing holds the target within the limits; the message names the nearest.
        ValueError: there are fewer than 100 rows.
    """
    if len(rows) < _FEWEST_ROWS:
        raise ValueError(f"{len(rows)} rows are too few to tune on; search them exactly")
    rng = np.random.default_rng(seed)
    asked, kept = _questions(rows, queries, rng)
    whole = _sample(rows, kept, asked, metric, target, seed, threads)
    flat = _timed_flat(whole)
    allowed_ms = FLAT_P95_MS if target.p95_ms is None else target.p95_ms
    trials = [flat]
    if flat.p95_ms > allowed_ms or _over_limits(flat, target, with_time=False):
        spaces = METHODS.values() if methods is None else methods
        candidates = [
            candidate
            for method in spaces
            if method.name != FlatBuilder.name
            for candidate in method.space(len(kept), rows.shape[1])
        ]
        trials += _halving(candidates, rows, kept, asked, whole, on_progress)
    choice, trials = _chosen(trials, target, whole)
    return Tuning(
        target=target,
        choice=choice,
        num_rows=len(rows),
        dim=rows.shape[1],
        metric=metric.value,
        queries="held out" if queries is None else "logged",
        num_queries=len(asked),
        seed=seed,
        trials=tuple(trials),
    )


def _questions(
    rows: Float32[np.ndarray, "n d"],
    queries: Float[np.ndarray, "q d"] | None,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "m d"], Int64[np.ndarray, " n2"]]:
    """Return the queries, and the rows that are indexed."""
    if queries is not None:
        picked = rng.permutation(len(queries))[:_MOST_QUERIES]
        return queries[np.sort(picked)], np.arange(len(rows))
    order = rng.permutation(len(rows))
    num = min(_MOST_QUERIES, len(rows) // 10)
    return rows[np.sort(order[:num])], np.sort(order[num:])


def _sample(
    rows: Float32[np.ndarray, "n d"],
    kept: Int64[np.ndarray, " m"],
    queries: Float[np.ndarray, "q d"],
    metric: Metric,
    target: Target,
    seed: int,
    threads: int,
) -> _Sample:
    x = rows if len(kept) == len(rows) else rows[kept]
    exact = FlatBuilder().build(x, metric, seed=seed, threads=threads)
    return _Sample(
        rows=x,
        queries=queries,
        true_scores=exact.search(queries, target.k)[1],
        metric=metric,
        target=target,
        seed=seed,
        threads=threads,
    )


def _halving(
    candidates: Sequence[Candidate],
    rows: Float32[np.ndarray, "n d"],
    kept: Int64[np.ndarray, " m"],
    queries: Float[np.ndarray, "q d"],
    whole: _Sample,
    on_progress: OnProgress,
) -> list[Trial]:
    rng = np.random.default_rng(whole.seed)
    sizes = [size for size in _RUNGS if 1.5 * size < len(kept)]
    trials: list[Trial] = []
    left = list(candidates)
    for size in (*sizes, len(kept)):
        is_last = size == len(kept)
        sample = whole
        if not is_last:
            part = np.sort(rng.choice(kept, size, replace=False))
            sample = _sample(
                rows,
                part,
                queries[:_RUNG_QUERIES],
                whole.metric,
                whole.target,
                whole.seed,
                whole.threads,
            )
        built: list[_Built] = []
        for i, candidate in enumerate(left):
            on_progress(f"{size:,} rows", i, len(left))
            best = min((b.trial.p50_ms for b in built if not b.trial.remark), default=np.inf)
            built.append(_measured(candidate, sample, len(kept), _SLOW * best))
        on_progress(f"{size:,} rows", len(left), len(left))
        if is_last:
            return trials + _finals(built, sample)
        good = [b for b in built if not b.trial.remark]
        # Where nothing holds the target yet, the nearest go on: more rows may not help, but say so.
        good = good or sorted(built, key=lambda b: -b.trial.recall)[:_FEWEST_KEPT]
        good.sort(key=lambda b: _cost(b.trial, whole.target))
        num = max(_FEWEST_KEPT, -(-len(good) // _KEPT_SHARE))
        staying = {id(b) for b in good[:num]}
        trials += [
            replace(b.trial, remark=b.trial.remark or "dearer than those that went on")
            for b in built
            if id(b) not in staying
        ]
        left = [b.candidate for b in good[:num]]
    raise AssertionError("the last rung returns")


def _measured(candidate: Candidate, sample: _Sample, num_rows: int, allowed_ms: float) -> _Built:
    """Build, find the effort, and take the time of some searches."""
    began = time.perf_counter()
    backend = candidate.builder.build(
        sample.rows, sample.metric, seed=sample.seed, threads=sample.threads
    )
    build_s = time.perf_counter() - began

    def is_slow(effort: int) -> bool:
        return float(np.median(_times(backend, sample, effort, _FIRST_LOOK))) > allowed_ms

    effort, recall = least_effort(
        lambda e: sample.recall(backend, e), candidate.efforts, sample.target.recall, is_slow
    )
    times = _times(backend, sample, effort, _TIMED_QUERIES)
    trial = _trial(candidate.builder, effort, recall, times, sample)
    trial = replace(trial, build_s=build_s, memory=_memory(candidate.builder, backend, sample))
    grown = replace(trial, memory=trial.memory * num_rows // len(sample.rows))
    remark = _over_limits(grown, sample.target, with_time=False)
    if recall.low < sample.target.recall:
        is_last = effort == candidate.efforts[-1]
        remark = f"recall at least {recall.low:.3f}, " + (
            "at the greatest effort"
            if is_last
            else f"and more effort takes {_SLOW:g} times the best"
        )
    return _Built(candidate=candidate, backend=backend, trial=replace(trial, remark=remark))


def least_effort(
    recall_at: Callable[[int], Recall],
    efforts: Sequence[int],
    wanted: float,
    is_slow: Callable[[int], bool] = lambda _: False,
) -> tuple[int, Recall]:
    """Return the least effort whose recall has a lower bound of `wanted`, and that recall.

    Goes up the list, then bisects between the last two, as recall grows with effort up to noise.
    Where no effort holds, or one is too slow, that is the greatest that was measured.
    """
    low, high, recall = 0, efforts[0], recall_at(efforts[0])
    for effort in efforts[1:]:
        if recall.low >= wanted or is_slow(effort):
            break
        low, high, recall = high, effort, recall_at(effort)
    if recall.low < wanted:
        return high, recall
    while high - low > max(1, high // 12):
        middle = (low + high) // 2
        found = recall_at(middle)
        if found.low >= wanted:
            high, recall = middle, found
        else:
            low = middle
    return high, recall


def _finals(built: Sequence[_Built], sample: _Sample) -> list[Trial]:
    """Return the trials of the last rung: each at its effort, timed in turns, and its curve."""
    good = [b for b in built if not b.trial.remark]
    best = min((b.trial.p50_ms for b in good), default=0.0)
    close = [b for b in good if b.trial.p50_ms <= _SLOW * best]
    rounds: dict[int, list[Float64[np.ndarray, " m"]]] = {id(b): [] for b in close}
    for _ in range(_ROUNDS):
        for b in close:
            rounds[id(b)].append(_times(b.backend, sample, b.trial.choice.effort, _TIMED_QUERIES))
    trials = []
    for b in built:
        trials += _curve(b, sample)
        trial = b.trial
        if id(b) in rounds:
            p50, p95 = _quantiles(rounds[id(b)])
            trial = replace(trial, p50_ms=p50, p95_ms=p95)
            trial = replace(trial, remark=_over_limits(trial, sample.target, with_time=True))
        trials.append(trial)
    return trials


def _curve(built: _Built, sample: _Sample) -> list[Trial]:
    """Return trials at the efforts of the list around the one that was found."""
    found = built.trial.choice.effort
    around = [e for e in built.candidate.efforts if e != found and found / 5 <= e <= 5 * found]
    trials = []
    for effort in around:
        times = _times(built.backend, sample, effort, _TIMED_QUERIES // 3)
        recall = sample.recall(built.backend, effort)
        trial = _trial(built.candidate.builder, effort, recall, times, sample)
        remark = "more effort than needed" if effort > found else "too little effort"
        trials.append(
            replace(
                trial,
                build_s=built.trial.build_s,
                memory=built.trial.memory,
                remark=remark,
            )
        )
    return trials


def _timed_flat(sample: _Sample) -> Trial:
    builder = FlatBuilder()
    backend = builder.build(sample.rows, sample.metric, seed=0, threads=sample.threads)
    times = _times(backend, sample, 1, _TIMED_QUERIES)
    exact = Recall(value=1.0, low=1.0, high=1.0, num_queries=1, k=1)
    trial = _trial(builder, 1, exact, times, sample)
    trial = replace(trial, memory=_memory(builder, backend, sample))
    return replace(trial, remark=_over_limits(trial, sample.target, with_time=True))


def _trial(
    builder: AnnBuilder,
    effort: int,
    recall: Recall,
    times: Float64[np.ndarray, " m"],
    sample: _Sample,
) -> Trial:
    p50, p95 = _quantiles([times])
    return Trial(
        choice=Choice(method=builder.name, parameters=parameters_of(builder), effort=effort),
        num_rows=len(sample.rows),
        recall=recall.value,
        recall_low=recall.low,
        p50_ms=p50,
        p95_ms=p95,
        build_s=0.0,
        memory=0,
    )


def _times(
    backend: AnnBackend, sample: _Sample, effort: int, num: int
) -> Float64[np.ndarray, " m"]:
    """Return the milliseconds of single searches, after one to warm up.

    On one thread that is its processor time, in which other programs do not count.
    """
    clock = time.thread_time if sample.threads == 1 else time.perf_counter
    queries = sample.queries[:num]
    backend.search(queries[:1], sample.target.k, effort=effort)
    times = np.empty(len(queries))
    for i in range(len(queries)):
        began = clock()
        backend.search(queries[i : i + 1], sample.target.k, effort=effort)
        times[i] = 1000 * (clock() - began)
    return times


def _quantiles(rounds: Sequence[Float64[np.ndarray, " m"]]) -> tuple[float, float]:
    """Return the medians over the rounds of p50 and p95."""
    p50, p95 = np.median([np.quantile(times, (0.5, 0.95)) for times in rounds], axis=0)
    return float(p50), float(p95)


def _memory(builder: AnnBuilder, backend: AnnBackend, sample: _Sample) -> int:
    return backend.nbytes() + (sample.rows.nbytes if builder.caps.is_exact else 0)


def _over_limits(trial: Trial, target: Target, *, with_time: bool) -> str:
    if target.memory is not None and trial.memory > target.memory:
        return f"takes {trial.memory / 1e6:.0f} MB of the {target.memory / 1e6:.0f} allowed"
    if with_time and target.p95_ms is not None and trial.p95_ms > target.p95_ms:
        return f"p95 {trial.p95_ms:.2f} ms of the {target.p95_ms:g} allowed"
    return ""


def _cost(trial: Trial, target: Target) -> float:
    return trial.memory if target.prefer == "memory" else trial.p50_ms


def _chosen(trials: Sequence[Trial], target: Target, whole: _Sample) -> tuple[Choice, list[Trial]]:
    """Return the cheapest that holds, and the trials with the front of recall and time marked."""
    final = [t for t in trials if t.num_rows == len(whole.rows)]
    front = {id(t) for t in final if not any(_beats(other, t) for other in final)}
    marked = [replace(t, is_pareto=id(t) in front) for t in trials]
    holding = [t for t in final if not t.remark]
    if not holding:
        nearest = max(final, key=lambda t: (t.recall_low >= target.recall, -t.p95_ms))
        raise TuningError(
            f"nothing holds recall {target.recall:g} at {target.k} within the limits; the nearest"
            f" is {nearest.choice}: recall {nearest.recall:.3f}, p95 {nearest.p95_ms:.2f} ms,"
            f" {nearest.memory / 1e6:.0f} MB; allow more time or memory, or ask for less recall"
        )
    return min(holding, key=lambda t: _cost(t, target)).choice, marked


def _beats(a: Trial, b: Trial) -> bool:
    return (
        a.recall >= b.recall
        and a.p50_ms <= b.p50_ms
        and (a.recall, a.p50_ms) != (b.recall, b.p50_ms)
    )
