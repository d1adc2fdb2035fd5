"""`bot check`: each finding has its line and a remedy, and a bot without faults has none."""

from pathlib import Path

import pytest

from dialog.bot.problems import Severity
from dialog.builder.check import check_path
from dialog.builder.findings import CheckReport
from tests.dialog.bot.harbour import harbour_in
from tests.dialog.bot.test_loading import CORNER_TABLE, RESERVE
from tests.dialog.builder.conftest import Check

READ = 'from tools.base import tool\n\n@tool(effect="read")\ndef enough(amount) -> bool: ...\n'
WRITE = "def send(amount): ...\ndef more(result): ...\n"


def told(report: CheckReport, rule: str) -> list[str]:
    """Return "line: message" of the findings of a rule; each has a remedy."""
    found = [p for p in report.problems if p.rule == rule]
    assert all(p.remedy for p in found)
    return [f"{p.source.line}: {p.message}" for p in found]


def test_a_bot_without_faults_has_nothing_to_mend(check: Check) -> None:
    report = check(CORNER_TABLE, tools_dot_py=RESERVE)
    assert [line.split(" (")[0] for line in report.lines()] == [
        "book_table: holds",
        "nothing to mend",
    ]
    assert report.exit_code() == report.exit_code(strict=True) == 0


def test_the_travel_bot_has_warnings_and_no_error(tmp_path: Path) -> None:
    report = check_path(harbour_in(tmp_path / "harbour"))
    assert report.errors == ()
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)
    assert told(report, "no_progress") == [
        "27: find_hotel: to relax extras changes nothing, as the search does not use it"
    ]


def test_what_does_not_load_is_an_error_too(check: Check) -> None:
    report = check("bot: T\ntsks: {}\n")
    assert report.exit_code() == 2
    assert "did you mean 'tasks'?" in str(report.problems[0])


SLOTS = """
bot: Slots
slots: {spare: text}
tables: {hotels: {from: hotels.csv}}
tasks:
  visit:
    about: visit
    slots:
      code: {type: text, fill: tool}
      first: {type: bool, when: second}
      second: {type: bool, when: first}
      people: {type: integer, min: 9, max: 3}
      nights: {type: integer, max: 5, default: 7}
      once: {type: date, max_tries: 1, reask: "And the day?"}
      day: {type: date, after: today + 10 days, before: today}
    done: "{code}"
say: {ask.code: Which code}
"""


def test_slots_that_cannot_be_asked_or_filled_are_found(check: Check) -> None:
    report = check(SLOTS, hotels_dot_csv="id\na\n")
    assert told(report, "unaskable") == [
        "8: visit.code has fill: tool and nothing gives it a value",
        "9: visit: first waits for second waits for first, so that none of them is ever asked",
    ]
    assert [line.split(":")[0] for line in told(report, "contradiction")] == ["11", "12", "14"]
    assert told(report, "unused") == [
        "2: no task uses the shared slot 'spare'",
        "3: nothing uses the table 'hotels'",
        "13: once is asked once (max_tries: 1), so that its reask is never said",
        "16: 'code' is never asked, so that 'ask.code' is never said",
    ]
    assert report.exit_code() == 2


@pytest.mark.parametrize(
    ("guard", "word"),
    [
        ("budget == cheap and budget == high", "never"),
        ("nights > 7 and nights < 3", "never"),
        ("nights > 40", "never"),
        ("nights >= 1", "always"),
        ("a or not a", "always"),
        ("1 > 2", "never"),
        ("hotel.stars > 5", "never"),
        ("budget in [cheap, high]", "always"),
        ("len(extras) > 2", None),
        ("nights > 7", None),
        ("day > today", None),
        ("a and budget == cheap", None),
        ("hotel.stars > 3", None),
        ("result.code == 3", None),
    ],
)
def test_guards_that_never_change_are_found_by_trying_all_that_matters(
    check: Check, guard: str, word: str | None
) -> None:
    report = check(
        f"""
        bot: Guards
        tables: {{hotels: {{from: hotels.csv}}}}
        tasks:
          visit:
            about: visit
            slots:
              budget: {{type: choice, values: [cheap, high]}}
              nights: {{type: integer, min: 1, max: 30}}
              a: bool
              day: date
              hotel: entity:hotels
              extras: {{type: choice, many: true, values: [wifi]}}
            do:
              - {{if: "{guard}", say: Fine.}}
        """,
        hotels_dot_csv="id,stars\na,3\nb,5\n",
    )
    found = told(report, "constant")
    if word is None:
        assert found == []
    else:
        assert found == [f"14: visit: if of step do:0 ({guard}) is {word} true"]
        severity = Severity.ERROR if word == "never" else Severity.WARNING
        assert report.problems[0].severity is severity


