"""Whole bot files: what they become, and all that can be wrong with them."""

import sys
from pathlib import Path

import pytest

from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from tests.dialog.bot.conftest import MakeBot, MakeErrors
from tests.dialog.bot.harbour import harbour_in
from tools.base import Effect

CORNER_TABLE = """
bot: Corner Table
tasks:
  book_table:
    about: book a table at the restaurant
    slots:
      date: date
      time: time
      people: {type: integer, min: 1, max: 12}
      name: person
    call: reserve                 # a function in tools.py, arguments matched by name
    done: "Booked for {people} on {date} at {time}. Your code is {result.code}."
"""
RESERVE = """
def reserve(date, time, people, name):
    '''Book a table.'''
    return {"code": f"A{people}"}
"""


def test_the_smallest_bot_of_eleven_lines_loads_with_three_lines_of_python(
    make_bot: MakeBot,
) -> None:
    bot = make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    assert len(CORNER_TABLE.strip().splitlines()) == 11
    task = bot.task("book_table")
    assert [slot.type.name for slot in task.slots.values()] == ["date", "time", "integer", "person"]
    assert str(task.slots["people"].source) == "bot.yaml:8:7"
    assert bot.tools["reserve"].effect is Effect.WRITE
    assert bot.tools["reserve"]("d", "t", 4, "n") == {"code": "A4"}


def test_the_folder_of_a_bot_never_hides_the_package_tools(
    make_bot: MakeBot, tmp_path: Path
) -> None:
    make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    assert str(tmp_path) not in sys.path
    assert not (tmp_path / "__pycache__").exists()


def test_equal_files_have_equal_hashes_and_tests_do_not_count(
    make_bot: MakeBot, tmp_path: Path
) -> None:
    first = make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    (tmp_path / "tests.yaml").write_text("tests:\n  - {test: greets}\n", encoding="utf-8")
    second = load_bot(tmp_path)
    assert first.hash == second.hash
    assert second.tests == ({"test": "greets", "source": "tests.yaml:2:5"},)
    changed = make_bot(CORNER_TABLE.replace("12", "13"), tools_dot_py=RESERVE)
    assert changed.hash != first.hash


def test_a_missing_file_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BotFileErrors, match=r"bot.yaml:1:1: there is no file"):
        load_bot(tmp_path / "bot.yaml")


def test_an_unknown_key_names_the_nearest_of_its_level(errors_of: MakeErrors) -> None:
    text = errors_of(CORNER_TABLE.replace("max: 12", "requird: true"), tools_dot_py=RESERVE)
    assert "bot.yaml:8:39: unknown key 'requird'; did you mean 'required'?" in text
    assert "example: required: false" in text


def test_the_travel_bot_of_the_design_loads_as_it_is(tmp_path: Path) -> None:
    bot = load_bot(harbour_in(tmp_path / "harbour"))
    find, book = bot.task("find_hotel"), bot.task("book_hotel")
    assert list(find.slots) == ["city", "budget", "check_in", "nights", "extras", "hotel"]
    assert [s.required for s in find.slots.values()] == [True, False, True, False, False, False]
    assert find.find is not None
    assert [name for name, _ in find.find.arguments or ()] == ["city", "budget"]
    carried = {name: slot.carried_from for name, slot in book.slots.items() if slot.carried_from}
    assert {n: f"{c.task}.{c.slot}" for n, c in carried.items()} == {
        "hotel": "find_hotel.hotel",
        "check_in": "find_hotel.check_in",
        "nights": "find_hotel.nights",
    }
    ask = book.slots["check_in"].ask
    assert ask is not None
    assert ask.variants["de"][0].text == "Wann reisen Sie an?"
    assert book.check[0].otherwise is not None
    assert book.check[0].otherwise.reask == ("check_in", "hotel")
    assert book.do[0].failed is not None
    assert book.do[0].failed.handoff == "bookings"
    assert book.do[1].yes[0].call is not None
    assert [name for name, _ in (book.on_cancel[0].call or book.do[0].call).arguments or ()] == [  # type: ignore[union-attr]
        "hold_id"
    ]
    assert bot.say.texts["ask.guest"].buttons == ("me",)
    assert bot.tools["reserve"].idempotent_by == ("guest", "check_in")
    assert book.slots["card"].sensitive
    assert bot.conversation.idle_s == 1800


def test_all_errors_are_collected_in_file_order(errors_of: MakeErrors) -> None:
    text = errors_of(
        """
        bot: Many
        tasks:
          visit:
            needs: loged_in
            slots:
              people: integr
              day: {type: date, min: 3}
            call: reserve
            done: "For {peple}."
            nxt: other
        """
    )
    lines = [line for line in text.splitlines() if line.startswith("bot.yaml:")]
    assert [line.split(": ")[0] for line in lines] == [
        f"bot.yaml:{place}" for place in ("4:12", "6:15", "7:30", "8:11", "9:11", "10:5")
    ]
    assert "did you mean 'integer'?" in lines[1]
    assert "did you mean 'next'?" in lines[5]


