"""Training end to end on a tiny decoder: what can be learnt is learnt, and twice alike."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.decoding.phases import Forwards
from llm.decoding.steer import FudgeFactor
from llm.errors import TrainingDataError
from llm.head_store import HeadStore
from llm.model_runner import ModelRunner
from llm.runner_choice import ComputeOptions, choose_runner
from llm.training.calibration import area_under_curve, best_temperature, calibration_error
from llm.training.discriminators import DiscriminatorPlan, train_head
from llm.training.frozen_decoder import FrozenDecoder, Passage
from llm.training.head_kind import HeadKind
from llm.training.labelled_texts import LabelledText
from llm.training.prefix_data import PrefixData, read_prefixes
from llm.training.recipe import TextChoice, train_discriminator
from llm.unembedding import Unembedding
from tests.llm.tiny_model import tiny_decoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def decoder() -> FrozenDecoder:
    made = tiny_decoder()
    options = ComputeOptions(kernels="torch", cache_tokens=16 * 64 * 12)
    runner: ModelRunner = choose_runner(made.model, options, context_size=128).runner
    rows = made.model.head_weight.detach().numpy()
    return FrozenDecoder(runner, made.tokenizer, made.template, rows)


def texts(count: int = 120) -> list[LabelledText]:
    """Positive ones hold a's among b's, negative ones c's."""
    rng = np.random.default_rng(0)
    found = {}
    for i in range(count):
        letters = rng.choice(list("ab" if i % 2 else "cb"), size=6 + i % 5)
        found["".join(letters)] = bool(i % 2)
    return [LabelledText(text=text, is_positive=value) for text, value in found.items()]


@pytest.fixture(scope="module")
def data(decoder: FrozenDecoder) -> PrefixData:
    return read_prefixes(decoder, texts(), seed=1, explored=40)


def plan(kind: HeadKind = "bilinear", seed: int = 0) -> DiscriminatorPlan:
    return DiscriminatorPlan(kind=kind, rank=4, steps=150, batch=256, seed=seed, explored=40)


# --- the decoder as a reader -----------------------------------------------------------------


def test_states_are_those_of_the_whole_text_at_once(decoder: FrozenDecoder) -> None:
    passages = [
        Passage(context=(1, 2, 3), text=tuple(range(10, 10 + length))) for length in (1, 5, 40)
    ] * 30
    found = decoder.states(passages)
    model = tiny_decoder().model
    for passage, states in list(zip(passages, found, strict=True))[:3]:
        assert len(states) == len(passage.text) + 1
        logits = model(torch.tensor([[*passage.context, *passage.text]]))[0, 2:]
        assert states @ decoder.embedding.T == pytest.approx(logits.numpy(), abs=1e-3)
    assert all(
        np.allclose(one, found[i % 3], atol=1e-4) for i, one in enumerate(found)
    )  # whatever the batch


def test_alternatives_are_states_after_tokens_that_do_not_stand_there(
    decoder: FrozenDecoder,
) -> None:
    passages = [
        Passage(context=(5,), text=(7, 8, 9, 10, 11, 12)),
        Passage(context=(5, 6), text=(1,)),
    ]
    found = decoder.alternatives(passages, np.random.default_rng(0), places=3, tokens=4)
    # the second passage has two places only
    assert len(found.token_ids) == 3 * 4 + 2 * 4
    for passage in passages:
        states = decoder.states([passage])[0]
        for place in range(len(passage.text) + 1):
            same = np.isclose(found.before, states[place], atol=1e-4).all(axis=1)
            for row in np.flatnonzero(same).tolist():
                token = int(found.token_ids[row])
                read = decoder.states(
                    [Passage(context=passage.context, text=(*passage.text[:place], token))]
                )[0]
                assert found.after[row] == pytest.approx(read[-1], abs=1e-3)
                assert token not in decoder.tokenizer.special_ids


def test_what_it_writes_depends_on_the_seed_and_on_nothing_else(decoder: FrozenDecoder) -> None:
    first = decoder.write([[1]] * 3, num_tokens=5, seed=4)
    assert first == decoder.write([[1]] * 3, num_tokens=5, seed=4)
    assert first != decoder.write([[1]] * 3, num_tokens=5, seed=5)
    assert first[0] != first[1]
    assert all(len(one) == 5 for one in first)


def test_a_passage_that_does_not_fit_is_told(decoder: FrozenDecoder) -> None:
    with pytest.raises(ValueError, match="cut it"):
        decoder.states([Passage(context=(1,), text=(2,) * 5000)])
    with pytest.raises(ValueError, match="a context and a text"):
        Passage(context=(), text=(1,))


def test_late_prefixes_weigh_more_and_each_text_the_same(data: PrefixData) -> None:
    observed = data.observed
    for sequence in range(6):
        rows = observed.sequences == sequence
        assert observed.weights[rows].sum() == pytest.approx(1.0)
        assert (np.diff(observed.weights[rows]) > 0).all()
        assert observed.is_whole[rows].tolist() == [False] * (rows.sum() - 1) + [True]
        assert len(set(observed.labels[rows].tolist())) == 1
    assert 0 < observed.is_held_out.mean() < 0.4


