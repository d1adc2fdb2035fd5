"""Every feature beside every other one, on a model of two layers and 64 tokens.

A neutral feature changes no bit of what is said without it. What semantic features say together is
what the dense reference says, which reads the whole text anew for every token. Triples are covered
by larger sets, in each of which all of this must hold at once.
"""

import itertools
from functools import cache

import pytest

from llm.chat import TextDelta
from llm.decoding.refused_pairs import REFUSED_PAIRS, check_pairs
from llm.decoding.spec import DecodeSpec, Search, Speculation
from llm.errors import ConstraintConflictError, RefusedPairError
from llm.sampling_params import Mirostat, SamplingParams
from tests.golden.pipeline_reference import NothingLeftError, ReferenceStep
from tests.llm import feature_reference as reference
from tests.llm.feature_run import Answer, Said, said, spoken
from tests.llm.features import (
    FEATURES,
    NEUTRAL,
    OPTIONS,
    SEMANTIC,
    covering_rows,
    is_possible,
    wish,
)

Names = tuple[str, ...]

pytestmark = pytest.mark.slow  # all of it together; `test_feature_soak` is quick


def together(*groups: Names) -> list[Names]:
    """One of each group, all that can be asked for; a set of two is in it once."""
    sets = {tuple(sorted(set(names))) for names in itertools.product(*groups)}
    return sorted(names for names in sets if is_possible(names))


ROWS = covering_rows(3, largest=10, seed=7)


@cache
def outcome(names: Names) -> Said | str:
    """What is said, or that nothing can be."""
    try:
        return said(names)
    except ConstraintConflictError:
        return "nothing"


def alone(names: Names) -> Said | str:
    """What the semantic ones of some features say, cold and unbatched."""
    return outcome(tuple(name for name in names if name in SEMANTIC))


def named(names: Names) -> str:
    return "+".join(names)


# --- the tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("names", together(NEUTRAL, NEUTRAL), ids=named)
def test_neutral_features_change_nothing(names: Names) -> None:
    assert outcome(names) == outcome(())


@pytest.mark.parametrize("names", together(NEUTRAL, SEMANTIC), ids=named)
def test_a_neutral_feature_leaves_a_semantic_one_as_it_is(names: Names) -> None:
    assert outcome(names) == alone(names)


@pytest.mark.parametrize("names", [(), *together(SEMANTIC, SEMANTIC)], ids=named)
def test_semantic_features_say_together_what_the_reference_says(names: Names) -> None:
    assert_as_the_reference(names)


@pytest.mark.parametrize("names", ROWS, ids=named)
def test_every_three_features_go_together(names: Names) -> None:
    assert outcome(names) == alone(names)
    assert_as_the_reference(tuple(name for name in names if name in SEMANTIC))


def test_the_sets_cover_every_three_features() -> None:
    covered = {triple for row in ROWS for triple in itertools.combinations(row, 3)}
    possible = {t for t in itertools.combinations(sorted(FEATURES), 3) if is_possible(t)}
    assert possible <= covered
    assert all(is_possible(row) for row in ROWS)


# --- against the reference ---------------------------------------------------------------------


def assert_as_the_reference(names: Names) -> None:
    found, made = outcome(names), wish(names)
    if made.spec.search.method == "beam":
        hypotheses = reference.beam(made)
        if not hypotheses:
            assert found == "nothing"
            return
        assert isinstance(found, Said)
        assert [answer.text for answer in found.answers] == [text for text, _ in hypotheses]
        scores = [score for _, score in hypotheses]
        assert [answer.score for answer in found.answers] == pytest.approx(scores, abs=1e-4)
        return
    try:
        wanted = [reference.answer(made, stream=i) for i in range(made.num_answers)]
    except NothingLeftError:
        assert found == "nothing"
        return
    assert isinstance(found, Said)
    if made.spec.search.method == "best_of":
        wanted.sort(key=lambda answer: -reference.worth(answer[2]))
        scores = [reference.worth(steps) for _, _, steps in wanted]
        assert [answer.score for answer in found.answers] == pytest.approx(scores, abs=1e-4)
    assert len(found.answers) == len(wanted)
    assert found.answers[0].num_tokens == sum(len(steps) for _, _, steps in wanted)
    for answer, (text, reason, steps) in zip(found.answers, wanted, strict=True):
        assert (answer.text, answer.reason) == (text, reason)
        assert_same_accounts(answer, steps, names)


