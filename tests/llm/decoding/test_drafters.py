from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.draft_model import DraftModel, DraftNoise
from llm.decoding.drafters import (
    BestToken,
    CombinedDrafter,
    Forcing,
    GrammarDrafter,
    NGramDrafter,
    PredictedOutput,
    PromptLookup,
)
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import Choices
from llm.decoding.ngram_model import NGramModel
from llm.decoding.output_history import OutputHistory
from llm.decoding.phases import Drafter
from llm.sampling_params import SamplingParams
from tests.llm.decoding.small_vocabulary import small_vocabulary

V = 4
tokens = st.lists(st.integers(0, V - 1), max_size=30)


class Follower:
    """An n-gram model of a rule, which now and then knows nothing."""

    def best(self, context: Sequence[int]) -> int | None:
        if context[-2:] == [0, 0]:
            return None
        return (2 * sum(context[-2:]) + 1) % V


class Table:
    """A small model whose logits depend on the last two tokens."""

    def next_logits(self, token_ids: Sequence[int]) -> np.ndarray:
        rng = np.random.default_rng(sum(token_ids[-2:]))
        return rng.normal(size=V).astype(np.float32)

    def fork(self) -> "Table":
        return Table()


def history() -> OutputHistory:
    outputs = OutputHistory(max_tokens=64)
    for output in ([0, 1, 2, 3, 0, 1, 2], [1, 2, 2, 1, 0, 3], [0, 1, 2, 3, 3]):
        outputs.add(output)
    return outputs


NOISE = DraftNoise(params=SamplingParams(temperature=1.0, top_p=0.9), seed=3)
Maker = Callable[[list[int]], Drafter]
MAKERS: dict[str, Maker] = {
    "prompt": PromptLookup,
    "history": lambda prompt: history().drafter(prompt),
    "ngram": lambda prompt: NGramDrafter(Follower(), prompt, context_len=2),
    "prediction": lambda prompt: PredictedOutput([*prompt, 0, 1, 2, 3, 1, 1, 2]),
    "model": lambda prompt: DraftModel(Table(), prompt, NOISE),
}
MAKERS["auto"] = lambda prompt: CombinedDrafter(
    {name: MAKERS[name](prompt) for name in ("prediction", "prompt", "history", "ngram")}
)


@pytest.mark.parametrize("name", list(MAKERS))
@given(tokens, tokens, st.integers(0, 30), st.integers(0, 9))
@settings(max_examples=50)
def test_a_draft_is_a_function_of_the_tokens_taken(
    name: str, prompt: list[int], output: list[int], cut: int, most: int
) -> None:
    """However it is asked meanwhile; a fork goes on by itself, and a shorter draft is a prefix."""
    drafter, fed = MAKERS[name](prompt), MAKERS[name](prompt)
    assert isinstance(drafter, Drafter)
    for i, token in enumerate(output[:cut]):
        drafter.propose(i % 5)
        drafter.take(token)
    fork = drafter.fork()
    for drawn in (1, 1, 2):  # must not touch the fork
        drafter.take(drawn)
    for i, token in enumerate(output[cut:]):
        fork.propose(i % 3)
        fork.take(token)
    for token in output:
        fed.take(token)
    draft = list(fork.propose(9))
    assert draft == list(fed.propose(9)) == list(fork.propose(9))
    assert list(fork.propose(most)) == draft[:most]
    assert len(draft) <= 9
    assert list(fork.propose(0)) == []


def looked_up(text: list[int], most: int, least: int, longest: int) -> list[int]:
    """Every earlier place, the longest match first, then the latest; copied token by token."""
    for n in range(longest, least - 1, -1):
        for end in range(len(text) - 1, n - 1, -1):
            if n <= len(text) and text[end - n : end] == text[-n:]:
                copied = list(text)
                while len(copied) < len(text) + most:
                    copied.append(copied[end + len(copied) - len(text)])
                return copied[len(text) :]
    return []


