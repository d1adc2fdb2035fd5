"""`bot replay` of stored conversations: another version's words, and the move to that version."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.bot_bootstrap import agent_maker, stored_logs
from api.bot_service import BotService
from api.cli.main import command_line
from api.settings import load_settings
from dialog.bot.loading import load_bot
from dialog.errors import BotVersionError
from dialog.task.events import Migrated, Opened
from dialog.task.messages import UserMessage
from dialog.task.testing import NOW

OLD = """\
bot: Corner Table
tasks:
  book_table:
    about: book a table
    slots:
      people: {type: integer, min: 1, max: 12}
      smoking: bool
      name: person
    call: reserve
    done: "Booked for {people}."
"""
NEW = OLD.replace("      smoking: bool\n", "").replace(
    "name: person", 'name: {type: person, ask: "Who is it for?"}'
)
TOOLS = "def reserve(people, name):\n    return {}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(["bot"]), ["bot", *arguments])


def version(folder: Path, text: str) -> str:
    folder.mkdir(parents=True)
    (folder / "bot.yaml").write_text(text)
    (folder / "tools.py").write_text(TOOLS)
    return str(folder)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder whose bot has a stored, open conversation "c": four people, nothing else yet."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    folder = version(tmp_path / "old" / "corner", OLD)
    with stored_logs(load_settings()) as logs:
        agent = agent_maker(logs)(load_bot(folder))
        agent.open("c", opened=Opened(locale="en", timezone="UTC", now=NOW.isoformat()))
        for i, words in enumerate(("I want to book a table", "for four people")):
            agent.respond("c", UserMessage(id=f"m{i}", text=words, now=NOW.isoformat()))
    return folder


@pytest.fixture
def new(tmp_path: Path) -> str:
    return version(tmp_path / "new" / "corner", NEW)


def test_a_conversation_says_the_same_again_with_its_own_version(old: str) -> None:
    result = run("replay", old, "c")
    assert result.exit_code == 0, result.output
    assert "2 turns, 0 differ" in result.output


def test_another_version_shows_what_it_says_differently_and_alters_nothing(
    old: str, new: str
) -> None:
    for arguments in ((new, "c"), (old, "c", "--bot", new)):
        result = run("replay", *arguments, "--json")
        assert result.exit_code == 1
        found = json.loads(result.stdout)
        assert found["changed"] == 1
        assert "Who is it for?" in found["turns"][1]["now"]
    with stored_logs(load_settings()) as logs:
        assert logs.read("c")[0].bot_hash == load_bot(old).hash


def test_an_open_conversation_finishes_on_its_version_or_goes_on_with_the_new_one(
    old: str, new: str
) -> None:
    """A service that has only the new version says how; then the values are there, and it ends."""
    with stored_logs(load_settings()) as logs:
        both = BotService([Path(old).parent], logs, agent_maker(logs))
        both.load_all()
        own = both.respond("c", "", UserMessage(id="own", text="no", now=NOW.isoformat()))
        assert own.slots == {"people": 4, "smoking": False}
        service = BotService([Path(new).parent], logs, agent_maker(logs))
        service.load_all()
        with pytest.raises(BotVersionError, match=r"bot replay FOLDER c --migrate"):
            service.agent("c", "")
    result = run("replay", new, "c", "--migrate")
    assert result.exit_code == 0, result.output
    assert "c goes on with this version" in result.output
    with stored_logs(load_settings()) as logs:
        head, events = logs.read("c")
        assert head.bot_hash == load_bot(new).hash
        assert isinstance(events[-1], Migrated)
        service = BotService([Path(new).parent], logs, agent_maker(logs))
        service.load_all()
        reply = service.respond("c", "", UserMessage(id="n", text="Ana Lind", now=NOW.isoformat()))
        assert reply.slots == {"people": 4, "name": "Ana Lind"}
        done = service.respond("c", "", UserMessage(id="y", text="yes", now=NOW.isoformat()))
    assert "Booked for 4." in done.text
    again = run("replay", new, "c", "--migrate")
    assert again.exit_code != 0
    assert "with this version already" in str(again.exception)


def test_a_conversation_that_is_not_there_is_named(old: str) -> None:
    result = run("replay", old, "nobody")
    assert result.exit_code != 0
    assert "nobody" in str(result.exception)