def assert_same_accounts(answer: Answer, steps: list[ReferenceStep], names: Names) -> None:
    made = wish(names)
    guided = bool(made.spec.steer or made.spec.contrast or made.spec.experts)
    assert (answer.steer_kl is not None) == (guided or made.spec.context_faithfulness > 0)
    if answer.steer_kl is not None:
        price = sum(done.price for done in steps) / len(steps)
        assert answer.steer_kl == pytest.approx(price, rel=1e-3, abs=1e-5)
    if "logprobs" not in names:
        assert answer.log_probs == ()
        return
    told = [done for done in steps if done.token not in reference.small_ends()]
    assert len(answer.log_probs) == len(told)
    for entry, done in zip(answer.log_probs, told, strict=True):
        final = done.log_probs("final")
        assert entry.log_prob == pytest.approx(final[done.token], abs=1e-4)
        best = sorted(final.values(), reverse=True)[:3]
        assert [one.log_prob for one in entry.top] == pytest.approx(best, abs=1e-4)


# --- that the features are felt ----------------------------------------------------------------


@pytest.mark.parametrize("name", SEMANTIC)
def test_a_semantic_feature_is_felt(name: str) -> None:
    assert outcome((name,)) != outcome(())


@pytest.mark.parametrize(
    ("names", "effort"),
    [
        (("prefix_cache",), "cached"),
        (("preemption",), "preempted"),
        (("mirostat", "preemption"), "preempted"),
        (("beam", "preemption"), "preempted"),
        (("draft_prompt",), "accepted"),
        (("draft_prediction",), "accepted"),
        (("draft_ngram",), "drafted"),
        (("draft_grammar", "grammar"), "accepted"),
        (("draft_history",), "accepted"),
        (("draft_auto", "fudge"), "accepted"),
        (("draft_prompt", "evidence"), "accepted"),
        (("draft_prompt", "mirostat"), "accepted"),
    ],
    ids=str,
)
def test_a_neutral_feature_is_at_work(names: Names, effort: str) -> None:
    found = outcome(tuple(sorted(names)))
    assert isinstance(found, Said)
    assert found.effort[effort] > 0


# --- special clauses ---------------------------------------------------------------------------


@pytest.mark.parametrize("names", together(("grammar",), SEMANTIC + NEUTRAL), ids=named)
def test_what_a_grammar_demands_is_said_unless_a_stop_comes_first(names: Names) -> None:
    found = outcome(names)
    assert isinstance(found, Said)
    assert all(answer.text in OPTIONS and answer.reason == "stop" for answer in found.answers)


@pytest.mark.parametrize("name", [name for name in NEUTRAL if name.startswith("draft")])
def test_a_beam_is_not_drafted_for(name: str) -> None:
    found = outcome(tuple(sorted(("beam", name))))
    assert isinstance(found, Said)
    assert found.effort["drafted"] == 0


@pytest.mark.parametrize("names", [("beam",), ("beam", "stop"), ("best_of",)], ids=named)
def test_a_search_says_nothing_before_it_is_done(names: Names) -> None:
    *pieces, completion = spoken(names)
    assert [piece.text for piece in pieces] == [completion.text][: bool(completion.text)]


def test_choices_begin_with_the_answer_of_one() -> None:
    several, one = outcome(("choices",)), outcome(())
    assert isinstance(several, Said)
    assert isinstance(one, Said)
    assert several.answers[0].text == one.answers[0].text
    assert len({answer.text for answer in several.answers}) == len(several.answers)