@given(tokens, tokens, st.integers(0, 9), st.integers(1, 2), st.integers(0, 3))
def test_a_lookup_copies_what_followed_the_latest_of_the_longest_matches(
    prompt: list[int], output: list[int], most: int, least: int, more: int
) -> None:
    drafter = PromptLookup(prompt, min_match=least, max_match=least + more)
    assert drafter.propose(most) == looked_up(prompt, most, least, least + more)
    for i, token in enumerate(output):
        drafter.take(token)
        text = prompt + output[: i + 1]
        assert drafter.propose(most) == looked_up(text, most, least, least + more)


def test_a_lookup_prefers_a_long_match_to_a_late_one() -> None:
    prompt = [1, 2, 3, 4, 50, 9, 3, 4, 60, 1, 2, 3, 4]
    assert PromptLookup(prompt).propose(1) == [50]
    assert PromptLookup(prompt, max_match=2).propose(1) == [60]


def test_a_repetition_is_expected_to_go_on() -> None:
    assert PromptLookup([5, 1, 2, 1, 2]).propose(5) == [1, 2, 1, 2, 1]


@pytest.mark.parametrize("bounds", [(0, 4), (3, 2)])
def test_matches_of_no_length_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="min_match"):
        PromptLookup([1], min_match=bounds[0], max_match=bounds[1])


def drafts_right(prediction: list[int], output: list[int]) -> list[bool]:
    """For each token of the output, whether it was drafted as the next."""
    drafter = PredictedOutput(prediction)
    right = []
    for token in output:
        right.append(drafter.propose(1) == [token])
        drafter.take(token)
    return right


TEXT = list(range(100, 130))


def test_a_prediction_that_comes_true_is_drafted_throughout() -> None:
    assert all(drafts_right(TEXT, TEXT))
    assert PredictedOutput(TEXT).propose(99) == TEXT
    drafter = PredictedOutput(TEXT)
    for token in TEXT:
        drafter.take(token)
    assert drafter.propose(4) == []


def test_a_replaced_token_costs_one_draft() -> None:
    output = [*TEXT[:10], 7, *TEXT[11:]]
    assert drafts_right(TEXT, output).count(False) == 1


def test_inserted_tokens_cost_as_many_drafts_and_two() -> None:
    output = [*TEXT[:10], 7, 8, 9, *TEXT[10:]]
    assert [i for i, right in enumerate(drafts_right(TEXT, output)) if not right] == [
        *range(10, 15)
    ]


def test_removed_tokens_cost_two_drafts() -> None:
    output = [*TEXT[:10], *TEXT[20:]]
    assert [i for i, right in enumerate(drafts_right(TEXT, output)) if not right] == [10, 11]


def test_nothing_is_drafted_while_the_place_is_unknown() -> None:
    drafter = PredictedOutput(TEXT)
    for token in (100, 7, 8):
        drafter.take(token)
    assert drafter.propose(8) == []


def test_a_false_place_far_ahead_is_left_again() -> None:
    """The pair (1, 2) stands near the end as well; the text goes on behind its first place."""
    prediction = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 1, 2, 30, 31]
    output = [10, 11, 12, 13, 1, 2, 14, 15, 16, 17, 18]
    right = drafts_right(prediction, output)
    assert right == [True] * 4 + [False] * 4 + [True] * 3


def test_what_was_followed_is_not_searched_again() -> None:
    prediction = [1, 2, 50, 10, 11, 12, 13, 14, 60, 61, 1, 2, 70]
    drafter = PredictedOutput(prediction)
    for token in [*prediction[:7], 8, 9, 1, 2]:
        drafter.take(token)
    assert drafter.propose(1) == [70]


def test_the_longest_match_ahead_is_taken_and_of_those_the_nearest() -> None:
    prediction = [0, 9, 1, 2, 50, 8, 1, 2, 60, 8, 1, 2, 70]
    for written, drafted in (([5, 9, 1, 2], 50), ([5, 8, 1, 2], 60), ([5, 6, 1, 2], 50)):
        drafter = PredictedOutput(prediction)
        for token in written:
            drafter.take(token)
        assert drafter.propose(1) == [drafted]


