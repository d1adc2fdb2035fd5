"""Tables of all kinds of files, and the sections beside the tasks."""

import json
import sqlite3
from pathlib import Path

import pytest

from dialog.bot.definition import ModelDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from dialog.bot.table_files import TableFileError, columns_of, read_rows
from tests.dialog.bot.conftest import MakeBot, MakeErrors, write_bot

TASK = "tasks: {visit: {slots: {day: date}, done: Done.}}\n"


def test_a_csv_file_has_numbers_flags_lists_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "hotels.csv"
    path.write_text(
        "id,name,stars,open,extras,opened,code\na,Adler,3,true,wifi|parking,2020-01-02,007\n"
        "b,,4.5,false,,2021-03-04,010\n",
        encoding="utf-8-sig",
    )
    rows = read_rows(path)
    assert rows[0]["extras"] == ["wifi", "parking"]
    assert rows[1] == {
        "id": "b", "name": None, "stars": 4.5, "open": False, "extras": [],
        "opened": "2021-03-04", "code": "010",
    }  # fmt: skip
    assert columns_of(rows) == {
        "id": "text", "name": "text", "stars": "number", "open": "bool", "extras": "list",
        "opened": "date", "code": "text",
    }  # fmt: skip


def test_json_lines_json_and_sqlite_give_the_same_rows(tmp_path: Path) -> None:
    rows = [{"id": "a", "stars": 3}, {"id": "b", "stars": 5}]
    (tmp_path / "h.json").write_text(json.dumps(rows), encoding="utf-8")
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "h.jsonl").write_text(f"{lines}\n\n", encoding="utf-8")
    with sqlite3.connect(tmp_path / "h.sqlite") as database:
        database.execute("CREATE TABLE hotels (id TEXT, stars INTEGER)")
        database.executemany("INSERT INTO hotels VALUES (:id, :stars)", rows)
        database.execute("CREATE TABLE other (id TEXT)")
    database.close()
    assert read_rows(tmp_path / "h.json") == rows
    assert read_rows(tmp_path / "h.jsonl") == rows
    assert read_rows(tmp_path / "h.sqlite", table="hotels") == rows
    with pytest.raises(TableFileError, match="name one of its tables"):
        read_rows(tmp_path / "h.sqlite")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("h.json", "{}", "expected a list of objects"),
        ("h.jsonl", "[1]", "row 1 is no object"),
        ("h.jsonl", "{", "h.jsonl"),
        ("h.txt", "a", "got '.txt'"),
        ("h.sqlite", "no database", "h.sqlite"),
    ],
)
def test_a_file_that_is_no_table_is_told(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(TableFileError) as found:
        read_rows(tmp_path / name)
    assert message in str(found.value)


def test_a_table_may_come_from_a_function_that_reads(
    make_bot: MakeBot, errors_of: MakeErrors
) -> None:
    text = "bot: T\ntables: {cities: {from: cities()}}\n" + TASK
    rows = "    return [{'id': 'be', 'name': 'Bern'}]\n"
    reads = f"from tools.base import tool\n@tool(effect='read')\ndef cities() -> list:\n{rows}"
    assert list(make_bot(text, tools_dot_py=reads).tables["cities"].rows) == ["be"]
    writes = f"def cities():\n{rows}"
    assert "cities writes; a table comes from a function that reads" in errors_of(
        text, tools_dot_py=writes
    )
    failing = reads.replace(rows, "    raise OSError('down')\n")
    assert "cities() failed: OSError: down" in errors_of(text, tools_dot_py=failing)


def test_files_outside_of_the_folder_are_refused(errors_of: MakeErrors) -> None:
    text = errors_of(
        "bot: T\ntables: {a: {from: ../a.csv}}\nknowledge: {b: {from: /etc/*.md}}\n" + TASK
    )
    assert "'../a.csv' is outside; files of a bot lie in its own folder" in text
    assert "there is no file '../c.yaml'" in errors_of("bot: T\ninclude: ../c.yaml\n")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("locales: {default: english}", "'english' is no locale"),
        ("locales: {timezone: Europe/Zurch}", "no time zone is called 'Europe/Zurch'"),
        ("conversation: {idle: 30}", "idle takes a duration, this is a number"),
        ("conversation: {greet: maybe}", "greet is true or false"),
        ("knowledge: {faq: {answer: free}}", "a source says where it comes from"),
        ("knowledge: {faq: {from: no/*.md}}", "no file matches 'no/*.md'"),
        (
            "knowledge: {faq: {from: bot.yaml, min_support: 2}}",
            "min_support is a number from 0 to 1",
        ),
        ("behaviour: {correction: loud}", "correction is one of silent, ack, confirm_if_late"),
        ("behaviour: {chitchat: breif}", "did you mean 'brief'?"),
        ("behaviour: {digression: {max_depth: 0}}", "max_depth is a whole number from 1 to 10"),
        ("behaviour: {handoff: {when: [tires > 3]}}", "did you mean 'tries'?"),
        ("behaviour: {handoff: {when: [tries + 1]}}", "when takes a bool, this is a number"),
        ("say: {rephrase: heavy}", "rephrase is one of off, light, free"),
        ("glossary: {half board: }", "expected the text of 'half board'"),
        ("user: {logged_in: boole}", "did you mean 'bool'?"),
        ("slots: {and: text}", "'and' cannot be the name of a slot"),
        ("slots: {c: {type: choice, values: []}}", "a choice has 1 to 2000 values"),
        ("slots: {c: {type: regex, pattern: '[A-Z]'}}", "a regex has a pattern and examples"),
        ("slots: {c: {type: regex, pattern: '(?=a)', examples: [a]}}", "look-around"),
        ("slots: {c: {type: regex, pattern: 'a', examples: [b]}}", "does not match the pattern"),
        ("slots: {c: {type: money, currency: EUT}}", "did you mean 'EUR'?"),
        ("slots: {c: {type: text, min: 3}}", "'min' does not fit a text"),
        ("slots: {c: {type: integer, after: today}}", "use min and max"),
        ("slots: {c: {type: date, max_tries: 99}}", "max_tries is a whole number from 1 to 10"),
        ("slots: {c: {type: choice, values: [a], default: b}}", "nothing is called 'b'"),
        ("tools: functions.py", "there is no file 'functions.py'"),
        ("tests: {test: a}", "tests is a list"),
        ("model: {trackr: rule}", "did you mean 'tracker'?"),
    ],
)
def test_what_is_wrong_in_a_section_is_told(
    errors_of: MakeErrors, section: str, message: str
) -> None:
    text = errors_of(f"bot: T\n{section}\n{TASK}")
    assert message in text
    assert text.startswith("bot.yaml:")


