import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import chunk
from rag.document import Chunk
from rag.testing import HashingEmbedder

MEDIA_TYPES = [
    "text/plain",
    "text/markdown",
    "text/csv",
    "text/x-python",
    "text/x-source-code",
]
words = HashingEmbedder().count_tokens


def bytes_and_two(texts: Sequence[str]) -> list[int]:
    """The finest tokenizer there is, with two special tokens."""
    return [len(text.encode()) + 2 for text in texts]


def check_laws(text: str, chunks: list[Chunk], max_bytes: int | None = None) -> None:
    data = text.encode()
    position = 0
    for found in chunks:
        assert found.start >= position
        assert data[found.start : found.end].decode() == found.text
        assert found.text.strip()
        assert not data[position : found.start].decode().strip()
        if max_bytes is not None:
            assert found.end - found.start <= max_bytes
        position = found.end
    assert not data[position:].decode().strip()


texts = st.one_of(
    st.text(),
    st.text(st.sampled_from("ab#*=-`|:.!? \t\n\r\f\u3000é🙂\u0301\u200d\u202eש")),
    st.lists(
        st.sampled_from(
            ["- item", "# Heading", "Sub\n---", "word " * 40, "x" * 300, "```\ncode\n```",
             "    indented", "As follows:", "\f", "", "é🙂" * 50, "a\r\nb"]
        )
    ).map("\n\n".join),
    st.lists(st.text(max_size=30)).map("\r\n".join),
)  # fmt: skip


@settings(deadline=None)
@given(
    texts,
    st.sampled_from(MEDIA_TYPES),
    st.integers(1, 200),
    st.integers(8, 64),
)
def test_chunks_are_exact_in_order_complete_and_within_bounds(
    text: str, media_type: str, target: int, max_tokens: int
) -> None:
    chunks = chunk(
        text,
        count_tokens=bytes_and_two,
        target_chars=target,
        max_tokens=max_tokens,
        media_type=media_type,
    )
    check_laws(text, chunks, max_tokens - 2)
    assert chunks == chunk(
        text,
        count_tokens=bytes_and_two,
        target_chars=target,
        max_tokens=max_tokens,
        media_type=media_type,
    )


@settings(deadline=None)
@given(texts, st.integers(1, 100))
def test_chunks_stay_near_the_target(text: str, target: int) -> None:
    chunks = chunk(text, count_tokens=words, target_chars=target, max_tokens=10_000)
    check_laws(text, chunks)
    assert all(len(found.text) <= 2 * target + 40 for found in chunks)


def test_sections_get_their_headings_and_do_not_mix() -> None:
    text = "# Guide\n\nintro\n\n## Install\n\nrun this\n\n### Linux\n\napt\n\n"
    text += "## Use\n\nclick\n\n# End\n"
    found = chunk(text, count_tokens=words, media_type="text/markdown")
    assert [(c.heading_path, c.text) for c in found] == [
        (("Guide",), "# Guide\n\nintro"),
        (("Guide", "Install"), "## Install\n\nrun this"),
        (("Guide", "Install", "Linux"), "### Linux\n\napt"),
        (("Guide", "Use"), "## Use\n\nclick"),
        (("End",), "# End"),
    ]


def test_headings_without_text_of_their_own_join_what_is_below() -> None:
    text = 'The "if" statement\n******************\n\nSyntax\n======\n\n   if x: y\n'
    (found,) = chunk(text, count_tokens=words)
    assert found.heading_path == ('The "if" statement', "Syntax")
    assert found.text == text.rstrip()


def test_a_hash_is_a_heading_in_markdown_only() -> None:
    text = "# comment\n\ntext"
    (found,) = chunk(text, count_tokens=words, media_type="text/plain")
    assert found.heading_path == ()
    (found,) = chunk(text, count_tokens=words, media_type="text/markdown")
    assert found.heading_path == ("comment",)


def test_code_is_kept_whole_beyond_the_target_with_the_line_that_announces_it() -> None:
    code = "\n".join(f"    line_{i} = {i}" for i in range(5))
    text = f"{'Some words. ' * 8}\n\nAs follows:\n\n{code}\n\n{'More words. ' * 8}"
    found = chunk(text, count_tokens=words, target_chars=100, media_type="text/markdown")
    assert f"As follows:\n\n{code}" in [c.text for c in found]


def test_a_term_stays_with_its_explanation() -> None:
    text = f"{'Before it. ' * 8}\n\nopen(path)\n\n   Open the file at the path.\n"
    found = chunk(text, count_tokens=words, target_chars=100)
    assert found[-1].text == "open(path)\n\n   Open the file at the path."


