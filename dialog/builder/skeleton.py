"""The first files of a new bot: small enough to read at once, and it runs as it is."""

import re
from pathlib import Path
from typing import Final

from dialog.errors import BotFolderError

BOT: Final = """\
bot: {title}
tasks:
  book_table:
    about: book a table
    slots:
      date: {{type: date, after: today}}
      time: time
      people: {{type: integer, min: 1, max: 12}}
      name: person
    call: reserve                 # a function in tools.py, arguments matched by name
    done: "Booked for {{people}} on {{date}} at {{time}}. Your code is {{result.code}}."
simulate:
  - users: {{cooperative: 60, corrects: 20, overanswers: 20}}
    dialogues: 20
    seed: 7
    expect: {{success: ">= .95", unconfirmed_writes: 0}}
"""
TOOLS: Final = '''\
"""What the bot can do; it asks for a yes before a function that writes is called."""

from tools.base import tool


@tool(effect="write", idempotent_by=("date", "time", "name"))
def reserve(date: str, time: str, people: int, name: str) -> dict[str, str]:
    """Book a table; put the call of your own system here."""
    return {"code": f"{name[:1].upper()}{people}-{date[-2:]}{time[:2]}"}
'''
TESTS: Final = """\
tests:
  - test: a table in four answers
    given: {now: "2025-03-03T09:00"}
    talk:
      - user: I want to book a table
        bot: [REQUEST]
      - user: on Friday
        slots: {date: 2025-03-07}
      - user: at 7 pm
        slots: {time: "19:00"}
      - user: four people
        slots: {people: 4}
      - user: Ana Lind
        bot: [CONFIRM]
      - user: yes
        called: {reserve: {people: 4, name: Ana Lind}}
    never: [unconfirmed_write, exact_repeat, re_ask]
"""


def write_skeleton(folder: Path) -> list[Path]:
    """Write the files of a new bot; return them.

    Raises:
        BotFolderError: one of them is there already, or the folder cannot be made.
    """
    title = re.sub(r"[_\-]+", " ", folder.name).strip().title() or "New Bot"
    files = {"bot.yaml": BOT.format(title=title), "tools.py": TOOLS, "tests.yaml": TESTS}
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise BotFolderError(
            f"{folder} has {', '.join(taken)} already; nothing was written. Choose another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BotFolderError(f"{folder} cannot be written: {error.strerror}") from error
    return [folder / name for name in files]
