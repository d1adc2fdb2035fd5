"""Composition on the default model: it changes texts, costs little and never breaks a row."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from llm.checkpoint import load_decoder
from llm.decoding.compose import (
    ContextAware,
    Contrastive,
    EarlyExit,
    ExpertGuidance,
    NGramAmateur,
    compose,
    default_exit_layer,
)
from llm.decoding.ngram_model import NGramModel
from llm.decoding.phases import Composer, Forwards, ShapedLogits
from llm.head_adapter import HeadAdapter
from llm.head_store import PACKAGED, HeadStore
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_runner import ModelRunner, Span, StepOutput, batch_of
from llm.model_store import ModelStore
from llm.runner_choice import ComputeOptions, choose_runner
from llm.tokenizer import TextTokenizer
from llm.training.labelled_texts import part_of, read_labelled
from llm.unembedding import Unembedding

pytestmark = [pytest.mark.weights, pytest.mark.slow]
BLOCKS = 8
PROMPT = "The restaurant on the corner of the street"
EVIDENCE = "The soup is cold, the waiters are rude and the tables are dirty. "
HEAD_SHARE = 0.6  # of the sentences that the adapters learnt from; the others judge them


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The default model with a cache for two sequences."""

    runner: ModelRunner
    unembedding: Unembedding
    tokenizer: TextTokenizer
    exit_layer: int

    def read(self, token_ids: Sequence[int], *, start: int = 0, slot: int = 0) -> StepOutput:
        blocks = range(slot * BLOCKS, (slot + 1) * BLOCKS)
        span = Span(token_ids=token_ids, start=start, blocks=list(blocks))
        return self.runner.forward(batch_of([span], self.exit_layer))

    def write(self, composers: Sequence[Composer], evidence: str = "", length: int = 16) -> str:
        """The most probable text after the prompt; with evidence the other prompt has none."""
        prompts = [self.tokenizer.encode(evidence + PROMPT), self.tokenizer.encode(PROMPT)]
        written: list[int] = []
        for _ in range(length):
            news = [[written[-1]] if written else prompt for prompt in prompts]
            baseline: np.ndarray | None = None
            if evidence:
                start = len(prompts[1]) + len(written) - len(news[1])
                baseline = self.read(news[1], start=start, slot=1).logits[0].copy()
            start = len(prompts[0]) + len(written) - len(news[0])
            output = self.read(news[0], start=start)
            assert output.exit_hidden is not None
            forwards = Forwards(
                hidden=output.hidden[0],
                exit_hidden=output.exit_hidden[0],
                baseline=None if baseline is None else ShapedLogits(baseline),
            )
            row = compose(ShapedLogits(output.logits[0].copy()), composers, forwards)
            assert np.isfinite(row).any()
            assert not np.isnan(row).any()
            assert not (row == np.inf).any()
            written.append(int(row.argmax()))
            for composer in composers:
                composer.take(written[-1])
        return self.tokenizer.decode(written)


@pytest.fixture(scope="module")
def served(models: ModelStore) -> Served:
    decoder = load_decoder(models.path(DEFAULT_CHAT_MODEL))
    options = ComputeOptions(threads=1, cache_tokens=512)
    chosen = choose_runner(decoder.model, options, context_size=128)
    return Served(
        runner=chosen.runner,
        unembedding=chosen.unembedding,
        tokenizer=decoder.tokenizer,
        exit_layer=default_exit_layer(decoder.model.config.num_hidden_layers),
    )


def adapter(served: Served, name: str) -> HeadAdapter:
    return HeadAdapter.of(HeadStore([PACKAGED], served.unembedding).head(name, "adapter")[1])


def experts(served: Served, weight: float, top_p: float = 0.9) -> ExpertGuidance:
    return ExpertGuidance(
        expert=adapter(served, "positive_expert"),
        anti_expert=adapter(served, "negative_expert"),
        weight=weight,
        top_p=top_p,
        unembedding=served.unembedding,
    )


def exit_contrast(served: Served, weight: float) -> Contrastive:
    return Contrastive(EarlyExit(served.unembedding), weight=weight, head=0.1)


def ngram_contrast(served: Served, weight: float) -> Contrastive:
    counted = served.tokenizer.encode("The street on the corner of the town is the street. " * 9)
    model = NGramModel.fit([counted], order=3, vocab_size=served.unembedding.size)
    context = served.tokenizer.encode(PROMPT)
    amateur = NGramAmateur(model, served.unembedding, context)
    return Contrastive(amateur, weight=weight, head=0.1)


