"""Help is printed at once: without the libraries that a command needs when it runs."""

import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
import typer

from api.cli.main import ENTRIES, command_line, main

HELP = """
import io, sys
from contextlib import redirect_stdout, suppress
from api.cli.main import main
for words in {commands!r}:
    with redirect_stdout(io.StringIO()), suppress(SystemExit):
        main([*words, "--help"])
print(*(name for name in {libraries!r} if name in sys.modules))
"""
DESKS = ["serve", "chat", "ingest", "engine state", "models pull", "train discriminator"]
OTHERS = ["train ngram", "tools call", "index tune", "watermark detect", "bot evaluate", "bot test"]


def loaded(commands: list[str], libraries: list[str]) -> str:
    words = [command.split() for command in commands]
    script = HELP.format(commands=words, libraries=libraries)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_help_of_any_command_loads_no_torch_and_that_of_a_desk_no_web_framework() -> None:
    assert loaded([""], ["torch", "fastapi", "numpy", "pydantic"]) == ""
    assert loaded(DESKS, ["torch", "fastapi", "llguidance", "transformers"]) == ""
    assert loaded(OTHERS, ["torch", "transformers", "sentence_transformers"]) == ""


@pytest.mark.parametrize("name", ENTRIES)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    app = typer.main.get_command(command_line([name]))
    command = app.commands[name]  # type: ignore[attr-defined]
    assert command.get_short_help_str(200).rstrip(".") in ENTRIES[name].help
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit):
        main(["--help"])
    assert f"  {name} " in out.getvalue()


def test_a_command_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nosuch"])
    assert ended.value.code == 2
    assert "No such command 'nosuch'" in capsys.readouterr().err
