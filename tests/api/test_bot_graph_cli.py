"""`bot graph` on the command line."""

from pathlib import Path
from xml.etree import ElementTree as ET

from typer.testing import CliRunner

from api.cli.bot import bot_app
from tests.dialog.bot.harbour import harbour_in


def test_a_picture_is_drawn_in_three_forms(tmp_path: Path) -> None:
    harbour = str(harbour_in(tmp_path / "harbour"))
    runner = CliRunner()
    drawn = runner.invoke(bot_app, ["graph", harbour])
    assert drawn.output.startswith('digraph "Harbour Travel" {')
    mermaid = runner.invoke(bot_app, ["graph", harbour, "--format", "mermaid"]).output
    assert mermaid.startswith("flowchart TD")
    svg = runner.invoke(bot_app, ["graph", harbour, "--format", "svg", "--coverage"]).output
    assert ET.fromstring(svg).tag.endswith("svg")
    assert runner.invoke(bot_app, ["graph", str(tmp_path / "none")]).exit_code == 2