@pytest.mark.parametrize("make", [exit_contrast, ngram_contrast, experts])
def test_composing_changes_a_text_by_its_weight_alone(
    served: Served, make: Callable[[Served, float], Composer]
) -> None:
    plain = served.write([])
    assert served.write([make(served, 0.0)]) == plain
    changed = served.write([make(served, 2.0)])
    assert changed != plain
    assert changed.strip()


def test_a_context_that_matters_changes_a_text(served: Served) -> None:
    plain = served.write([], EVIDENCE)
    assert served.write([ContextAware(0.0)], EVIDENCE) == plain
    assert served.write([ContextAware(1.0)], EVIDENCE) != plain


def test_everything_at_once_stays_finite(served: Served) -> None:
    composers: list[Composer] = [
        exit_contrast(served, 0.5),
        ngram_contrast(served, 0.5),
        experts(served, 2.0),
        ContextAware(0.5),
    ]
    assert served.write(composers, EVIDENCE).strip()


def test_the_rows_make_the_logits_of_the_model(served: Served) -> None:
    output = served.read(served.tokenizer.encode(PROMPT))
    ids = np.argsort(output.logits[0])[-500:]
    made = served.unembedding.products(ids, output.hidden[0])
    assert np.abs(made - output.logits[0][ids]).max() < 0.5  # the head is int8 on this path


@pytest.mark.parametrize("name", ["positive_expert", "negative_expert"])
def test_the_shipped_adapters_are_small_and_say_where_they_come_from(
    served: Served, name: str
) -> None:
    card, _ = HeadStore([PACKAGED], served.unembedding).head(name, "adapter")
    assert (PACKAGED / f"{name}.safetensors").stat().st_size < 300_000
    assert card.about["metric"]["perplexity"] < 0.6 * card.about["metric"]["perplexity_before"]
    for key in ("command", "data", "data_licence", "model", "seed"):
        assert key in card.about


def test_the_shipped_experts_tell_sentences_apart_that_they_never_saw(
    served: Served, data_path: Path
) -> None:
    """By which of the two finds a whole sentence more probable."""
    sentences = [
        one
        for one in read_labelled(
            [data_path / "sentiment_labelled_sentences"], label="1", is_ascii_only=True
        )
        if part_of(one.text) >= HEAD_SHARE
    ][:40]
    pair = [adapter(served, name) for name in ("positive_expert", "negative_expert")]
    head = served.unembedding.rows(np.arange(served.unembedding.size))
    start = min(served.tokenizer.eos_ids)
    right = 0
    for one in sentences:
        ids = served.tokenizer.encode(one.text)[:60]
        span = Span(token_ids=[start, *ids[:-1]], start=0, blocks=list(range(BLOCKS)), wants="all")
        hidden = served.runner.forward(batch_of([span])).hidden
        scores = []
        for which in pair:
            logits = (hidden + (hidden @ which.down.T) @ which.up.T) @ head.T
            own = logits[np.arange(len(ids)), ids]
            top = logits.max(axis=1)
            scores.append((own - top - np.log(np.exp(logits - top[:, None]).sum(axis=1))).sum())
        right += (scores[0] > scores[1]) == one.is_positive
    assert right >= 0.65 * len(sentences)


def test_composing_costs_little_of_a_step(served: Served) -> None:
    """Medians, for a bound that a busy machine keeps too."""
    output = served.read(served.tokenizer.encode(PROMPT))
    assert output.exit_hidden is not None
    row = output.logits[0].copy()
    forwards = Forwards(
        hidden=output.hidden[0].copy(),
        exit_hidden=output.exit_hidden[0].copy(),
        baseline=ShapedLogits(row[::-1].copy()),
    )

    def median(do: Callable[[], object]) -> float:
        times = []
        for _ in range(15):
            started = time.perf_counter()
            do()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    step = median(lambda: served.read([5], start=30))
    for name, composer in (
        ("exit", exit_contrast(served, 0.5)),
        ("n-gram", ngram_contrast(served, 0.5)),
        ("context", ContextAware(0.5)),
        ("experts", experts(served, 2.0)),
    ):
        copies = ShapedLogits(row.copy())

        def once(composer: Composer = composer, copies: ShapedLogits = copies) -> None:
            copies[:] = row
            compose(copies, [composer], forwards)

        cost = median(once)
        assert cost < 0.5 * step, f"{name}: {1e3 * cost:.2f} ms of a step of {1e3 * step:.1f} ms"
