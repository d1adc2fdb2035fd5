"""Watermarks in the engine: what was marked is found, and nothing else changes."""

import pytest

from llm.chat import Completion
from llm.decoding.grammar_spec import Choices
from llm.decoding.sampler import BatchSampler
from llm.decoding.spec import DecodeSpec, Search, SearchMethod, Speculation, Steer
from llm.engine import Engine
from llm.errors import RefusedPairError
from llm.native.loader import load_library
from llm.request import Part
from llm.sampling_params import SamplingParams
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import KeyRing, WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.marker import Marker
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from tests.llm.feature_run import served
from tests.llm.features import PROMPT as SMALL_PROMPT
from tests.llm.tiny_engine import tiny_engine

RING = KeyRing((WatermarkKey(name="a", secret=bytes(range(16))),))
OTHER = KeyRing((WatermarkKey(name="b", secret=bytes(range(1, 17))),))
SCHEMES: dict[str, Scheme] = {"gumbel": Gumbel(), "sbw": GreenLists(), "synthid": SynthID()}
PROMPT = [5, 6, 7, 8, 9]


def marked(
    params: SamplingParams, *, ring: KeyRing | None = RING, spec: DecodeSpec | None = None
) -> tuple[Completion, list[list[int]]]:
    """The completion, and the tokens of each answer."""
    marker = None if ring is None else Marker(ring, SCHEMES, sampled="gumbel", greedy=None)
    engine = tiny_engine(marker=marker, context_size=256)
    ends: list[Part | Exception] = []
    engine.add_request(PROMPT, params, ends.append, spec=spec or DecodeSpec())
    sequences = {}
    while engine.has_work:
        for request in engine.requests:
            sequences[request.sequence.number] = request.sequence
        engine.step()
    end = ends[-1]
    assert isinstance(end, Completion), end
    return end, [s.token_ids[s.num_prompt_tokens :] for s in sequences.values()]


def p_value(tokens: list[int], scheme: str = "gumbel", ring: KeyRing = RING) -> float:
    detector = Detector(SCHEMES[scheme], ring.keys)
    return detector.detect(Text(token_ids=tuple(tokens))).p_value


def test_drawn_replies_are_marked_and_found_under_their_key_alone() -> None:
    for seed in range(4):
        params = SamplingParams(max_tokens=120, temperature=1.0, seed=seed, top_k=20)
        end, (tokens,) = marked(params)
        assert p_value(tokens) < 1e-6
        assert p_value(tokens, ring=OTHER) > 1e-3
        assert end.mark is not None
        assert end.mark.scheme == "gumbel"
        assert end.mark.is_detectable
        assert end.mark.power > 0.99
        assert end.mark.key_id == RING.current.id


def test_seeds_and_choices_stay_different_and_are_found() -> None:
    spec = DecodeSpec(num_choices=3)
    texts = set()
    for seed in (1, 2):
        params = SamplingParams(max_tokens=80, temperature=1.0, seed=seed)
        end, answers = marked(params, spec=spec)
        texts |= {end.text, *(other.text for other in end.alternatives)}
        assert all(p_value(tokens) < 1e-4 for tokens in answers)
    assert len(texts) == 6


def test_the_first_tokens_are_those_of_the_seed() -> None:
    params = SamplingParams(max_tokens=30, temperature=1.0, seed=7)
    _, (plain,) = marked(params, ring=None)
    _, (tokens,) = marked(params)
    width = Gumbel().seeding.num_previous
    assert tokens[:width] == plain[:width]
    assert tokens != plain


@pytest.mark.parametrize("scheme", ["gumbel", "sbw", "synthid"])
@pytest.mark.parametrize("cuts", [{}, {"typical_p": 0.95}, {"presence_penalty": 0.5}])
def test_drafts_change_no_byte_of_a_marked_text(scheme: str, cuts: dict[str, float]) -> None:
    params = SamplingParams(max_tokens=60, temperature=1.0, seed=3, **cuts)  # type: ignore[arg-type]
    off = DecodeSpec(mark=scheme, speculation=Speculation(drafter="off"))
    plain, (tokens,) = marked(params, spec=off)
    guess = DecodeSpec(mark=scheme, speculation=Speculation(prediction=plain.text, max_draft=6))
    drafted, (again,) = marked(params, spec=guess)
    assert again == tokens
    assert drafted.accepted_tokens > 0
    assert drafted.mark == plain.mark
    assert p_value(tokens, scheme) < 1e-2


