"""Who may choose how an answer is watermarked."""

from pathlib import Path
from typing import Any, cast

from api.testing import ScriptedAgent, application_of_doubles
from tests.api.conftest import local_client


def test_only_admins_choose_the_mark_of_an_answer(tmp_path: Path) -> None:
    with application_of_doubles(
        tmp_path, api_keys=("user-key-1",), admin_key="admin-key-1"
    ) as doubles:
        agent = cast(ScriptedAgent, doubles.agent)

        def ask(key: str, mark: object) -> tuple[int, Any]:
            body = {
                "model": doubles.chat_model.name,
                "messages": [{"role": "user", "content": "Hello."}],
                "causerie": {"mark": mark},
            }
            headers = {"authorization": f"Bearer {key}"}
            response = client.post("/v1/chat/completions", json=body, headers=headers)
            return response.status_code, response.json().get("error")

        with local_client(doubles) as client:
            assert ask("user-key-1", "auto")[0] == 200
            assert ask("user-key-1", None)[0] == 200
            for mark in ("off", "sbw"):
                status, error = ask("user-key-1", mark)
                assert (status, error["code"]) == (403, "admin_key_required")
                assert error["param"] == "causerie.mark"
            assert ask("admin-key-1", "off")[0] == ask("admin-key-1", "sbw")[0] == 200
            assert [r.spec.mark for r in agent.requests] == ["auto", "auto", "off", "sbw"]
            status, error = ask("admin-key-1", "none")
            assert (status, error["code"]) == (400, "invalid_value")
            assert error["param"] == "causerie.mark"