def test_at_most_fifty_errors_are_printed(errors_of: MakeErrors) -> None:
    slots = "\n".join(f"      s{i}: nonsense" for i in range(70))
    text = errors_of(f"bot: Many\ntasks:\n  visit:\n    slots:\n{slots}\n")
    assert text.count("no type is called") == 50
    assert text.endswith("… and 20 more")


def test_arguments_of_a_call_are_checked_against_the_signature(errors_of: MakeErrors) -> None:
    bot = """
    bot: Calls
    tasks:
      visit:
        slots: {day: date, people: integer}
        do:
          - call: reserve
          - call: reserve(day)
          - call: reserve(day, people, 3)
          - call: reserve(day, persons=2)
          - call: reserv
    """
    text = errors_of(bot, tools_dot_py="def reserve(day, poeple): ...\n")
    assert "bot.yaml:6:15: reserve takes 'poeple', and no slot or fact has this name" in text
    assert "did you mean 'people'?" in text
    assert "bot.yaml:7:15: reserve also needs poeple" in text
    assert "bot.yaml:8:15: reserve takes 2 arguments, 3 are given" in text
    assert "bot.yaml:9:15: reserve takes no 'persons'" in text
    assert "bot.yaml:10:15: tools.py has no function 'reserv'; did you mean 'reserve'?" in text


def test_a_module_that_fails_is_told_with_its_line_and_nothing_else(
    errors_of: MakeErrors,
) -> None:
    text = errors_of(CORNER_TABLE, tools_dot_py="import os\n\nraise OSError('no database')\n")
    assert text.startswith("tools.py:3:1: it cannot be loaded: OSError: no database")
    assert "no function" not in text
    text = errors_of(CORNER_TABLE, tools_dot_py="def reserve(:\n")
    assert text.startswith("tools.py:1:")


def test_included_files_give_whole_sections_and_never_the_same_twice(
    make_bot: MakeBot, errors_of: MakeErrors
) -> None:
    head = "bot: Parts\ninclude: [more.yaml]\n"
    bot = make_bot(head, more_dot_yaml="tasks: {visit: {slots: {day: date}}}\n")
    assert str(bot.task("visit").source) == "more.yaml:1:9"
    text = errors_of(
        head + "tasks: {visit: {slots: {day: date}}}\n", more_dot_yaml="tasks: {}\nfoo: 1\n"
    )
    assert "more.yaml:1:1: the section 'tasks' stands here and already at bot.yaml:3:1" in text
    assert "more.yaml:2:1: unknown key 'foo'" in text


def test_names_of_tasks_slots_columns_and_texts_must_resolve(errors_of: MakeErrors) -> None:
    text = errors_of(
        """
        bot: Names
        tables: {hotels: {from: hotels.csv, key: id, show: nam}}
        slots: {city: text}
        tasks:
          find:
            slots: {cty: required, area: text}
            find: hotels(area)
            offer: {as: "{name} in {are}", relax: [areas]}
            into: hotel
            next: bok
          book:
            slots: {hotel: {from: fnd}, day: same}
        say: {welcom: Hi, ask.hotl: Which one}
        """,
        hotels_dot_csv="id,name,area\na,Adler,north\n",
    )
    for wanted in (
        "the table has no column 'nam'; did you mean 'name'?",
        "the section slots: has no 'cty'; did you mean 'city'?",
        "nothing is called 'are'; did you mean 'area'?",
        "the task has no slot 'areas'; did you mean 'area'?",
        "no task is called 'bok'; did you mean 'book'?",
        "no task is called 'fnd'; did you mean 'find'?",
        "no other task has a slot 'day'",
        "no text is called 'welcom'; did you mean 'welcome'?",
        "no slot has the text 'ask.hotl'; did you mean 'ask.hotel'?",
    ):
        assert wanted in text


def test_same_in_two_tasks_asks_which(errors_of: MakeErrors) -> None:
    text = errors_of(
        """
        bot: Same
        tasks:
          a: {slots: {day: date}}
          b: {slots: {day: date}}
          c: {slots: {day: same}}
        """
    )
    assert "'day' is the same as which? a.day, b.day" in text
    assert "example: day: {same: a.day}" in text


def test_an_entity_table_tells_rows_without_keys_and_double_ones(errors_of: MakeErrors) -> None:
    bot = "bot: T\ntables: {hotels: {from: hotels.csv, key: id}}\ntasks: {a: {slots: {b: date}}}\n"
    text = errors_of(bot, hotels_dot_csv="id,name\na,Adler\na,Krone\n")
    assert "two rows of 'hotels' have the id 'a'" in text
    text = errors_of(bot, hotels_dot_csv="id,name\n,Adler\n")
    assert "row 1 of 'hotels' has no 'id'" in text
    text = errors_of(bot, hotels_dot_csv="id,name\na,Adler,3\n")
    assert "hotels.csv:2:" in text
