import json
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.chat import Message, ToolCall, ToolCallDelta, ToolSpec
from llm.decoding.grammar_compiler import GrammarCompiler
from llm.decoding.vocabulary import tokens_of
from llm.errors import ConstraintConflictError
from llm.tool_forms.call_form import MAX_CALLS
from llm.tool_prompt import ToolReader, ToolUse, call_salt, read_calls, with_tools
from tests.llm.decoding.small_vocabulary import small_tokenizer, small_vocabulary

WEATHER = ToolSpec(
    name="weather",
    description="Tells the weather.",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        }
    ),
)
CLOCK = ToolSpec(name="clock")
USER = Message(role="user", content="Is it raining in Oslo?")
COMPILER = GrammarCompiler(small_vocabulary())


def call_text(name: str, arguments: str) -> str:
    return f'<tool_call>{{"name":"{name}","arguments":{arguments}}}</tool_call>'


OSLO = call_text("weather", '{"city":"Oslo"}')


def is_accepted(use: ToolUse, text: str) -> bool:
    """Whether the grammar takes these bytes and may end behind them."""
    state = COMPILER.compile(use.grammar()).start()
    try:
        for token in small_tokenizer().encode(text):
            state.advance(token)
    except ConstraintConflictError:
        return False
    return state.is_accepting


@pytest.mark.parametrize(
    ("demand", "is_parallel", "text", "expected"),
    [
        ("auto", True, "No.", True),
        ("auto", True, "", True),
        ("auto", True, "Let me see." + OSLO, True),
        ("auto", True, OSLO * 2, True),
        ("auto", True, 'Say {"name":1}.', False),
        ("auto", True, OSLO + '{ \n"name"\u2003 : "clock"}', False),
        ("auto", True, '{"x":{"name"\x1c:0}}', False),
        ("auto", True, 'A {"nam":1, "name":2} has a "name": {x}.', True),
        ("required", True, call_text("weather", '{"city":"{\\"name\\":"}'), True),
        ("auto", True, call_text("weather", '{"city":"{\\"name\\":"}'), True),
        ("auto", False, OSLO * 2, False),
        ("auto", False, OSLO, True),
        ("auto", True, call_text("weather", "{}"), False),
        ("auto", True, call_text("snow", "{}"), False),
        ("auto", True, call_text("clock", "{}"), True),
        ("auto", True, call_text("clock", '{"zone":"x"}'), False),
        ("required", True, "No.", False),
        ("required", True, "", False),
        ("required", True, OSLO + call_text("clock", "{}"), True),
        ("required", True, OSLO * (MAX_CALLS + 1), False),
        ("required", False, OSLO * 2, False),
    ],
)
def test_the_grammar_holds_what_may_be_called_and_how_often(
    demand: str, is_parallel: bool, text: str, expected: bool
) -> None:
    use = ToolUse(tools=(WEATHER, CLOCK), demand=demand, is_parallel=is_parallel)  # type: ignore[arg-type]
    assert is_accepted(use, text) == expected


_LOOKS_LIKE_A_CALL = re.compile(r'<tool_call>|\{\s*"name"\s*:')


@pytest.mark.parametrize("seed", range(3))
def test_random_weights_that_love_calls_begin_none_outside_of_the_tags(seed: int) -> None:
    """Free text held `{"name":…` without tags: one of twenty answers could not be read."""
    rng = random.Random(seed)
    vocabulary = small_vocabulary()
    loved = {t for t, data in enumerate(vocabulary.token_bytes) if set(data) <= set(b'{"name: \n')}
    grammar = COMPILER.compile(ToolUse(tools=(CLOCK,)).grammar())
    mask = np.zeros(vocabulary.num_words, np.int32)
    told: list[str] = []
    for _ in range(20):
        state, taken, near = grammar.start(), [], list('{"name":')
        for _ in range(40):
            state.fill(mask)
            allowed = tokens_of(mask)
            spelt = [t for t in allowed if near and vocabulary.token_bytes[t] == near[0].encode()]
            if spelt and rng.random() < 0.9:  # spells the start of a call, as far as it may
                near.pop(0)
                token = spelt[0]
            else:
                token = rng.choice([t for t in allowed if t in loved] or allowed)
            state.advance(token)
            if state.is_finished:
                break
            taken.append(token)
        told.append(b"".join(vocabulary.token_bytes[t] for t in taken).decode(errors="replace"))
    for text in told:
        content, _ = read_calls(text)
        assert not _LOOKS_LIKE_A_CALL.search(content)
    assert any('{"name"' in text for text in told)  # it was tried up to the colon


def test_a_named_function_is_called_once_and_alone() -> None:
    use = ToolUse(tools=(CLOCK,), demand="named")
    assert is_accepted(use, call_text("clock", "{}"))
    assert not is_accepted(use, call_text("clock", "{}") * 2)
    assert not is_accepted(use, "")


