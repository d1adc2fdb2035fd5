"""Useful, not just alive: the question set through the real agent, judged as the benchmark does."""

from collections.abc import Iterator

import pytest

from api.application import Application
from api.bootstrap import build
from api.settings import load_settings
from benchmarks.answers import DEFAULT_DATA, TARGET_RIGHT_TOPIC, TARGET_TOLD, ask
from benchmarks.questions import Judgement, read_questions
from tests.e2e.conftest import LiveService

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def application(live_server: LiveService) -> Iterator[Application]:
    """An application of our own over the collection that the server indexed."""
    application = build(load_settings(state=live_server.state, home=live_server.home))
    yield application
    application.close()


@pytest.fixture(scope="module")
def judgements(application: Application) -> list[Judgement]:
    return [ask(application.agent, q, "python", seed=0) for q in read_questions(DEFAULT_DATA)]


def test_the_passage_cited_is_the_right_one(judgements: list[Judgement]) -> None:
    asked = [row for row in judgements if row.question.topics]
    assert sum(row.has_right_topic for row in asked) >= TARGET_RIGHT_TOPIC * len(asked)


def test_what_the_corpus_cannot_answer_is_told(judgements: list[Judgement]) -> None:
    others = [row for row in judgements if not row.question.topics]
    assert sum(row.has_abstained for row in others) >= TARGET_TOLD * len(others)
