"""Thumbs on answers: kept with the answer, replaced, taken back, reviewed, forgotten."""

import logging
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.errors import FeedbackError
from rag.evaluation_set import Relevant
from tests.api.conftest import client_with
from tests.rag.question_corpus import documents


@pytest.fixture
def conversation(application: Application, client: TestClient) -> str:
    """A conversation over the manuals with two answers."""
    application.ingestor.ingest_documents(documents(), "manuals")
    opened = client.post("/v1/conversations", json={"collection": "manuals"}).json()
    for question in ("How long do carrots take?", "And when does the bell ring?"):
        asked = client.post(
            "/v1/chat/completions",
            json={
                "model": client.get("/v1/models").json()["data"][0]["id"],
                "messages": [{"role": "user", "content": question}],
                "causerie": {"conversation": opened["id"]},
            },
        )
        assert asked.status_code == 200
    return str(opened["id"])


def give(client: TestClient, conversation: str, rating: str, **more: object) -> int:
    body = {"conversation_id": conversation, "rating": rating, **more}
    return client.post("/v1/feedback", json=body).status_code


def shown(client: TestClient, conversation: str) -> list[str | None]:
    messages = client.get(f"/v1/conversations/{conversation}").json()["messages"]
    return [one["rating"] for one in messages if one["role"] == "assistant"]


def test_a_thumb_stands_beside_its_answer_until_it_is_taken_back(
    client: TestClient, conversation: str
) -> None:
    assert give(client, conversation, "up") == 201
    assert shown(client, conversation) == [None, "up"]
    assert give(client, conversation, "down", turn=1, comment="It takes eleven minutes.") == 201
    assert shown(client, conversation) == ["down", "up"]
    assert give(client, conversation, "down") == 201
    assert give(client, conversation, "none", turn=1) == 201
    assert shown(client, conversation) == [None, "down"]


def test_an_accepted_thumb_up_is_a_question_with_what_was_cited(
    application: Application, client: TestClient, conversation: str
) -> None:
    give(client, conversation, "up")
    (found,) = application.feedback.list(collection="manuals", status="new")
    item = application.feedback.accept(found.id).to_item()
    assert item.query == "And when does the bell ring?"
    assert [turn.content for turn in item.history] == ["How long do carrots take?", "It is so."]
    cited = client.get(f"/v1/conversations/{conversation}").json()["messages"][-1]["citations"]
    assert [one.uri for one in item.relevant] == [c["uri"] for c in cited]
    assert item.kind == "feedback"
    assert application.feedback.list(status="new") == []
    assert [one.id for one in application.feedback.list(status="accepted")] == [found.id]


def test_a_thumb_down_needs_somebody_who_says_what_is_right(
    application: Application, client: TestClient, conversation: str
) -> None:
    give(client, conversation, "down", turn=1)
    store = application.feedback
    (found,) = store.list()
    with pytest.raises(FeedbackError, match="--relevant"):
        store.accept(found.id)
    right = Relevant(uri="steamer.md", start=40, end=90)
    assert store.accept(found.id, right=[right]).to_item().relevant == (right,)
    item = store.accept(found.id, is_answerable=False).to_item()
    assert not item.answerable
    store.reject(found.id)
    assert [one.status for one in store.list()] == ["rejected"]
    with pytest.raises(FeedbackError, match="no feedback 99"):
        store.accept(99)


def test_deleting_a_conversation_forgets_what_was_said_of_it(
    application: Application, client: TestClient, conversation: str
) -> None:
    give(client, conversation, "up")
    assert client.delete(f"/v1/conversations/{conversation}").status_code == 200
    assert application.feedback.list() == []
    assert give(client, conversation, "up") == 404


def test_what_is_wrong_with_a_thumb_is_told(client: TestClient, conversation: str) -> None:
    refused = client.post(
        "/v1/feedback", json={"conversation_id": conversation, "rating": "up", "turn": 3}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "turn"
    assert "1..2" in refused.json()["error"]["message"]
    assert give(client, conversation, "sideways") == 400
    assert give(client, conversation, "up", comment="x" * 2001) == 400
    assert give(client, "none", "up") == 404


def test_a_comment_is_not_logged(
    client: TestClient, conversation: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        give(client, conversation, "down", comment="zebra crossing")
    assert "zebra" not in caplog.text


def test_nobody_rates_the_answers_of_others(tmp_path: Path) -> None:
    with client_with(tmp_path, api_keys="key-of-one,key-of-two") as client:
        first = {"authorization": "Bearer key-of-one"}
        opened = client.post("/v1/conversations", json={}, headers=first).json()
        refused = client.post(
            "/v1/feedback",
            json={"conversation_id": opened["id"], "rating": "up"},
            headers={"authorization": "Bearer key-of-two"},
        )
    assert refused.status_code == 404