def test_a_greedy_reply_is_unmarked_unless_that_is_asked_for() -> None:
    params = SamplingParams(max_tokens=100, frequency_penalty=0.5)
    plain, (own,) = marked(params, ring=None)
    default, _ = marked(params)
    assert default.text == plain.text
    assert default.mark is None
    asked, (tokens,) = marked(params, spec=DecodeSpec(mark="sbw"))
    assert asked.mark is not None
    assert p_value(tokens, "sbw") < 1e-3 < p_value(own, "sbw")


def test_a_beam_is_marked_by_weights_and_by_nothing_else() -> None:
    params = SamplingParams(max_tokens=60, frequency_penalty=0.5)
    search = Search(method="beam", width=3)
    plain, _ = marked(params, spec=DecodeSpec(search=search))
    asked, _ = marked(params, spec=DecodeSpec(search=search, mark="sbw"))
    assert asked.text != plain.text
    with pytest.raises(RefusedPairError, match="mark"):
        marked(params, spec=DecodeSpec(search=search, mark="gumbel"))


def test_off_leaves_the_reply_as_it_is() -> None:
    params = SamplingParams(max_tokens=40, temperature=1.0, seed=5)
    plain, _ = marked(params, ring=None)
    off, _ = marked(params, spec=DecodeSpec(mark="off"))
    assert off.text == plain.text
    assert off.mark is None


def test_what_a_grammar_leaves_no_choice_about_is_unchanged_and_no_evidence() -> None:
    params = SamplingParams(max_tokens=60, temperature=1.0, seed=5)
    spec = DecodeSpec(grammar=Choices(options=("abcdefghijklmnopqrstuvwxyz",)))
    end, _ = marked(params, spec=spec)
    assert end.text == "abcdefghijklmnopqrstuvwxyz"
    assert end.mark is not None
    assert not end.mark.is_detectable


# --- beside other features -----------------------------------------------------------------------


def small_marked(
    params: SamplingParams, spec: DecodeSpec, *, is_marked: bool = True
) -> tuple[Completion, list[list[int]]]:
    """The same on the model of the feature matrix, which has trained heads beside it."""
    marker = Marker(RING, SCHEMES, sampled="gumbel", greedy=None) if is_marked else None
    engine = Engine(served(), BatchSampler(load_library()), marker=marker)
    ends: list[Part | Exception] = []
    engine.add_request(SMALL_PROMPT, params, ends.append, spec=spec)
    sequences = {}
    while engine.has_work:
        for request in engine.requests:
            sequences[request.sequence.number] = request.sequence
        engine.step()
    end = ends[-1]
    assert isinstance(end, Completion), end
    return end, [s.token_ids[s.num_prompt_tokens :] for s in sequences.values()]


@pytest.mark.parametrize("scheme", ["gumbel", "sbw", "synthid"])
def test_a_steered_reply_is_marked_as_it_is_steered(scheme: str) -> None:
    """The mark comes behind steering: its start is the steered one's, and it is found."""
    steer = (Steer(scorer="dull", weight=1.7),)
    params = SamplingParams(max_tokens=60, min_tokens=60, temperature=1.5, seed=3)
    off = Speculation(drafter="off")
    plain, (own,) = small_marked(params, DecodeSpec(steer=steer, mark="off", speculation=off))
    end, (tokens,) = small_marked(params, DecodeSpec(steer=steer, mark=scheme, speculation=off))
    _, (unsteered,) = small_marked(params, DecodeSpec(mark=scheme, speculation=off))
    assert tokens[:4] == own[:4]
    assert tokens not in (own, unsteered)
    assert p_value(tokens, scheme) < 1e-2 < p_value(own, scheme)
    assert end.steer_kl is not None
    assert end.steer_kl > 0
    assert plain.mark is None


@pytest.mark.parametrize("method", ["mbr", "best_of"])
def test_samples_of_a_search_differ_and_each_is_found(method: SearchMethod) -> None:
    """With one sub-key for all of them keyed noise would draw the same text several times."""
    params = SamplingParams(max_tokens=60, min_tokens=60, temperature=1.5, seed=3)
    search = Search(method=method, width=3)
    end, answers = small_marked(params, DecodeSpec(search=search))
    assert len(answers) == 3
    assert len({tuple(tokens) for tokens in answers}) == 3
    assert all(p_value(tokens) < 1e-2 for tokens in answers)
    assert end.mark is not None
    assert end.mark.scheme == "gumbel"
