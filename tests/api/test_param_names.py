"""An error's `param` is the path of the parameter in the body that was sent."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_completions import HELLO, error_of


def refused(client: TestClient, status: int, **causerie: Any) -> dict[str, Any]:
    error = error_of(
        client.post("/v1/chat/completions", json={**HELLO, "causerie": causerie}), status
    )
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("collection", "nope", 404, "collection_not_found"),
        ("conversation", "conv_x", 404, "conversation_not_found"),
        ("min_p", 2, 400, "invalid_value"),
        ("min_p", "much", 400, "invalid_value"),
        ("top_k", -1, 400, "invalid_value"),
    ],
)
def test_an_error_in_our_own_parameters_names_them_with_their_prefix(
    client: TestClient, name: str, value: object, status: int, code: str
) -> None:
    error = refused(client, status, **{name: value})
    assert (error["param"], error["code"]) == (f"causerie.{name}", code)
    if status == 400:
        assert error["message"].startswith(f"causerie.{name}")


def test_a_conversation_whose_collection_is_gone_is_itself_at_fault(client: TestClient) -> None:
    client.post("/v1/collections", json={"name": "docs"})
    made = client.post("/v1/conversations", json={"collection": "docs"}).json()
    client.delete("/v1/collections/docs")
    error = refused(client, 404, conversation=made["id"])
    assert (error["param"], error["code"]) == ("causerie.conversation", "collection_not_found")


def test_other_routes_keep_the_plain_name(client: TestClient) -> None:
    error = error_of(client.post("/v1/conversations", json={"collection": "nope"}), 404)
    assert error["param"] == "collection"
