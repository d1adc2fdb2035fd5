"""Documents cut into sections: Markdown files, and documents as JSON lines."""

from pathlib import Path

import pytest

from dialog.bot.definition import KnowledgeDefinition
from dialog.bot.loading import load_bot
from dialog.errors import KnowledgeError
from dialog.knowledge.sections import read_sections

BOT = """bot: Reader
knowledge:
  docs: {from: docs.jsonl, answer: grounded, else: Nothing.}
tasks:
  help: {about: get help, examples: [help me please], do: [{handoff: desk}]}
"""


def source(folder: Path, lines: str) -> KnowledgeDefinition:
    (folder / "docs.jsonl").write_text(lines, encoding="utf-8")
    (folder / "bot.yaml").write_text(BOT, encoding="utf-8")
    return load_bot(folder).knowledge["docs"]


def test_each_line_is_a_document_with_its_own_headings(tmp_path: Path) -> None:
    fees = '{"title": "Fees", "text": "All are free.\\n\\n## Cards\\n\\nA card is 5."}'
    found = read_sections(tmp_path, source(tmp_path, f'{fees}\n\n{{"text": "B."}}\n'))
    assert [(s.file, s.heading, s.text, s.start) for s in found] == [
        ("docs.jsonl:1", "Fees", "All are free.", 0),
        ("docs.jsonl:1", "Fees: Cards", "A card is 5.", 25),
        ("docs.jsonl:3", "docs.jsonl:3", "B.", 0),
    ]


@pytest.mark.parametrize("line", ["no json", "[1]", '{"title": "no text"}', '{"text": 3}'])
def test_a_line_that_is_no_document_is_named(line: str, tmp_path: Path) -> None:
    given = source(tmp_path, f'{{"text": "A."}}\n{line}\n')
    with pytest.raises(KnowledgeError, match=r"docs\.jsonl:2"):
        read_sections(tmp_path, given)