UNASKED = (
    "writes, and confirm: never asks for no agreement; as no write is made without one, the user"
    " will be asked all the same"
)


def test_a_write_that_nobody_confirms_is_found(check: Check) -> None:
    bot = """
    bot: Writes
    tasks:
      pay:
        about: pay
        slots: {amount: money}
        confirm: never
        check: [{call: send, else: {say: No., stop: true}}]
        do:
          - call: send
          - call: more
          - {ask: "More?", yes: {call: more}}
    """
    report = check(bot, tools_dot_py=WRITE)
    assert told(report, "unconfirmed_write") == [
        "7: pay: check 1 calls send, which writes, before anything is confirmed",
        f"9: pay: send {UNASKED}",
        f"10: pay: more {UNASKED}",
        "10: pay: more writes with values of a result, which the user never saw",
    ]


def test_steps_that_are_never_reached_are_found(check: Check) -> None:
    bot = """
    bot: Steps
    tasks:
      pay:
        about: pay
        slots: {amount: money}
        do:
          - {say: Bye., stop: true}
          - call: send
          - {ask: "Sure?"}
      loop: {about: loop, do: [{start: back}]}
      back: {about: back, do: [{start: loop}]}
    """
    report = check(bot, tools_dot_py="def send(amount): ...\n")
    assert told(report, "unreachable") == [
        "8: pay: this step is never reached, as the one at bot.yaml:7:9 always ends the task",
        "9: pay: nothing follows from the answer to this question",
    ]
    assert told(report, "endless")[0] == "10: back starts loop starts back, without an end"


def test_checks_that_can_make_no_progress_are_found(check: Check) -> None:
    bot = """
    bot: Progress
    tasks:
      pay:
        about: pay
        slots: {amount: money, day: date}
        check:
          - {call: enough(amount), else: {say: "Too much.", reask: day}}
          - {call: enough(amount), else: {say: "Too much.", reask: amount}}
          - {call: enough(amount), else: "Too much."}
          - {if: "today > 2030-01-01", else: Come back later.}
        done: Done.
    """
    report = check(bot, tools_dot_py=READ)
    assert told(report, "no_progress") == [
        "7: pay: to ask day again cannot change check 1, which has no use for it",
        "10: pay: when check 4 does not hold, there is nothing to ask again, and the task fails",
    ]


def test_contradictory_tasks_are_named_with_both_lines(check: Check) -> None:
    """rasa#10217 and #6973: the same words start two things; training time is too late."""
    bot = """
    bot: Twice
    tasks:
      pay: {examples: [send money], slots: {amount: money}, done: Paid.}
      move:
        examples: [Send  money, move it]
        not_examples: [move it]
        slots: {amount: money}
        done: Moved.
    behaviour: {handoff: {when: [tries > 3, tries  > 3]}}
    """
    assert told(check(bot), "contradiction") == [
        "4: 'Send  money' is an example of move and of pay at bot.yaml:3:3",
        "4: 'move it' is an example of move and one that it is not",
        "9: the rule 'tries > 3' stands here and already at bot.yaml:9:30",
    ]


def test_missing_languages_plurals_and_articles_are_warned_of(check: Check) -> None:
    bot = """
    bot: Words
    locales: {default: en, also: [de]}
    tasks:
      stay:
        about: stay
        slots: {nights: integer, area: text, price: money}
        done:
          en: "Booked {nights} nights in a {area}, {nights|night|nights} for {price}."
          de: "Gebucht: {nights|Nacht|Nächte}, {nights} Nächte."
        cancelled: {en: Not booked.}
    """
    report = check(bot)
    assert told(report, "plural") == [
        "8: stay done (en): with 1 this reads '1 nights'",
        "9: stay done (de): with 1 this reads '1 Nächte'",
    ]
    assert told(report, "article") == [
        "8: stay done (en): the article 'a' may not fit what stands for {area}"
    ]
    assert told(report, "language") == [
        "10: the text 'stay cancelled' is written in en, and not in de"
    ]
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)
