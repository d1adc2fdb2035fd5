"""What a decode spec asks of the engine: each control alone, on a tiny random model."""

import json
from collections.abc import Sequence

import pytest

from llm.chat import Completion, TextDelta
from llm.decoding.grammar_spec import Choices, JsonSchema, Regex
from llm.decoding.spec import Contrast, DecodeSpec, Search, Speculation
from llm.engine import Engine
from llm.errors import (
    BudgetTooSmallError,
    EngineFailureError,
    RefusedPairError,
    UnknownScorerError,
)
from llm.request import Part
from llm.sampling_params import SamplingParams
from tests.llm.tiny_engine import tiny_engine

PROMPT = [5, 6, 7, 8, 9]
OTHER = [5, 6, 9]
SAMPLED = SamplingParams(max_tokens=12, temperature=1.0, seed=3)
NO_DRAFTS = Speculation(drafter="off")


def answer(
    engine: Engine,
    params: SamplingParams,
    prompt: Sequence[int] = PROMPT,
    *,
    baseline: Sequence[int] = (),
    spec: DecodeSpec,
) -> tuple[Completion, list[TextDelta]]:
    parts: list[Part | Exception] = []
    engine.add_request(prompt, params, parts.append, spec=spec, baseline_ids=baseline)
    while engine.has_work:
        engine.step()
        engine.check()
    assert engine.state().used_blocks == 0
    end = parts[-1]
    if isinstance(end, Exception):
        raise end
    assert isinstance(end, Completion)
    deltas = [part for part in parts[:-1] if isinstance(part, TextDelta)]
    return end, deltas


def test_what_a_grammar_demands_is_whole_whatever_the_budget() -> None:
    engine = tiny_engine()
    schema = JsonSchema.of(
        {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "s": {"type": "string", "maxLength": 9}},
            "required": ["n", "s"],
            "additionalProperties": False,
        }
    )
    spec = DecodeSpec(grammar=schema)
    with pytest.raises(BudgetTooSmallError) as refused:
        answer(engine, SamplingParams(max_tokens=2), spec=spec)
    for budget in range(refused.value.needed, refused.value.needed + 30, 3):
        for seed in range(3):
            params = SamplingParams(max_tokens=budget, temperature=1.5, seed=seed)
            end, _ = answer(engine, params, spec=spec)
            assert set(json.loads(end.text)) == {"n", "s"}
            assert end.finish_reason == "stop"


def test_a_stop_counts_only_where_the_grammar_may_end() -> None:
    engine = tiny_engine()
    params = SamplingParams(max_tokens=40, stop=("b",))
    end, _ = answer(engine, params, spec=DecodeSpec(grammar=Choices(options=("abcb", "abba"))))
    assert end.text in ("abcb", "abba")
    end, _ = answer(engine, params, spec=DecodeSpec(grammar=Regex(pattern="a?(bc)*")))
    assert "b" not in end.text


def test_choices_are_what_each_stream_says_alone_and_share_the_prompt() -> None:
    engine = tiny_engine()
    end, deltas = answer(engine, SAMPLED, spec=DecodeSpec(num_choices=3))
    texts = [end.text, *(other.text for other in end.alternatives)]
    assert len(set(texts)) == 3
    for choice, text in enumerate(texts):
        assert "".join(d.text for d in deltas if d.choice == choice) == text
    alone, _ = answer(tiny_engine(), SAMPLED, spec=DecodeSpec())
    assert texts[0] == alone.text
    assert end.usage.completion_tokens == 3 * alone.usage.completion_tokens


@pytest.mark.parametrize("num_choices", [1, 2])
def test_a_baseline_equal_to_the_prompt_changes_nothing(num_choices: int) -> None:
    spec = DecodeSpec(context_faithfulness=1.0, num_choices=num_choices)
    alike, _ = answer(tiny_engine(), SAMPLED, baseline=PROMPT, spec=spec)
    plain, _ = answer(tiny_engine(), SAMPLED, spec=DecodeSpec(num_choices=num_choices))
    assert alike.text == plain.text
    assert alike.steer_kl == pytest.approx(0, abs=1e-6)
    other, _ = answer(tiny_engine(), SAMPLED, baseline=OTHER, spec=spec)
    assert other.steer_kl is not None
    assert other.steer_kl > 1e-6


def test_a_baseline_is_wanted_with_context_faithfulness_and_only_then() -> None:
    engine = tiny_engine()
    with pytest.raises(ValueError, match="second prompt"):
        answer(engine, SAMPLED, spec=DecodeSpec(context_faithfulness=0.5))
    with pytest.raises(ValueError, match="second prompt"):
        answer(engine, SAMPLED, baseline=OTHER, spec=DecodeSpec())