@given(tokens, tokens)
def test_what_is_drafted_stands_in_the_prediction(prediction: list[int], output: list[int]) -> None:
    drafter = PredictedOutput(prediction)
    for token in output:
        drafter.take(token)
        draft = drafter.propose(5)
        places = range(len(prediction) + 1)
        assert any(prediction[i : i + len(draft)] == draft for i in places)


def test_a_model_that_knows_nothing_ends_a_draft() -> None:
    assert isinstance(Follower(), BestToken)
    assert NGramDrafter(Follower(), [1, 2]).propose(3) == [3, 3, 1]
    assert NGramDrafter(Follower(), [0, 0]).propose(3) == []
    with pytest.raises(ValueError, match="context"):
        NGramDrafter(Follower(), context_len=-1)


def test_an_n_gram_model_of_our_own_drafts_what_it_saw() -> None:
    text = [5, 1, 2, 3, 4]
    model = NGramModel.fit([text] * 4, order=3, vocab_size=7)
    assert isinstance(model, BestToken)
    assert NGramDrafter(model, [6, 5, 1]).propose(3) == [2, 3, 4]


VOCABULARY = small_vocabulary()
GRAMMAR = compile_grammar(
    Choices(options=("the name of the tag", "the name of the end")), VOCABULARY
)


def test_a_grammar_drafts_what_it_forces_in_the_state_of_its_branch() -> None:
    state = GRAMMAR.start()
    assert isinstance(state, Forcing)
    drafter = GrammarDrafter(state)
    forced = list(drafter.propose(32))
    assert b"".join(VOCABULARY.token_bytes[v] for v in forced) == b"the name of the"
    assert drafter.propose(1) == forced[:1]
    for token in forced:
        drafter.take(token)
        state.advance(token)  # by the pipeline
    assert drafter.propose(32) == []


def test_a_fork_of_a_grammar_drafter_reads_the_state_that_it_is_given_or_one_of_its_own() -> None:
    state = GRAMMAR.start()
    drafter = GrammarDrafter(state)
    forced = drafter.propose(32)
    own, given_state = drafter.fork(), state.fork()
    given = drafter.fork(given_state)
    for token in forced[:2]:
        own.take(token)
        given.take(token)
        given_state.advance(token)
    assert own.propose(32) == given.propose(32) == forced[2:]
    assert own.fork().propose(32) == forced[2:]
    assert drafter.propose(32) == forced
    own.take(VOCABULARY.size - 1)
    assert own.propose(32) == [] == own.fork().propose(32)


class Fixed:
    """A drafter that always says the same."""

    def __init__(self, draft: list[int]) -> None:
        self.draft = draft
        self.taken: list[int] = []

    def propose(self, most: int) -> list[int]:
        return self.draft[:most]

    def take(self, token: int) -> None:
        self.taken.append(token)

    def fork(self) -> "Fixed":
        return Fixed(self.draft)


def test_the_first_that_drafts_is_followed_unless_another_agrees_and_goes_on() -> None:
    parts = {"a": Fixed([]), "b": Fixed([1, 2]), "c": Fixed([1, 3, 4]), "d": Fixed([1, 2, 5])}
    drafter = CombinedDrafter(parts)
    assert drafter.propose(8) == [1, 2, 5]
    assert drafter.source == "d"
    assert drafter.propose(2) == [1, 2]
    assert drafter.source == "b"
    assert drafter.propose(0) == []
    assert drafter.source == ""
    drafter.take(7)
    assert all(part.taken == [7] for part in parts.values())


def test_all_drafters_of_a_combination_fork_the_grammar_by_its_state() -> None:
    state = GRAMMAR.start()
    drafter = CombinedDrafter({"grammar": GrammarDrafter(state), "prompt": PromptLookup([])})
    forced = list(drafter.propose(32))
    ahead = state.fork()
    ahead.advance(forced[0])
    fork = drafter.fork(ahead)
    fork.take(forced[0])
    assert list(fork.propose(32)) == forced[1:]
    assert list(drafter.propose(32)) == forced
