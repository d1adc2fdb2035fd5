"""What YAML does behind an author's back, and what is said instead. One test a trap."""

import pytest

from tests.dialog.bot.conftest import MakeBot, MakeErrors

HEAD = """
bot: Traps
tasks:
  visit:
    slots:
"""


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("      day: {type: date, ask: {en: Which day do you arrive?}}\n", "bot.yaml:5:58"),
        ("      day: {type: date, ask: Which day?, why: x}\n", "bot.yaml:5:39"),
        ("      day: {type: date, ask: {people} on which day}\n", "bot.yaml:5:39"),
    ],
)
def test_a_question_mark_or_a_slot_inside_of_braces_needs_quotes(
    errors_of: MakeErrors, line: str, place: str
) -> None:
    text = errors_of(HEAD + line)
    assert text.startswith(f"{place}: not YAML")
    assert "put quotes round this text" in text


def test_a_comma_inside_of_braces_cuts_the_text(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      day: {type: date, ask: Please tell me, which day}\n")
    assert "bot.yaml:5:46: unknown key 'which day': the text before it ends at its comma" in text
    assert "put quotes round this text" in text


def test_a_slot_as_a_whole_text_is_a_mapping_and_needs_quotes(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      day: {type: date, ask: {people}}\n")
    assert "bot.yaml:5:30: expected the text of 'ask', a text" in text
    assert "a text that begins with a brace needs quotes" in text


def test_a_text_that_begins_with_a_slot_needs_quotes(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      day: date\n    done: {day} is booked\n")
    assert text.startswith("bot.yaml:6:17: not YAML")
    assert 'example: done: "{name} is booked"' in text


def test_the_block_form_of_a_question_needs_no_quotes(make_bot: MakeBot) -> None:
    bot = make_bot(HEAD + "      day:\n        type: date\n        ask: Which day, on arrival?\n")
    ask = bot.slot("visit", "day").ask
    assert ask is not None
    assert ask.variants["en"][0].text == "Which day, on arrival?"


def test_yes_no_on_and_off_are_words(make_bot: MakeBot) -> None:
    bot = make_bot(
        """
        bot: Traps
        locales: {default: en, also: [no]}
        slots: {light: {type: choice, values: [on, off, yes, no]}}
        tasks:
          visit:
            slots:
              light: required
              day: {type: date, ask: {en: "Which day?", no: "Hvilken dag?"}}
            do:
              - ask: Shall I?
                yes: {say: Fine.}
                no: {say: As you like.}
        """
    )
    light = bot.slots["light"].type
    assert [light.say(key, "en") for key in ("on", "off", "yes", "no")] == [
        "on",
        "off",
        "yes",
        "no",
    ]
    ask = bot.slot("visit", "day").ask
    assert ask is not None
    assert ask.variants["no"][0].text == "Hvilken dag?"
    assert bot.task("visit").do[0].yes[0].say is not None
    assert bot.task("visit").do[0].no[0].say is not None


def test_times_and_dates_stay_what_they_are(make_bot: MakeBot) -> None:
    bot = make_bot(
        HEAD
        + """\
      time: {type: time, default: 18:30}
      day: {type: date, default: 2025-03-07}
      note: {type: text, default: 0123}
"""
    )
    defaults = {name: slot.default for name, slot in bot.task("visit").slots.items()}

    from_file = {name: d.text for name, d in defaults.items() if d}
    assert from_file == {"time": "18:30", "day": "2025-03-07", "note": "'0123'"}


def test_a_duplicate_key_names_both_lines(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      day: date\n      day: time\n")
    assert "bot.yaml:6:7: the key 'day' stands here and already at bot.yaml:5:7" in text


def test_an_entity_with_a_blank_is_a_mapping(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      hotel: {type: {entity: hotels}}\n")
    assert "bot.yaml:5:21: a type is one word" in text
    assert "write entity:hotels without a blank behind the colon" in text
    assert "a type is one word" in errors_of(
        HEAD + "      hotel:\n        type:\n          entity: hotels\n"
    )


def test_a_list_type_is_written_with_many(errors_of: MakeErrors) -> None:
    for line in (
        "      extras: {type: list[choice], values: [parking, wifi]}\n",
        "      extras:\n        type: list[choice]\n        values: [parking, wifi]\n",
    ):
        assert "many: true" in errors_of(HEAD + line)


def test_nothing_is_told_apart_from_an_empty_text(errors_of: MakeErrors) -> None:
    for nothing in ("", "~"):
        text = errors_of(HEAD + f"      day: {{type: date, ask: {nothing}}}\n")
        assert "nothing is written here" in text
    text = errors_of(HEAD + '      day: {type: date, ask: ""}\n')
    assert "the text of 'ask' is empty" in text


def test_tabs_tags_and_merge_keys_are_refused_with_a_remedy(errors_of: MakeErrors) -> None:
    assert "indent with blanks" in errors_of(HEAD + "\tday: date\n")
    text = errors_of(HEAD + "      day: !!python/object:os.system date\n")
    assert "bot.yaml:5:12: tags are not allowed" in text
    text = errors_of(HEAD + "      day: &d {type: date}\n      end: {<<: *d}\n")
    assert "bot.yaml:6:13: merge keys are not allowed" in text


def test_anchors_are_allowed_and_cycles_are_not(make_bot: MakeBot, errors_of: MakeErrors) -> None:
    bot = make_bot(HEAD + "      day: &d {type: date}\n      end: *d\n")
    assert bot.slot("visit", "end").type.name == "date"
    assert "refers to no finished anchor" in errors_of(HEAD + "      day: &d {type: *d}\n")


def test_a_bomb_of_aliases_is_refused(errors_of: MakeErrors) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "nodes" in errors_of("\n".join(lines))


def test_a_colon_in_a_text_needs_quotes(errors_of: MakeErrors) -> None:
    text = errors_of(HEAD + "      day: date\n    done: Booked: {day}\n")
    assert "a text with a colon and a blank needs quotes" in text


def test_a_second_document_and_other_encodings_are_told(errors_of: MakeErrors) -> None:
    assert "a bot file is one document" in errors_of("bot: A\n---\nbot: B\n")
    assert "the file is empty" in errors_of("# nothing\n")