def test_sections_become_values(make_bot: MakeBot) -> None:
    bot = make_bot(
        """
        bot: Sections
        version: 2
        locales: {default: de, also: [en, fr], timezone: Europe/Zurich}
        conversation: {idle: 2h, greet: false, merge_window: 2s}
        user: {logged_in: bool, age: integer}
        glossary: {half board: "Breakfast and dinner."}
        knowledge: {faq: {from: [docs/*.md, "collection:manuals"], cite: false, min_support: .4}}
        say: {welcome: {text: [Hallo], buttons: [Tisch]}, rephrase: off, style: kurz}
        behaviour:
          out_of_scope: "Das kann ich nicht."
          handoff: {when: [user_asks, age < 18 and tries > 1], to: bookings}
        model: {tracker: rule}
        tasks: {visit: {slots: {day: date}, done: Gut.}}
        """,
        docs__a_dot_md="# A\n",
    )
    assert (bot.version, bot.locales.all) == ("2", ("de", "en", "fr"))
    assert (bot.conversation.idle_s, bot.conversation.merge_window_s) == (7200, 2)
    assert bot.knowledge["faq"].patterns == ("docs/*.md", "collection:manuals")
    assert bot.say.texts["welcome"].of("fr", "de")[0].text == "Hallo"
    assert (bot.say.rephrase, bot.say.style) == ("off", "kurz")
    assert [rule.condition.text for rule in bot.behaviour.handoff_when] == [
        "user_asks",
        "age < 18 and tries > 1",
    ]
    assert bot.model == ModelDefinition(tracker="rule")


def test_files_that_are_not_utf8_or_too_large_are_told(tmp_path: Path) -> None:
    folder = write_bot(tmp_path, "bot: T\n", {})
    (folder / "bot.yaml").write_bytes(b"bot: \xff\n")
    with pytest.raises(BotFileErrors, match="this is not UTF-8"):
        load_bot(folder)
    (folder / "bot.yaml").write_bytes(b"#" * 2_000_001)
    with pytest.raises(BotFileErrors, match="a bot file has at most 2000000"):
        load_bot(folder)
    (folder / "bot.yaml").write_bytes(b"bot: a\x00b\n")
    with pytest.raises(BotFileErrors, match="is not allowed in YAML"):
        load_bot(folder)