def test_a_beam_of_one_is_greedy_and_a_wider_one_is_no_worse() -> None:
    greedy, _ = answer(tiny_engine(), SamplingParams(max_tokens=9), spec=DecodeSpec())
    scores = []
    for width in (1, 2, 4, 6):
        search = Search(method="beam", width=width, length_penalty=0.0)
        params = SamplingParams(max_tokens=9)
        end, deltas = answer(tiny_engine(), params, spec=DecodeSpec(search=search))
        assert "".join(delta.text for delta in deltas) == end.text
        assert end.score is not None
        scores.append(end.score)
        if width == 1:
            assert end.text == greedy.text
    assert scores[-1] >= scores[0]


def test_a_beam_is_the_same_in_a_small_cache_and_in_company() -> None:
    spec = DecodeSpec(search=Search(method="beam", width=3))
    params = SamplingParams(max_tokens=20)
    alone, _ = answer(tiny_engine(), params, spec=spec)
    engine = tiny_engine(cache_tokens=16 * 9)
    ends: list[Part | Exception] = []
    for i in range(3):
        engine.add_request([3 + i] * 20, SamplingParams(max_tokens=30), lambda _: None)
    engine.add_request(PROMPT, params, ends.append, spec=spec)
    while engine.has_work:
        engine.step()
        engine.check()
    assert isinstance(ends[-1], Completion)
    assert ends[-1].text == alone.text
    assert engine.state().used_blocks == 0


@pytest.mark.parametrize("method", ["best_of", "mbr", "self_consistency"])
def test_a_search_over_samples_says_one_of_them_and_nothing_before(method: str) -> None:
    search = Search(method=method, width=4)  # type: ignore[arg-type]
    end, deltas = answer(tiny_engine(), SAMPLED, spec=DecodeSpec(search=search))
    drawn, _ = answer(tiny_engine(), SAMPLED, spec=DecodeSpec(num_choices=4))
    texts = sorted([drawn.text, *(other.text for other in drawn.alternatives)])
    assert sorted([end.text, *(other.text for other in end.alternatives)]) == texts
    assert [delta.text for delta in deltas] == [end.text]
    assert end.log_probs == ()


def test_log_probabilities_come_with_the_text_that_they_belong_to() -> None:
    params = SamplingParams(max_tokens=9, temperature=1.0, seed=1, logprobs=True, top_logprobs=3)
    end, deltas = answer(tiny_engine(), params, spec=DecodeSpec())
    assert len(end.log_probs) == end.usage.completion_tokens
    assert all(len(entry.top) == 3 and entry.log_prob <= 0 for entry in end.log_probs)
    assert b"".join(entry.data for entry in end.log_probs).decode(errors="replace") == end.text
    told = [entry for delta in deltas for entry in delta.log_probs]
    assert told == list(end.log_probs)[: len(told)]


def test_drafts_change_no_byte_and_are_counted() -> None:
    params = SamplingParams(max_tokens=60)
    plain, _ = answer(tiny_engine(), params, [4, 5] * 8, spec=DecodeSpec(speculation=NO_DRAFTS))
    assert plain.drafted_tokens == 0
    guessed = DecodeSpec(speculation=Speculation(prediction=plain.text))
    drafted, _ = answer(tiny_engine(), params, [4, 5] * 8, spec=guessed)
    assert drafted.text == plain.text
    assert drafted.accepted_tokens > 0
    assert drafted.drafted_tokens >= drafted.accepted_tokens


def test_what_a_grammar_leaves_no_choice_about_is_drafted() -> None:
    schema = JsonSchema.of(
        {
            "type": "object",
            "properties": {"the name of the place": {"type": "integer", "maximum": 99}},
            "required": ["the name of the place"],
            "additionalProperties": False,
        }
    )
    params = SamplingParams(max_tokens=60, temperature=1.0, seed=5)
    off = DecodeSpec(grammar=schema, speculation=NO_DRAFTS)
    plain, _ = answer(tiny_engine(), params, spec=off)
    drafts = DecodeSpec(grammar=schema, speculation=Speculation(drafter="grammar"))
    drafted, _ = answer(tiny_engine(), params, spec=drafts)
    assert drafted.text == plain.text
    assert drafted.accepted_tokens > 5


def test_what_was_said_before_is_drafted_for_the_same_tenant_alone() -> None:
    engine = tiny_engine()
    wish = DecodeSpec(speculation=Speculation(drafter="history"))
    params = SamplingParams(max_tokens=40)
    accepted = {}
    for turn, tenant in enumerate(("a", "a", "b")):
        ends: list[Part | Exception] = []
        engine.add_request(PROMPT, params, ends.append, spec=wish, tenant=tenant)
        while engine.has_work:
            engine.step()
        assert isinstance(ends[-1], Completion)
        accepted[turn] = ends[-1].accepted_tokens
    assert accepted[1] > accepted[0] == accepted[2]


