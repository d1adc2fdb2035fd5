"""What is written for a search: the contract, and errors that are told."""

import time

import pytest

from llm.errors import ContextOverflowError
from llm.testing import ScriptedChatModel
from rag.testing import ScriptedWriter, WriterContract
from rag.writer import ModelWriter, Writer, WritingTask

TASKS = [WritingTask(instruction="Say it again.", text=f"word {i}", seed=i) for i in range(3)]


def soon() -> float:
    return time.monotonic() + 30


class TestScriptedWriter(WriterContract):
    """The double."""

    @pytest.fixture
    def writer(self) -> Writer:
        """Return it with an empty script."""
        return ScriptedWriter()


class TestModelWriter(WriterContract):
    """Over a double of the model; `tests/api/test_trace.py` has one over an engine."""

    @pytest.fixture
    def writer(self) -> Writer:
        """Return it over a model that says the last message again."""
        return ModelWriter(ScriptedChatModel())


def test_each_task_is_a_chat_with_its_own_seed() -> None:
    model = ScriptedChatModel()
    assert ModelWriter(model, tenant="a").write(TASKS, deadline=soon()) == [
        "word 0",
        "word 1",
        "word 2",
    ]
    assert sorted(params.seed or 0 for params in model.params) == [0, 1, 2]
    assert all(0 < (params.timeout_s or 0) <= 30 for params in model.params)
    assert set(model.tenants) == {"a"}


def test_an_error_of_the_model_is_the_writer_s() -> None:
    model = ScriptedChatModel(context_size=3)
    with pytest.raises(ContextOverflowError):
        ModelWriter(model).write(TASKS, deadline=soon())


def test_a_task_is_about_something() -> None:
    with pytest.raises(ValueError, match="needs a text"):
        WritingTask(instruction="Go on.", text=" ")
