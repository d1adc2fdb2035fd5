import pytest

from llm.chat import ChatModel
from llm.sampling_params import SamplingParams
from llm.testing import ChatModelContract, ScriptedChatModel


class TestScriptedChatModel(ChatModelContract):
    @pytest.fixture
    def model(self) -> ChatModel:
        return ScriptedChatModel(["one two three four five six"], context_size=64)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("min_p", 2.0),
        ("max_tokens", 0),
        ("seed", 2**64),
        ("stop", ("",)),
        ("stop", tuple("abcdefghijklmnopq")),
    ],
)
def test_a_knob_out_of_bounds_is_named_with_its_bound(knob: str, value: object) -> None:
    with pytest.raises(ValueError, match=knob.split("_", maxsplit=1)[0]):
        SamplingParams(**{knob: value})  # type: ignore[arg-type]
