from hypothesis import given
from hypothesis import strategies as st

from rag.structure import BlockKind, blocks

MARKDOWN = """# Top

Some prose
on two lines.
## Sub ##
- one
- two

  still two

1. first

```python
# no heading

x = 1
```
Set
---
| a | b |
|---|---|
| 1 | 2 |

    indented = "code"

    more = "code"
"""

REST = """Module
******

Summary of the module::

   x = 1

   y = 2

# no heading here

open(path)

   Open a file.

>>> open(path)
<file>

+-----+-----+
| a   | b   |
+=====+=====+

====  ====
a     b
====  ====

Class
=====

Method
------

=====
 Top
=====
"""


def _outline(text: str, *, is_markdown: bool) -> list[tuple[str, str]]:
    return [
        (str(b.kind), b.title or text[b.start : b.end])
        for b in blocks(text, is_markdown=is_markdown)
    ]


def test_markdown_is_cut_into_its_blocks() -> None:
    assert _outline(MARKDOWN, is_markdown=True) == [
        ("heading", "Top"),
        ("prose", "Some prose\non two lines."),
        ("heading", "Sub"),
        ("list", "- one\n- two\n\n  still two\n\n1. first"),
        ("code", "```python\n# no heading\n\nx = 1\n```"),
        ("heading", "Set"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", '    indented = "code"\n\n    more = "code"'),
    ]


def test_plain_text_is_cut_as_restructured_text_is_written() -> None:
    assert _outline(REST, is_markdown=False) == [
        ("heading", "Module"),
        ("prose", "Summary of the module::"),
        ("code", "   x = 1\n\n   y = 2"),
        ("prose", "# no heading here"),
        ("prose", "open(path)"),
        ("prose", "   Open a file."),
        ("code", ">>> open(path)\n<file>"),
        ("table", "+-----+-----+\n| a   | b   |\n+=====+=====+"),
        ("table", "====  ====\na     b\n====  ===="),
        ("heading", "Class"),
        ("heading", "Method"),
        ("heading", "Top"),
    ]


def test_levels_follow_the_marks_and_not_their_order() -> None:
    """An odd underline in a module's docstring once turned the outline below it upside down."""
    found = blocks(
        "Notes\n-----\n\nClass\n=====\n\nMethod\n------\n\n===\nTop\n===\n", is_markdown=False
    )
    notes, cls, method, top = (block.level for block in found)
    assert top < cls < method == notes
    found = blocks("A\n=\n\nTop\n===\n\nSub\n---\n\n### Deep\n", is_markdown=True)
    assert [block.level for block in found if block.kind is BlockKind.HEADING] == [1, 2, 3]


def test_a_rule_or_a_table_is_no_heading() -> None:
    text = (
        "A sentence that is much longer than the line below it.\n---\n\n- item\n------\n\n-----\n"
    )
    assert all(b.kind is not BlockKind.HEADING for b in blocks(text, is_markdown=False))


def test_a_fence_that_is_never_closed_is_text() -> None:
    text = "```\n# heading\n\nwords"
    assert _outline(text, is_markdown=True) == [
        ("prose", "```"),
        ("heading", "heading"),
        ("prose", "words"),
    ]


def test_a_page_break_ends_a_paragraph() -> None:
    assert _outline("one\n\ftwo\ftwo and a half\n\f\f\nthree", is_markdown=False) == [
        ("prose", "one"),
        ("prose", "two"),
        ("prose", "two and a half"),
        ("prose", "three"),
    ]


@given(
    st.text(st.sampled_from("ab#*=-`~|+:. \t\n\r\f\u3000é🙂")) | st.text(),
    st.booleans(),
)
def test_blocks_are_in_order_and_hold_every_visible_character(text: str, is_markdown: bool) -> None:
    position = 0
    for block in blocks(text, is_markdown=is_markdown):
        assert position <= block.start < block.end <= len(text)
        assert not text[position : block.start].strip()
        assert (block.kind is BlockKind.HEADING) == bool(block.level)
        position = block.end
    assert not text[position:].strip()


def test_a_line_that_begins_with_a_long_blank_stretch_is_not_lost() -> None:
    text = " " * 5000 + "visible"
    (block,) = blocks(text, is_markdown=False)
    assert text[block.start : block.end].strip() == "visible"