def test_prose_is_cut_after_sentences_and_code_after_lines() -> None:
    prose = "This is a sentence of some length. " * 20
    assert all(c.text.endswith(".") for c in chunk(prose, count_tokens=words, target_chars=100))
    code = "```\n" + "call(a, b)  # words. And words\n" * 30 + "```"
    for found in chunk(code, count_tokens=words, target_chars=100, media_type="text/markdown"):
        assert found.text.splitlines()[-1] in {"call(a, b)  # words. And words", "```"}


def test_the_indent_of_a_first_line_belongs_to_the_chunk() -> None:
    text = "def f():\n\n" + "    b = 2\n" * 30
    for media_type in ("text/plain", "text/markdown"):
        found = chunk(text, count_tokens=words, target_chars=60, media_type=media_type)
        assert all(c.text.startswith(("def", "    b")) for c in found)
        assert len(found) > 4


def test_a_short_rest_of_a_section_joins_the_chunk_before() -> None:
    text = f"{'word ' * 19}end.\n\nTail."
    assert len(chunk(text, count_tokens=words, target_chars=100)) == 1


def test_letters_are_not_parted_from_their_accents_nor_emoji_from_their_joiners() -> None:
    accented = "e\u0301" * 400
    for found in chunk(accented, count_tokens=words, target_chars=101):
        assert found.text[0] == "e"
    family = "👩\u200d👩\u200d👧" * 100
    for found in chunk(family, count_tokens=words, target_chars=33):
        assert "\u200d" not in {found.text[0], found.text[-1]}


def test_the_later_parts_of_a_table_have_its_header_in_their_path_and_not_in_their_span() -> None:
    rows = "\n".join(f"| row {i} | {i} kg |" for i in range(30))
    text = f"# Harvest\n\n| Month | Honey |\n|---|---|\n{rows}\n\nThe end of it."
    found = chunk(text, count_tokens=words, target_chars=200, media_type="text/markdown")
    check_laws(text, found)
    assert len(found) > 2
    assert found[0].heading_path == ("Harvest",)
    for part in found[1:]:
        assert part.heading_path == ("Harvest", "Month | Honey")
        assert "Month" not in part.text


def test_a_table_that_fits_is_not_cut() -> None:
    table = "| Month | Honey |\n|---|---|\n" + "\n".join(f"| row {i} | kg |" for i in range(8))
    text = f"{'Some words. ' * 8}\n\n{table}\n\n{'More words. ' * 8}"
    found = chunk(text, count_tokens=words, target_chars=120, media_type="text/markdown")
    assert table in [c.text for c in found]
    assert {c.heading_path for c in found} == {()}


def test_definitions_of_source_code_are_chunks_under_their_names() -> None:
    text = "import os\n\n\ndef f():\n    return 1\n\n\nclass A:\n    def g(self): ...\n"
    found = chunk(text, count_tokens=words, media_type="text/x-python")
    assert [(c.heading_path, c.text) for c in found] == [
        ((), "import os"),
        (("f",), "def f():\n    return 1"),
        (("A",), "class A:\n    def g(self): ..."),
    ]


def test_a_row_of_a_table_stays_whole() -> None:
    rows = [f"name: person number {i}\nage: {i}. Years. And days." for i in range(40)]
    text = "\n\n".join(rows)
    for found in chunk(text, count_tokens=words, target_chars=200, media_type="text/csv"):
        assert set(found.text.split("\n\n")) <= set(rows)


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t\f", "\u3000\u2028"])
def test_a_text_without_visible_characters_has_no_chunks(text: str) -> None:
    assert chunk(text, count_tokens=words) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_chars": 0}, "target_chars must be >= 1, got 0"),
        ({"max_tokens": 7}, "max_tokens must be >= 8, got 7"),
    ],
)
def test_bounds_that_cannot_be_kept_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        chunk("text", count_tokens=words, target_chars=options.get("target_chars", 9),
              max_tokens=options.get("max_tokens", 9))  # fmt: skip


def test_a_tokenizer_that_cannot_be_satisfied_ends_in_an_error() -> None:
    with pytest.raises(ValueError, match="the character 'a' has 9 tokens"):
        chunk("aa", count_tokens=lambda texts: [9 for _ in texts], max_tokens=8)


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        chunk("a\ud800", count_tokens=words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "x" * 5_000_000,
        "ab " * 500_000,
        "```x\n" * 50_000,
        "\n" * 3_000_000 + "a",
        " " * 3_000_000 + "a",
        "- a\n\n" * 50_000,
        "a:\n\n" * 50_000,
        "# a\n" * 50_000,
        "a\n---\n" * 50_000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_no_text_takes_more_than_linear_time_and_counting(text: str) -> None:
    counted = calls = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal counted, calls
        calls += 1
        counted += sum(map(len, texts))
        return [2 + len(text) // 4 for text in texts]

    started = time.process_time()
    chunks = chunk(text, count_tokens=count, media_type="text/markdown")
    assert chunks
    assert counted <= 3 * len(text)
    assert calls <= 10 + len(text) // 500
    assert time.process_time() - started < 20
