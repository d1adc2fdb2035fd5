"""What the table's requests must say, computed slowly: whole prefixes, dense rows, float64.

The model is asked for one token at a time and reads all of the text each time, in a cache of its
own that nothing else uses. Heads are read by their formulas. Letters: `v` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from llm.decoding.compose import EXIT_TEMPERATURE, default_exit_layer
from llm.decoding.phases import Forwards, ShapedLogits
from llm.decoding.search.beam import BeamSearch
from llm.decoding.search.branches import Candidates, run
from llm.decoding.spec import Contrast, Experts, Steer
from llm.model_runner import Span, batch_of
from llm.runner_choice import ChosenRunner
from tests.golden.mark_reference import gumbel_noise, reweigh_of
from tests.golden.pipeline_reference import (
    CANDIDATES,
    Composer,
    Factor,
    History,
    ReferenceRequest,
    ReferenceStep,
    Row,
    feasible_tokens,
    generate,
    log_softmax,
    step,
    stored,
    text_until_stop,
)
from tests.llm.features import MAX_TOKENS, OPTIONS, OTHER_PROMPT, PROMPT, SECRET, Wish
from tests.llm.small_model import (
    BILINEAR,
    BRAVE,
    GRU,
    NGRAMS,
    TIMID,
    VOCABULARY,
    small_decoder,
    small_runner,
)


def log_sum(z: Row) -> float:
    peak = float(z.max())
    return peak + float(np.log(np.exp(z - peak).sum()))


EVERYTHING = np.arange(VOCABULARY)


# --- the model ---------------------------------------------------------------------------------


@cache
def _own_runner() -> ChosenRunner:
    return small_runner()


@cache
def forward(text: tuple[int, ...]) -> tuple[Row, Forwards]:
    """Read all of a text; return the logits behind it and the states that they come from."""
    span = Span(token_ids=text, start=0, blocks=range(4), wants="last")
    layers = small_decoder().model.config.num_hidden_layers
    output = _own_runner().runner.forward(batch_of([span], default_exit_layer(layers)))
    assert output.exit_hidden is not None
    return output.logits[0].astype(np.float64), Forwards(
        hidden=output.hidden[0].copy(), exit_hidden=output.exit_hidden[0].copy()
    )


def model(text: Sequence[int]) -> tuple[Row, Forwards]:
    """Return raw logits, the states, and the logits of the other prompt with the same output."""
    raw, beside = forward(tuple(text))
    other, _ = forward((*OTHER_PROMPT, *text[len(PROMPT) :]))
    return raw, replace(beside, baseline=ShapedLogits(other.astype(np.float32)))


@cache
def _embeddings() -> Row:
    rows: Row = _own_runner().unembedding.rows(EVERYTHING).astype(np.float64)
    return rows


def _wide(values: object) -> Row:
    return np.asarray(values, np.float64)


def _half(values: object) -> Row:
    """As files keep them."""
    halved: Row = np.asarray(values).astype(np.float16).astype(np.float64)
    return halved


# --- the guides by their formulas --------------------------------------------------------------


def _sigmoid(x: Row) -> Row:
    p: Row = 1 / (1 + np.exp(-x))
    return p


def _bilinear_scores(forwards: Forwards) -> Row:
    """(U h + u) . (W e) + w . e + c . h + b."""
    h, e = _wide(forwards.hidden), _embeddings()
    query = _wide(BILINEAR["query"]) @ h + BILINEAR["query_bias"]
    scores: Row = (e @ _wide(BILINEAR["key"]).T) @ query + e @ _wide(BILINEAR["token"])
    scores += _wide(BILINEAR["prefix"]) @ h + float(BILINEAR["bias"][0])
    return scores


def _gru_after(state: Row, token: int) -> Row:
    """Reset, update and new gate of one step."""
    size = len(state)
    inputs = _wide(GRU["into"]) @ (_wide(GRU["projection"]) @ _embeddings()[token])
    inputs = inputs + GRU["into_bias"]
    inside = _wide(GRU["recurrent"]) @ state + GRU["recurrent_bias"]
    reset = _sigmoid(inputs[:size] + inside[:size])
    update = _sigmoid(inputs[size : 2 * size] + inside[size : 2 * size])
    new = np.tanh(inputs[2 * size :] + reset * inside[2 * size :])
    after: Row = (1 - update) * new + update * state
    return after


@cache
def _gru_state(text: tuple[int, ...]) -> Row:
    if not text:
        return _wide(GRU["start"])
    return _gru_after(_gru_state(text[:-1]), text[-1])


def _gru_scores(output: History) -> Row:
    return _gru_scores_after((*PROMPT, *output))


@cache
def _gru_scores_after(text: tuple[int, ...]) -> Row:
    state = _gru_state(text)
    after = np.stack([_gru_after(state, token) for token in range(VOCABULARY)])
    scores: Row = after @ _wide(GRU["output"]) + float(GRU["bias"][0])
    return scores


def _factor(asked: Steer) -> Factor:
    def weight(output: History, forwards: Forwards) -> Row:
        scores = _gru_scores(output) if asked.scorer == "kind" else _bilinear_scores(forwards)
        sign = -1.0 if asked.scorer == "dull" else 1.0
        sign *= np.sign(asked.weight)
        p = _sigmoid(sign * scores)
        said: Row = abs(asked.weight) * (p if asked.method == "reward" else np.log(p))
        return said

    return weight


def _contrast(asked: Contrast) -> Composer:
    def composed(output: History, z: Row, forwards: Forwards) -> tuple[float, Row]:
        own = _embeddings() @ _wide(forwards.hidden)
        if asked.amateur == "exit":
            amateur = _embeddings() @ _wide(forwards.exit_hidden) / EXIT_TEMPERATURE
        else:
            amateur = NGRAMS.log_probs([*PROMPT, *output], EVERYTHING)
        return float(z.max() + np.log(asked.head)), asked.weight * (own - amateur)

    return composed


def _experts(asked: Experts) -> Composer:
    def composed(output: History, z: Row, forwards: Forwards) -> tuple[float, Row]:
        h, e = _wide(forwards.hidden), _embeddings()
        expert, anti = (
            e @ (h + _half(adapter.up) @ (_half(adapter.down) @ h)) for adapter in (BRAVE, TIMID)
        )
        log_p = log_softmax(z)
        order = sorted(range(len(z)), key=lambda v: -log_p[v])
        mass = np.cumsum(np.exp(log_p[order]))
        last = order[int(np.searchsorted(mass, asked.top_p))]
        return float(z[last]), asked.weight * (expert - anti)

    return composed


def _evidence(alpha: float) -> Composer:
    def composed(output: History, z: Row, forwards: Forwards) -> tuple[float, Row]:
        with np.errstate(invalid="ignore"):
            shift: Row = alpha * (z - _wide(forwards.baseline))
        return -np.inf, shift

    return composed


def _legal(output: History) -> set[int]:
    """The tokens that go on with one of the options, or end behind one.

    Only options that can be finished count; no token stands for two of their bytes.
    """
    return _legal_after(b"".join(small_tokens()[v] for v in output))


@cache
def _legal_after(text: bytes) -> set[int]:
    data = small_tokens()
    fitting = [o.encode() for o in OPTIONS if len(o) <= MAX_TOKENS]
    going_on = [option for option in fitting if option.startswith(text)]
    found = {
        v
        for v in range(VOCABULARY)
        if data[v] and any(option.startswith(text + data[v]) for option in going_on)
    }
    return found | (small_ends() if text in fitting else set())


@cache
def small_tokens() -> tuple[bytes, ...]:
    return tuple(map(small_decoder().tokenizer.token_bytes, range(VOCABULARY)))


def small_ends() -> frozenset[int]:
    return small_decoder().tokenizer.eos_ids


# --- requests ----------------------------------------------------------------------------------


def referred(made: Wish, *, stream: int = 0) -> ReferenceRequest:
    """Return a request of the table in the form of the reference."""
    spec = made.spec
    composers: list[Composer] = []
    if spec.contrast is not None:
        composers.append(_contrast(spec.contrast))
    if spec.context_faithfulness:
        composers.append(_evidence(spec.context_faithfulness))
    if spec.experts is not None:
        composers.append(_experts(spec.experts))
    assert made.params.seed is not None
    return ReferenceRequest(
        params=made.params,
        seed=made.params.seed,
        prompt=PROMPT,
        token_bytes=small_tokens(),
        eos_ids=small_ends(),
        stream=stream,
        legal=None if spec.grammar is None else _legal,
        composers=tuple(composers),
        factors=tuple(map(_factor, spec.steer)),
        candidates=min((one.candidates for one in spec.steer), default=CANDIDATES),
        **_mark(spec.mark, made.params.seed, stream),
    )


def _mark(scheme: str, seed: int, stream: int) -> dict[str, Any]:
    if scheme == "off":
        return {}
    if scheme == "gumbel":
        return {"noise": gumbel_noise(SECRET, VOCABULARY, seed=seed, stream=stream)}
    return {"reweight": reweigh_of(scheme, SECRET, VOCABULARY)}


def accepts(text: str) -> bool:
    return text in OPTIONS


def answer(made: Wish, *, stream: int = 0) -> tuple[str, str, list[ReferenceStep]]:
    """Return text and reason of one answer, and the steps that it takes, the last one included."""
    request = referred(made, stream=stream)
    steps = generate(request, model, MAX_TOKENS)
    data = [request.token_bytes[done.token] for done in steps]
    may_stop = None if made.spec.grammar is None else accepts
    text, stopped_at = text_until_stop(data, made.params.stop, may_stop)
    if stopped_at is not None:
        return text, "stop", steps[:stopped_at]
    is_whole = steps[-1].token in request.eos_ids or (may_stop is not None and may_stop(text))
    return text, "stop" if is_whole else "length", steps


def worth(steps: Sequence[ReferenceStep]) -> float:
    """Return the mean log-probability of the tokens of an answer, its end not counted."""
    told = [done.log_prob("raw", done.token) for done in steps if done.token not in small_ends()]
    return sum(told) / max(len(told), 1)


class _Table:
    """Branches of a beam as lists of tokens; see `Branches`."""

    def __init__(self, made: Wish) -> None:
        self.made = made
        self.request = referred(made)
        self.texts: dict[int, list[int]] = {0: []}

    def fork(self, branch: int) -> int:
        number = max(self.texts) + 1
        self.texts[number] = list(self.texts[branch])
        return number

    def step(self, branch: int, token: int) -> bool:
        self.texts[branch].append(token)
        return self.text(self.texts[branch])[1] is not None

    def drop(self, branch: int) -> None:
        del self.texts[branch]

    def text(self, tokens: Sequence[int]) -> tuple[str, int | None]:
        data = [self.request.token_bytes[v] for v in tokens]
        may_stop = None if self.made.spec.grammar is None else accepts
        return text_until_stop(data, self.made.params.stop, may_stop)

    def score(self, branches: Sequence[int]) -> list[Candidates]:
        return [self._candidates(self.texts[branch]) for branch in branches]

    def _candidates(self, output: list[int]) -> Candidates:
        raw, beside = model([*PROMPT, *output])
        if not feasible_tokens(self.request, output):
            nothing = np.zeros(0)
            return Candidates(
                token_ids=nothing.astype(np.int64), log_probs=nothing, is_final=nothing.astype(bool)
            )
        done = step(self.request, output, raw, beside)
        spec, params = self.made.spec, self.made.params
        is_changed = bool(self.request.composers or spec.steer or params.logit_bias)
        total = log_sum(done.steered if is_changed else done.raw)
        z = self._marked(output, done.steered)
        possible = np.flatnonzero(z > -np.inf)
        order = sorted(possible.tolist(), key=lambda v: (-z[v], v))
        ids = np.array(order[: 2 * spec.search.width], np.int64)
        log_probs = np.minimum(z[ids] - total, 0.0)
        return Candidates(token_ids=ids, log_probs=log_probs, is_final=np.zeros(len(ids), np.bool_))

    def _marked(self, output: list[int], z: Row) -> Row:
        reweigh = self.request.reweight
        if reweigh is None:
            return z
        log_p = {v: float(x) for v, x in enumerate(log_softmax(z)) if x > -np.inf}
        heavier = reweigh(output, log_p) if len(log_p) > 1 else log_p
        moved = np.full(len(z), -np.inf)
        for v, x in heavier.items():
            moved[v] = z[v] + (x - log_p[v])
        return stored(moved)


def beam(made: Wish) -> list[tuple[str, float]]:
    """Return texts and scores of all hypotheses, best first."""
    table = _Table(made)
    search = BeamSearch(made.spec.search, max_tokens=MAX_TOKENS, eos_ids=small_ends())
    return [(table.text(found.token_ids)[0], found.score) for found in run(search, table)]