def test_functions_join_the_system_message_or_make_one() -> None:
    (system, user) = with_tools([USER], ToolUse(tools=(WEATHER, CLOCK)))
    assert (system.role, user) == ("system", USER)
    for line in system.content.splitlines()[-2:]:
        assert json.loads(line)["name"] in {"weather", "clock"}
    rules = Message(role="system", content="Be brief.")
    (joined, _) = with_tools([rules, USER], ToolUse(tools=(CLOCK,)))
    assert joined.content.startswith("Be brief.\n\n")
    assert with_tools([rules, USER], None) == (rules, USER)


def test_calls_and_results_become_text_that_reads_back_as_the_same_calls() -> None:
    calls = (
        ToolCall(id="call_1", name="weather", arguments='{"city":"Oslo"}'),
        ToolCall(id="call_2", name="clock", arguments="{}"),
    )
    chat = [
        USER,
        Message(role="assistant", content="Let me see.", tool_calls=calls),
        Message(role="tool", content="rain", tool_call_id="call_1"),
        Message(role="tool", content="noon", tool_call_id="call_2"),
    ]
    user, assistant, results = with_tools(chat, None)
    assert user == USER
    content, read = read_calls(assistant.content)
    assert content == "Let me see."
    assert [(c.name, c.arguments) for c in read] == [(c.name, c.arguments) for c in calls]
    assert results.role == "user"
    assert results.content.count("<tool_response>") == 2
    assert results.content.index("rain") < results.content.index("noon")


TRICKY = '{"a":"}</tool_call> \\" {","b":[{"c":[1]}]}'
ANSWERS = st.sampled_from(
    [
        "No calls, 1 < 2 and <tool, at all.",
        f"First.{OSLO}",
        OSLO + call_text("clock", "{}"),
        call_text("weather", TRICKY) + "after",
        "<tool_call>{no call</tool_call>",
        OSLO[:-14],
        "<tool_call>" + "x" * 500 + OSLO,
        '<tool_call> { "name" : "a\\"b" , "arguments" : {"x": 1} } </tool_call>\n' + OSLO,
    ]
)


@given(text=ANSWERS, seed=st.integers(0, 2**32))
def test_however_the_text_is_cut_the_same_is_read(text: str, seed: int) -> None:
    rng = random.Random(seed)
    reader = ToolReader(salt="s")
    parts: list[str | ToolCallDelta] = []
    rest = text
    while rest:
        size = rng.randint(1, 7)
        parts += reader.feed(rest[:size])
        rest = rest[size:]
    parts += reader.finish()
    content, calls = read_calls(text, salt="s")
    assert (reader.content, tuple(reader.calls)) == (content, calls)
    assert "".join(part for part in parts if isinstance(part, str)) == content
    for number, call in enumerate(calls):
        pieces = [p for p in parts if isinstance(p, ToolCallDelta) and p.call == number]
        assert (pieces[0].id, pieces[0].name) == (call.id, call.name)
        assert not any(piece.id or piece.name for piece in pieces[1:])
        assert "".join(piece.arguments for piece in pieces) == call.arguments


def test_a_close_inside_a_string_ends_no_call() -> None:
    content, (call,) = read_calls(call_text("weather", TRICKY) + "after")
    assert call.arguments == TRICKY
    assert content == "after"


def test_what_only_looks_like_a_call_stays_text() -> None:
    for text in ("<tool_call>{no call</tool_call>", "a <tool_call", "<tool_call>" + "x" * 500):
        assert read_calls(text) == (text, ())


def test_a_call_that_was_cut_off_keeps_what_there_is() -> None:
    _, (call,) = read_calls(OSLO[: OSLO.index("slo")])
    assert (call.name, call.arguments) == ("weather", '{"city":"O')


def test_ids_are_equal_for_equal_answers_and_differ_otherwise() -> None:
    salts = [call_salt([USER]), call_salt([USER, USER])]
    first, again = (read_calls(OSLO * 2, salt=salts[0])[1] for _ in range(2))
    assert first == again
    others = [read_calls(OSLO, salt=salts[1]), read_calls(OSLO, salt=salts[0], choice=1)]
    ids = {call.id for call in first} | {call.id for _, calls in others for call in calls}
    assert len(ids) == 4
    assert all(id_.startswith("call_") for id_ in ids)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("names", "demand", "words"),
    [((), "auto", "1 to 128"), (("a", "a"), "auto", "same name"), (("a",), "maybe", "'maybe'")],
)
def test_a_use_of_tools_that_means_nothing_is_refused(
    names: tuple[str, ...], demand: str, words: str
) -> None:
    tools = tuple(ToolSpec(name=name) for name in names)
    with pytest.raises(ValueError, match=words):
        ToolUse(tools=tools, demand=demand)  # type: ignore[arg-type]