@pytest.mark.parametrize("where", [2, 3, 8, 15])
def test_a_stop_inside_an_accepted_draft_discards_the_rest(where: int) -> None:
    """The draft is the whole text, so the stop stands within it; `said` counts the blocks."""
    whole = outcome(("logprobs",))
    assert isinstance(whole, Said)
    text = whole.answers[0].text
    stop = text[where : where + 2]
    asked = Speculation(drafter="prediction", prediction=text, max_draft=16)
    stopped = said((), params={"stop": (stop,)}, spec={"speculation": asked})
    plain = said((), params={"stop": (stop,)})
    assert stopped == plain
    assert stopped.answers[0].text == text[: text.index(stop)]
    assert stopped.answers[0].reason == "stop"
    assert 0 < stopped.effort["accepted"] < stopped.effort["drafted"]
    assert stopped.effort["steps"] < plain.effort["steps"]


# --- what is refused ---------------------------------------------------------------------------

SOME = SamplingParams(temperature=1.0)
EXAMPLES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "search.method beam": ({"search": Search(method="beam")}, {"temperature": 0.0}),
    "search over samples": ({"search": Search(method="best_of")}, {}),
    "speculation.verify rejection": ({"speculation": Speculation(verify="rejection")}, {}),
    "context_faithfulness": ({"context_faithfulness": 0.5}, {}),
    "temperature": ({}, {"temperature": 0.7}),
    "temperature 0": ({}, {"temperature": 0.0}),
    "mirostat": ({}, {"mirostat": Mirostat()}),
    "logprobs": ({}, {"logprobs": True}),
    "overflow roll": ({}, {"overflow": "roll"}),
    "a mark that lies in the draw": ({"mark": "synthid"}, {}),
    "mark gumbel": ({"mark": "gumbel"}, {}),
}


def asking(*names: str) -> tuple[DecodeSpec, SamplingParams]:
    spec: dict[str, object] = {}
    params: dict[str, object] = {"temperature": 1.0}
    for name in names:
        spec |= EXAMPLES[name][0]
        params |= EXAMPLES[name][1]
    return DecodeSpec(**spec), SamplingParams(**params)  # type: ignore[arg-type]


@pytest.mark.parametrize("pair", REFUSED_PAIRS, ids=lambda pair: f"{pair.first}+{pair.second}")
def test_a_refused_pair_is_refused_by_both_names(pair: object) -> None:
    first, second = pair.first, pair.second  # type: ignore[attr-defined]
    with pytest.raises(RefusedPairError) as refused:
        check_pairs(*asking(first, second))
    assert first in str(refused.value)
    assert second in str(refused.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_refused_beside_another_is_taken_alone(name: str) -> None:
    check_pairs(*asking(name))


def test_only_refused_pairs_and_clashes_are_missing() -> None:
    """Whatever else is asked for goes together; see `FEATURES` for what wants the same field."""
    missing = {
        pair for pair in itertools.combinations(sorted(FEATURES), 2) if not is_possible(pair)
    }
    drafts = [name for name in NEUTRAL if name.startswith("draft")]
    marks = [name for name in SEMANTIC if name.startswith("mark")]
    clashes = {
        ("contrast", "ngrams"),
        ("beam", "best_of"),
        ("best_of", "choices"),
        ("cuts", "mirostat"),
        *itertools.combinations(sorted(drafts), 2),
        *itertools.combinations(sorted(marks), 2),
    }
    assert missing - clashes == {
        ("beam", "choices"),
        ("beam", "logprobs"),
        ("beam", "mark_gumbel"),
        ("beam", "mark_synthid"),
        ("beam", "mirostat"),
    }


def test_pieces_are_text_until_the_end() -> None:
    pieces = spoken(("choices", "logprobs"))
    assert all(isinstance(piece, TextDelta) for piece in pieces[:-1])
