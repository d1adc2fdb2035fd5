"""Dockerfile and docker-compose.yml are not run in CI; what they name must exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import Settings

ROOT = Path(__file__).parents[2]
SERVE = ["python", "-m", "api", "serve", "--host", "0.0.0.0", "--port", "8000"]
FOLDERS = {"api", "dialog", "index", "llm", "rag", "tools"}


def instructions() -> list[tuple[str, str]]:
    """Read the Dockerfile: comments dropped, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = []
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        pairs.append((word, rest.strip()))
    return pairs


def values(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def api(compose: dict[str, Any]) -> dict[str, Any]:
    service = compose["services"]["api"]
    assert isinstance(service, dict)
    return service


def environment_of_the_image() -> dict[str, str]:
    return dict(
        pair.split("=", 1) for rest in values("ENV") for pair in rest.split() if "=" in pair
    )


def test_every_instruction_is_one_that_docker_knows() -> None:
    known = {"FROM", "RUN", "ARG", "ENV", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "CMD"}
    assert {word for word, _ in instructions()} <= known | {"HEALTHCHECK"}
    assert instructions()[0][0] == "FROM"


def test_the_base_image_has_a_python_that_the_project_accepts() -> None:
    (image,) = values("FROM")
    version = re.match(r"python:3\.(\d+)", image)
    assert version is not None
    assert int(version[1]) >= 11


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [name for rest in values("COPY") for name in rest.split()[:-1]]
    assert set(copied) == FOLDERS | {"pyproject.toml", "README.md"}
    for name in copied:
        assert (ROOT / name).exists()
        assert name not in ignored


def test_both_files_start_the_same_command() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert json.loads(values("CMD")[-1]) == SERVE
    assert compose["services"]["api"]["command"] == SERVE


@pytest.mark.slow
def test_the_command_and_its_options_exist() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "api", "serve", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    for option in (word for word in SERVE if word.startswith("--")):
        assert option in shown.stdout


def test_the_port_is_exposed_checked_and_published_on_loopback_only(api: dict[str, Any]) -> None:
    assert values("EXPOSE") == ["8000"]
    assert "http://127.0.0.1:8000/livez" in values("HEALTHCHECK")[0]
    assert api["ports"] == ["127.0.0.1:8000:8000"]


def test_folders_of_the_image_are_its_volumes(api: dict[str, Any], compose: dict[str, Any]) -> None:
    image = environment_of_the_image()
    folders = [image["CAUSERIE_HOME"], image["CAUSERIE_STATE"]]
    assert json.loads(values("VOLUME")[0]) == folders
    assert [api["environment"][f"CAUSERIE_{name}"] for name in ("HOME", "STATE")] == folders
    mounted = dict(volume.split(":") for volume in api["volumes"])
    assert list(mounted.values()) == folders
    others = compose["services"]["database"]["volumes"]
    assert {*mounted, *(volume.split(":")[0] for volume in others)} == set(compose["volumes"])


def test_a_server_for_the_database_starts_only_where_it_is_asked_for(
    compose: dict[str, Any], api: dict[str, Any]
) -> None:
    assert compose["services"]["database"]["profiles"] == ["postgres"]
    assert "ports" not in compose["services"]["database"]
    assert api["environment"]["CAUSERIE_DATABASE_URL"] == "${CAUSERIE_DATABASE_URL:-}"


def test_a_key_is_required(api: dict[str, Any]) -> None:
    assert api["environment"]["CAUSERIE_API_KEYS"].startswith("${CAUSERIE_API_KEYS:?")


def test_every_variable_is_a_setting(api: dict[str, Any]) -> None:
    known = {f"CAUSERIE_{name.upper()}" for name in Settings.model_fields}
    image = {name for name in environment_of_the_image() if name.startswith("CAUSERIE_")}
    assert image | set(api["environment"]) <= known


def test_the_image_installs_what_make_install_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    torch = re.search(r"^TORCH +\?= (\S+)$", makefile, re.MULTILINE)
    assert torch is not None
    assert f'TORCH="{torch[1]}"' in values("ARG")
    extras = re.findall(r'--editable "\.\[([\w,]+)\]"', " ".join(values("RUN")))
    assert extras == ["cpu,docs,postgres,watch"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{extra} = [" in project for extra in extras[0].split(","))


def test_the_service_does_not_run_as_root() -> None:
    words = [word for word, _ in instructions()]
    assert values("USER") == ["causerie"]
    assert words.index("USER") < words.index("CMD")


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml"])
def test_the_files_say_how_far_they_are_checked(name: str) -> None:
    first = (ROOT / name).read_text(encoding="utf-8").partition("\n")[0]
    assert first == (
        "# Not run in CI; a test parses it and checks that its commands, ports and paths exist."
    )
