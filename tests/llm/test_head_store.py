"""Heads by name: what is offered, what is refused, and the shipped ones on real texts."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from llm.decoding.phases import Forwards
from llm.decoding.spec import Steer
from llm.decoding.steer import factor_of
from llm.errors import HeadError, UnknownScorerError
from llm.head_store import PACKAGED, HeadStore
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.training.frozen_decoder import FrozenDecoder, Passage
from llm.training.head_file import write_head
from llm.unembedding import Unembedding

SIZE, WIDTH, RANK = 97, 12, 3
CARD = {"kind": "bilinear", "scorers": {"polite": 1, "rude": -1}, "model": "toy"}


def rows(seed: int = 0, width: int = WIDTH) -> Unembedding:
    weight = torch.randn(SIZE, width, generator=torch.Generator().manual_seed(seed))
    return Unembedding.of_weight(weight)


def tensors(width: int = WIDTH) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {
        "query": (RANK, width),
        "query_bias": (RANK,),
        "key": (RANK, width),
        "token": (width,),
        "prefix": (width,),
        "bias": (1,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_head(tmp_path, "manners", tensors(), CARD, rows())
    return tmp_path


def test_a_head_offers_a_scorer_and_its_opposite(folder: Path) -> None:
    store = HeadStore([folder], rows())
    assert store.scorer_names == ("polite", "rude")
    polite, rude = store.scorer("polite"), store.scorer("rude")
    assert polite.scorer is rude.scorer  # read once
    assert not polite.is_negated
    assert rude.is_negated
    ids, forwards = np.arange(9), Forwards(hidden=np.ones(WIDTH, np.float32))

    def weighed(scorer: str, weight: float) -> np.ndarray:
        wish = Steer(scorer=scorer, weight=weight)
        found: np.ndarray = factor_of(wish, store.scorer(scorer), [1]).weigh(ids, forwards)
        return found

    assert np.array_equal(weighed("rude", 2.0), weighed("polite", -2.0))
    assert not np.allclose(weighed("rude", 2.0), weighed("polite", 2.0))
    chances = np.exp(weighed("rude", 1.0)) + np.exp(weighed("polite", 1.0))
    assert chances == pytest.approx(np.ones(9))


def test_an_unknown_scorer_is_told_with_those_that_exist(folder: Path) -> None:
    with pytest.raises(UnknownScorerError, match=r"no scorer 'kind'; there are: polite, rude"):
        HeadStore([folder], rows()).scorer("kind")
    with pytest.raises(ValueError, match=r"no scorer 'kind'; `python -m api train` makes one"):
        HeadStore([], rows()).scorer("kind")
    with pytest.raises(ValueError, match="no n-gram model 'kind'"):
        HeadStore([folder], rows()).head("kind", "ngram")


def test_an_own_head_takes_the_place_of_a_shipped_one(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_head(own, "manners", tensors(), {**CARD, "note": "mine"}, rows())
    store = HeadStore([folder, own], rows())
    assert store.scorer("polite").card.about["note"] == "mine"


def test_an_own_head_of_another_name_takes_over_a_scorer(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_head(own, "a_name_before", tensors(), {**CARD, "scorers": {"rude": 1}}, rows())
    assert not HeadStore([folder, own], rows()).scorer("rude").is_negated
    assert HeadStore([own, folder], rows()).scorer("rude").is_negated


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: rows(seed=1), "trained for another model .toy."),
        (lambda: rows(width=WIDTH + 1), "hidden size 12 and 97 tokens; this one has 13 and 97"),
    ],
)
def test_a_head_of_another_model_is_refused(
    folder: Path, other: Callable[[], Unembedding], said: str
) -> None:
    with pytest.raises(HeadError, match=said):
        HeadStore([folder], other()).scorer("polite")


def test_rows_in_int8_are_the_same_model(folder: Path) -> None:
    exact = rows().rows(np.arange(SIZE))
    scale = np.abs(exact).max(axis=1, keepdims=True) / 127
    coarse = torch.from_numpy((np.round(exact / scale) * scale).astype(np.float32))
    HeadStore([folder], Unembedding.of_weight(coarse)).scorer("polite")


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def damage_gone(path: Path) -> None:
    path.unlink()


def damage_nan(path: Path) -> None:
    broken = {**tensors(), "probe": np.zeros(64, np.float32)}
    write_head(path.parent, path.stem, {**broken, "query": np.full((3, 12), np.nan)}, CARD, rows())


def damage_shape(path: Path) -> None:
    write_head(path.parent, path.stem, {**tensors(), "token": np.ones(5)}, CARD, rows())


def damage_missing(path: Path) -> None:
    less = {name: tensor for name, tensor in tensors().items() if name != "key"}
    write_head(path.parent, path.stem, less, CARD, rows())


def damage_no_probe(path: Path) -> None:
    save_file(tensors(), path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_cut, "cannot be read"),
        (damage_gone, "cannot be read"),
        (damage_nan, "not finite"),
        (damage_shape, "do not fit"),
        (damage_missing, "do not fit"),
        (damage_no_probe, "another model"),
    ],
)
def test_a_damaged_file_is_told_and_the_other_heads_serve(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    other = {**CARD, "scorers": {"brief": 1}}
    write_head(folder, "length", tensors(), other, rows())
    damage(folder / "manners.safetensors")
    store = HeadStore([folder], rows())
    with pytest.raises(HeadError, match=said):
        store.scorer("polite")
    store.scorer("brief")


@pytest.mark.parametrize(
    "card",
    [
        "{",
        "[]",
        "{}",
        '{"kind": "bilinear", "hidden_size": 12, "vocab_size": 97}',
        '{"kind": "bilinear", "hidden_size": 12, "vocab_size": 97, "scorers": {"polite": 3}}',
        '{"kind": "bilinear", "hidden_size": "x", "vocab_size": 97, "scorers": {"polite": 1}}',
    ],
)
def test_a_damaged_card_is_left_out_and_told_to_who_asks(folder: Path, card: str) -> None:
    (folder / "manners.json").write_text(card)
    store = HeadStore([folder], rows())
    assert store.scorer_names == ()
    with pytest.raises(HeadError, match=r"the card manners\.json"):
        store.scorer("manners")
    with pytest.raises(UnknownScorerError):
        store.scorer("polite")


def test_a_head_of_an_unknown_form_is_refused(folder: Path) -> None:
    write_head(folder, "manners", tensors(), {**CARD, "form": "oracle"}, rows())
    with pytest.raises(HeadError, match="unknown form 'oracle'"):
        HeadStore([folder], rows()).scorer("polite")


def test_other_kinds_of_heads_are_found_by_their_file_s_name(folder: Path) -> None:
    write_head(folder, "praise", {"down": np.ones((2, WIDTH))}, {"kind": "adapter"}, rows())
    store = HeadStore([folder], rows())
    card, found = store.head("praise", "adapter")
    assert card.name == "praise"
    assert found["down"].dtype == np.float32
    assert set(found) == {"down"}
    with pytest.raises(UnknownScorerError, match="there are: praise"):
        store.head("manners", "adapter")
    with pytest.raises(UnknownScorerError):
        store.scorer("praise")


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".hidden"])
def test_a_head_is_written_in_its_folder_alone(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        write_head(tmp_path / "heads", name, tensors(), CARD, rows())
    assert not (tmp_path / "heads").exists()


# --- the shipped heads -----------------------------------------------------------------------

# Written for this test, in nobody's training data. The label is that of the first scorer.
GOOD = (
    "The food was wonderful and the staff were very kind.",
    "I love this phone, it works perfectly.",
    "A beautiful film with excellent acting.",
    "Great value, highly recommended.",
    "What a fantastic evening we had here!",
)
BAD = (
    "The food was terrible and the staff were rude.",
    "I hate this phone, it broke after a day.",
    "A boring film with awful acting.",
    "Waste of money, very disappointing.",
    "What a horrible evening we had here!",
)
ASKS = (
    "What time would you like to leave?",
    "Which city are you travelling to?",
    "How many people is the table for?",
    "Where should I look for restaurants?",
    "Do you have a preferred price range?",
)
TELLS = (
    "The train leaves at 9 am.",
    "The address is 12 Main Street.",
    "Their phone number is 555-0123.",
    "It costs 20 dollars per person.",
    "The weather will be sunny with a high of 75 degrees.",
)


@pytest.fixture(scope="module")
def reader(models: ModelStore) -> FrozenDecoder:
    return FrozenDecoder.load(models.path(DEFAULT_CHAT_MODEL), threads=1)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("scorer", "yes", "no"),
    [
        ("positive", GOOD, BAD),
        ("negative", BAD, GOOD),
        ("reward:positive", GOOD, BAD),
        ("act:request", ASKS, TELLS),
        ("act:inform", TELLS, ASKS),
    ],
)
def test_a_shipped_head_tells_real_texts_apart(
    reader: FrozenDecoder, scorer: str, yes: tuple[str, ...], no: tuple[str, ...]
) -> None:
    """At least nine of ten, by the score of the last token."""
    unembedding = Unembedding.of_weight(torch.from_numpy(reader.embedding))
    offer = HeadStore([PACKAGED], unembedding).scorer(scorer)
    ids = [tuple(reader.tokenizer.encode(text)) for text in (*yes, *no)]
    states = reader.states([Passage(context=(0,), text=text) for text in ids])
    said = []
    for text, hidden in zip(ids, states, strict=True):
        state = offer.scorer.start(text[:-1])
        (score,) = offer.scorer.scores(state, hidden[-2], np.array(text[-1:]))
        said.append(bool(score > 0) != offer.is_negated)
    right = sum(said[: len(yes)]) + sum(not one for one in said[len(yes) :])
    assert right >= 9


def test_the_shipped_cards_say_where_the_heads_come_from() -> None:
    cards = [json.loads(path.read_text()) for path in sorted(PACKAGED.glob("*.json"))]
    assert {card["name"] for card in cards} >= {"sentiment", "sentiment_reward", "dialogue_act"}
    for card in cards:
        if card["kind"] in ("bilinear", "gru", "reward"):
            assert card["command"].startswith("python -m api train discriminator ")
            assert "/" not in card["command"]
            assert card["data_licence"]
            assert card["data"]
            assert isinstance(card["seed"], int)
            assert card["metric"]["accuracy"] > 0.8
            file = PACKAGED / f"{card['name']}.safetensors"
            assert file.stat().st_size < 1_000_000