def test_a_stop_inside_an_accepted_draft_ends_the_request() -> None:
    plain, _ = answer(tiny_engine(), SamplingParams(max_tokens=40), spec=DecodeSpec())
    stop = plain.text[len(plain.text) // 2 :][:3]
    params = SamplingParams(max_tokens=40, stop=(stop,))
    expected = plain.text[: plain.text.index(stop)]
    for drafter in ("off", "auto"):
        wish = Speculation(drafter=drafter, prediction=plain.text, max_draft=20)
        end, _ = answer(tiny_engine(), params, spec=DecodeSpec(speculation=wish))
        assert end.text == expected
        assert (end.accepted_tokens > 0) == (drafter == "auto")


def test_rejection_draws_from_the_right_tokens_and_ends() -> None:
    wish = Speculation(drafter="prediction", prediction="aaaaaaaa", verify="rejection")
    for seed in range(5):
        params = SamplingParams(max_tokens=20, temperature=1.0, seed=seed, top_k=2)
        end, _ = answer(tiny_engine(), params, spec=DecodeSpec(speculation=wish))
        assert end.usage.completion_tokens <= 20


def test_contrast_has_a_price_and_less_of_a_price_with_less_weight() -> None:
    prices = []
    for weight in (0.0, 0.3, 1.0):
        contrast = Contrast(weight=weight, head=1e-6)
        end, _ = answer(tiny_engine(), SAMPLED, spec=DecodeSpec(contrast=contrast))
        assert end.steer_kl is not None
        prices.append(end.steer_kl)
    assert prices[0] == pytest.approx(0, abs=1e-4)
    assert prices[0] < prices[1] < prices[2]


def test_what_cannot_be_is_refused_before_it_is_queued() -> None:
    engine = tiny_engine()
    beam = DecodeSpec(search=Search(method="beam"))
    with pytest.raises(RefusedPairError, match="temperature"):
        answer(engine, SAMPLED, spec=beam)
    with pytest.raises(UnknownScorerError, match="nobody"):
        answer(engine, SAMPLED, spec=DecodeSpec(contrast=Contrast(amateur="ngram:nobody")))
    assert not engine.has_work


def test_one_failing_choice_fails_its_request_alone() -> None:
    engine = tiny_engine()
    ends: list[Part | Exception] = []
    others: list[Part | Exception] = []
    engine.add_request(PROMPT, SAMPLED, ends.append, spec=DecodeSpec(num_choices=3))
    engine.add_request(OTHER, SAMPLED, others.append)
    engine.step()
    engine.step()
    broken = next(request for request in engine.requests if request.choice == 1)

    class Broken:
        def shape(self, _: object) -> object:
            raise RuntimeError("a fault of ours")

    broken.row.shape = Broken()  # type: ignore[assignment]
    broken.row.is_plain = False
    while engine.has_work:
        engine.step()
    failures = [part for part in ends if isinstance(part, Exception)]
    assert len(failures) == 1
    assert isinstance(failures[0], EngineFailureError)
    assert isinstance(others[-1], Completion)
    assert engine.state().used_blocks == 0


def test_cancelling_ends_all_choices_and_all_hypotheses() -> None:
    engine = tiny_engine()
    for spec in (DecodeSpec(num_choices=3), DecodeSpec(search=Search(method="beam", width=3))):
        ends: list[Part | Exception] = []
        params = SamplingParams(max_tokens=60, temperature=float(spec.num_choices > 1))
        request = engine.add_request(PROMPT, params, ends.append, spec=spec)
        for _ in range(4):
            engine.step()
        request.wiring.cancel.set()
        engine.step()
        assert not engine.has_work
        assert isinstance(ends[-1], Completion)
        assert ends[-1].finish_reason == "cancelled"
        assert engine.state().used_blocks == 0


@pytest.mark.parametrize("method", ["sample", "mbr", "beam"])
def test_what_is_cancelled_in_the_queue_is_told_once(method: str) -> None:
    engine = tiny_engine()
    search = Search(method=method, width=3)  # type: ignore[arg-type]
    spec = DecodeSpec(search=search, num_choices=3 if method == "sample" else 1)
    params = SamplingParams(max_tokens=9, temperature=0.0 if method == "beam" else 1.0)
    ends: list[Part | Exception] = []
    request = engine.add_request(PROMPT, params, ends.append, spec=spec)
    request.wiring.cancel.set()
    while engine.has_work:
        engine.step()
    told = [end for end in ends if isinstance(end, Completion)]
    assert [end.finish_reason for end in told] == ["cancelled"]
    assert not any(isinstance(end, Exception) for end in ends)