# --- what is learnt --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bilinear", "reward", "gru"])
def test_a_head_learns_what_can_be_learnt(
    decoder: FrozenDecoder, data: PrefixData, kind: HeadKind
) -> None:
    trained = train_head(data, decoder.embedding, plan(kind))
    # the states of random weights forget much, the tokens themselves nothing
    assert trained.metric["accuracy"] >= (0.9 if kind == "gru" else 0.75)
    assert trained.metric["auc"] >= (0.95 if kind == "gru" else 0.8)
    errors = trained.metric["expected_calibration_error_by_prefix_tokens"]
    assert errors["5-8"] < 0.3


def test_the_same_data_and_seed_give_the_same_head(
    decoder: FrozenDecoder, data: PrefixData
) -> None:
    for kind in ("bilinear", "gru"):
        first, second = (train_head(data, decoder.embedding, plan(kind)) for _ in range(2))
        other = train_head(data, decoder.embedding, plan(kind, seed=1))
        assert set(first.tensors) == set(second.tensors)
        for name, tensor in first.tensors.items():
            assert np.array_equal(tensor, second.tensors[name]), name
        assert any(
            not np.array_equal(tensor, other.tensors[name])
            for name, tensor in first.tensors.items()
        )


@pytest.mark.parametrize("kind", ["bilinear", "gru"])
def test_a_file_of_texts_becomes_a_head_that_steers(
    decoder: FrozenDecoder, tmp_path: Path, kind: HeadKind
) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("".join(f"{one.text}\t{int(one.is_positive)}\n" for one in texts()))
    stages: list[str] = []
    card = train_discriminator(
        decoder,
        TextChoice(paths=(path,), label="1"),
        plan(kind),
        folder=tmp_path / "heads",
        name="letters",
        about={"scorers": {"with_a": 1, "with_c": -1}, "model": "tiny"},
        on_progress=lambda stage, done, total: stages.append(f"{stage} {done <= total}"),
    )
    assert set(stages) == {"reading True", "learning True"}
    assert card["data"] == ["letters.txt"]
    assert str(tmp_path) not in (tmp_path / "heads" / "letters.json").read_text()
    assert sorted(file.name for file in (tmp_path / "heads").iterdir()) == [
        "letters.json",
        "letters.safetensors",
    ]
    unembedding = Unembedding.of_weight(torch.from_numpy(decoder.embedding))
    offer = HeadStore([tmp_path / "heads"], unembedding).scorer("with_a")
    context, text = (1,), tuple(decoder.tokenizer.encode("bab"))
    (states,) = decoder.states([Passage(context=context, text=text)])
    ids = np.array([decoder.tokenizer.encode(letter)[0] for letter in "ac"])
    start = offer.scorer.start([*context, *text])
    factor = FudgeFactor(offer.scorer, start, weight=3.0)
    with_a, with_c = factor.weigh(ids, Forwards(hidden=states[-1]))
    assert with_a > with_c


def test_texts_of_which_all_held_out_ones_are_of_one_kind_are_refused(
    decoder: FrozenDecoder, tmp_path: Path
) -> None:
    path = tmp_path / "few.txt"
    path.write_text("".join(f"{'x' * (i + 1)}\t{int(i == 0)}\n" for i in range(45)))
    with pytest.raises(TrainingDataError, match="one kind"):
        train_discriminator(
            decoder,
            TextChoice(paths=(path,), label="1"),
            plan(),
            folder=tmp_path / "heads",
            name="few",
            about={},
        )
    assert not (tmp_path / "heads").exists()


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"steps": 0}, {"explored": 0}])
def test_plans_without_meaning_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        DiscriminatorPlan(**wrong)  # type: ignore[arg-type]


# --- calibration -----------------------------------------------------------------------------


def test_scores_that_are_too_sure_are_cooled_down() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-scores))).astype(np.float32)
    assert best_temperature(scores, labels) == pytest.approx(1, abs=0.06)
    assert best_temperature(4 * scores, labels) == pytest.approx(0.25, abs=0.02)
    assert calibration_error(scores, labels) < 0.02
    assert calibration_error(4 * scores, labels) > 0.1
    assert best_temperature(scores[:0], labels[:0]) == 1


def test_the_area_under_the_curve_counts_ties_as_halves() -> None:
    labels = np.array([0, 1, 0, 1], np.float32)
    assert area_under_curve(np.array([0.0, 1.0, 2.0, 3.0]), labels) == 0.75
    assert area_under_curve(np.zeros(4), labels) == 0.5
    assert np.isnan(area_under_curve(np.zeros(4), np.ones(4, np.float32)))


def test_a_card_is_json_of_the_same_content_as_is_returned(
    decoder: FrozenDecoder, tmp_path: Path
) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("".join(f"{one.text}\t{int(one.is_positive)}\n" for one in texts(80)))
    card = train_discriminator(
        decoder,
        TextChoice(paths=(path,), label="1"),
        DiscriminatorPlan(rank=2, steps=3, batch=8, explored=2),
        folder=tmp_path,
        name="one",
        about={"scorers": {"one": 1}},
    )
    written = json.loads((tmp_path / "one.json").read_text())
    assert {name: written[name] for name in card} == card
    assert written["hidden_size"] == 33
    assert written["vocab_size"] == 259
