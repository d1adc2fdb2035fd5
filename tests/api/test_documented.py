"""What can be called is in the docs: routes, parameters, codes, commands and their options."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.app import ROUTERS
from api.chat_message import ChatMessage
from api.chat_request import ChatCompletionRequest, Extension
from api.cli.main import command_line
from api.decode_request import (
    ContrastModel,
    DryModel,
    ExpertsModel,
    MirostatModel,
    SearchModel,
    SpeculationModel,
    SteerModel,
)
from api.error_table import TABLE
from api.form_request import GrammarRequest
from api.schemas import EmbeddingRequest

DOCS = Path(__file__).parents[2] / "docs"


def routes() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                yield method, route.path.replace(":path", "")


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands(typer.main.get_command(command_line())))


@pytest.mark.parametrize(("method", "path"), sorted(set(routes())))
def test_each_route_is_documented(method: str, path: str) -> None:
    assert f"| `{method} {path}` |" in (DOCS / "api.md").read_text()


def test_each_documented_route_exists(client: TestClient) -> None:
    documented = re.findall(
        r"^\| `([A-Z]+) (/(?:v1|livez|readyz|metrics)\S*)`", _api(), re.MULTILINE
    )
    assert len(documented) > 15
    assert set(documented) == set(routes())
    listed = client.get("/openapi.json").json()["paths"]
    assert {path.replace(":path", "") for path in listed} == {path for _, path in documented}


@pytest.mark.parametrize(
    "model",
    [
        ChatCompletionRequest,
        ChatMessage,
        Extension,
        EmbeddingRequest,
        *(SteerModel, ExpertsModel, ContrastModel, SpeculationModel, SearchModel),
        *(MirostatModel, DryModel, GrammarRequest),
    ],
)
def test_each_parameter_is_documented(model: Any) -> None:
    prose = re.sub(r"```.*?```", "", _api(), flags=re.DOTALL)
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert set(model.model_fields) <= words | {"role"}


def test_it_is_documented_what_bounds_an_answer_from_a_collection() -> None:
    (paragraph,) = (p for p in _api().split("\n\n") if p.startswith("In an answer from a coll"))
    for word in ("`max_tokens`", "`stop`", "`finish_reason`", "`usage.completion_tokens`"):
        assert word in paragraph


def test_each_error_code_is_documented() -> None:
    for row in TABLE.values():
        assert f"`{row.code}`" in _api()
    for source in (DOCS.parent / "api").rglob("*.py"):
        for code in re.findall(r'code="(\w+)"', source.read_text()):
            if code != "invalid_request":
                assert f"`{code}`" in _api(), (source.name, code)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_and_option_is_documented(name: str) -> None:
    text = (DOCS / "cli.md").read_text()
    assert f"| `{name}` |" in text
    for parameter in COMMANDS[name].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert re.search(rf"`[^`]*{option}\b", text), (name, option)


def test_the_dialogue_s_commands_are_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    for word in ("/source", "/help", "/quit", "Ctrl-C", "Ctrl-D"):
        assert word in text


def _api() -> str:
    return (DOCS / "api.md").read_text()
