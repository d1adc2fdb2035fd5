"""Free text beside other values: neither swallows its neighbours, and none of it is lost."""

from pathlib import Path

import pytest

from dialog.bot.loading import load_bot
from dialog.task.commands import Skip, Start
from dialog.task.testing import agent_of, turn
from dialog.tracker.rule import RuleTracker

_BOT = """\
bot: Corner Table
locales: {default: LOCALE, timezone: UTC}
tables:
  areas: {from: areas.csv, key: id, show: name}
tasks:
  book_table:
    about: book a table
    slots:
      note: {type: text, required: false, ask: "Any note for us?"}
      date: {type: date, after: today}
      time: time
      people: {type: integer, min: 1, max: 12, about: LABEL}
      area: {type: entity:areas, required: false}
      name: person
      email: {type: email, required: false}
    do: [{say: Noted.}]
"""


def said(folder: Path, words: str, *, locale: str = "en", skips: bool = False) -> dict[str, object]:
    labels = {"en": "people", "de": "Personen", "fr": "personnes"}
    text = _BOT.replace("LOCALE", locale).replace("LABEL", labels[locale])
    (folder / "bot.yaml").write_text(text, encoding="utf-8")
    (folder / "areas.csv").write_text("id,name\nb,Bar\nw,Window\n", encoding="utf-8")
    agent = agent_of(load_bot(folder), tracker=RuleTracker())
    turn(agent, Start(task="book_table"))
    if skips:
        turn(agent, Skip())  # the note; the day is asked for next
    return dict(turn(agent, text=words).slots)


@pytest.mark.parametrize(
    ("words", "slots"),
    [
        ("window seat, and for 4 people", {"note": "window seat", "people": 4}),
        ("a note: window seat, and for 4 people", {"note": "window seat", "people": 4}),
        ("no nuts, we are 4 people", {"note": "no nuts", "people": 4}),
        ("no nuts and for 4 people", {"note": "no nuts", "people": 4}),
        ("birthday cake with 30 candles", {"note": "birthday cake with 30 candles"}),
        ("two of us are allergic to nuts", {"note": "two of us are allergic to nuts"}),
        ("a table near the bar", {"note": "a table near the bar"}),
        ("please call me at 7 if it's full", {"note": "please call me at 7 if it's full"}),
        ("fish and chips for the dog", {"note": "fish and chips for the dog"}),
        ("no onions, and my name is Ana Lind", {"note": "no onions", "name": "Ana Lind"}),
        (
            "one of us is in a wheelchair, we come on Friday at 7 pm",
            {"note": "one of us is in a wheelchair", "date": "2025-03-07", "time": "19:00"},
        ),
        (
            "vegan menu for one person, my email is ana@x.org",
            {"note": "vegan menu for one person", "email": "ana@x.org"},
        ),
        (
            "quiet corner table on Friday at 7 pm for 4 people",
            {"note": "quiet corner table", "date": "2025-03-07", "time": "19:00", "people": 4},
        ),
        (
            "4 people, by the window, and we have a dog",
            {"people": 4, "area": "w", "note": "we have a dog"},
        ),
        ('"the window, 4 people"', {"note": "the window, 4 people"}),
        ("on Friday at 7 pm", {"date": "2025-03-07", "time": "19:00"}),
    ],
)
def test_an_answer_in_free_words_is_cut_by_clauses(
    tmp_path: Path, words: str, slots: dict[str, object]
) -> None:
    """A clause is the text's, with the values in it, unless values of others say most of it."""
    assert said(tmp_path, words) == slots


@pytest.mark.parametrize(
    ("words", "slots"),
    [
        (
            "on Friday, a note: window seat, and for 4 people",
            {"date": "2025-03-07", "note": "window seat", "people": 4},
        ),
        (
            "Friday, and the note is peanut allergy",
            {"date": "2025-03-07", "note": "peanut allergy"},
        ),
        ("Friday for 4 people", {"date": "2025-03-07", "people": 4}),
        ("Friday, by the window", {"date": "2025-03-07", "area": "w"}),
    ],
)
def test_free_text_that_nobody_asked_for_is_said_by_its_name(
    tmp_path: Path, words: str, slots: dict[str, object]
) -> None:
    assert said(tmp_path, words, skips=True) == slots


@pytest.mark.parametrize(
    ("locale", "words", "slots"),
    [
        ("de", "keine Nüsse, und für 4 Personen", {"note": "keine Nüsse", "people": 4}),
        ("fr", "sans noix, et pour 4 personnes", {"note": "sans noix", "people": 4}),
    ],
)
def test_clauses_part_in_other_languages_too(
    tmp_path: Path, locale: str, words: str, slots: dict[str, object]
) -> None:
    assert said(tmp_path, words, locale=locale) == slots
