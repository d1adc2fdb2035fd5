"""Windows of running text: what they begin with, and that nothing else overlaps."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import chunk
from rag.document import Chunk
from rag.section import section_of
from rag.testing import HashingEmbedder

words = HashingEmbedder().count_tokens
MEDIA_TYPES = ["text/plain", "text/markdown", "text/csv", "text/x-python", "application/json"]
SENTENCES = [
    "The bee flies home.", "It is late!", "שלום לכולם.", "מה השעה עכשיו?", "متى تعود النحلة؟",
    "यह एक वाक्य है।", "蜂は巣に帰る。", "「もう遅い。」", "Café e\u0301te\u0301 🙂🙂.",
    "e.g. this one.", "no end",
]  # fmt: skip
BLOCKS = ["# Heading", "שלום\n====", "- item one.\n- item two.",
          "| a | b |\n|---|---|\n| 1. | 2. |",
          "```\ncode. More.\n```", "As follows:", "    indented. Yes.", "x" * 90]  # fmt: skip
prose = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=12).map(" ".join)
texts = st.lists(st.one_of(prose, prose, st.sampled_from(BLOCKS)), max_size=8).map("\n\n".join)


def bytes_and_two(texts: Sequence[str]) -> list[int]:
    return [len(text.encode()) + 2 for text in texts]


def added(chunks: Sequence[Chunk]) -> list[str]:
    """What each chunk after the first repeats of the one before."""
    return [
        two.text.encode()[: max(0, one.end - two.start)].decode() for one, two in pairwise(chunks)
    ]


@settings(deadline=None)
@given(
    st.one_of(
        texts, st.text(), st.text(st.sampled_from("a.。؟\n ש🙂\u0301")).map("# T\n\n".__add__)
    ),
    st.sampled_from(MEDIA_TYPES),
    st.integers(20, 120),
    st.integers(40, 160),
    st.integers(0, 60),
)
def test_windows_are_the_chunks_with_at_most_the_overlap_before_them(
    text: str, media_type: str, target: int, max_tokens: int, overlap: int
) -> None:
    overlap = min(overlap, (max_tokens - 1) // 2)
    data = text.encode()

    def cut(overlap: int) -> list[Chunk]:
        return chunk(
            text,
            count_tokens=bytes_and_two,
            target_chars=target,
            max_tokens=max_tokens,
            overlap=overlap,
            media_type=media_type,
        )

    bare, windows = cut(0), cut(overlap)
    assert [(c.end, c.heading_path) for c in windows] == [(c.end, c.heading_path) for c in bare]
    for number, (one, window) in enumerate(zip(bare, windows, strict=True)):
        assert data[window.start : window.end].decode() == window.text
        assert window.end - window.start + 2 <= max_tokens
        assert window.start <= one.start
        if window.start < one.start:
            before = bare[number - 1]
            assert before.start <= window.start < before.end
            assert before.heading_path == window.heading_path
            assert len(data[window.start : one.start].rstrip()) + 2 <= overlap
            assert not window.text[0].isspace() or window.start == before.start


@settings(deadline=None)
@given(texts, st.sampled_from(["text/plain", "text/markdown", "text/x-python"]), st.integers(0, 60))
def test_every_chunk_lies_in_one_section_whose_headings_it_has(
    text: str, media_type: str, overlap: int
) -> None:
    chunks = chunk(
        text, count_tokens=words, target_chars=80, overlap=overlap, media_type=media_type
    )
    for found in chunks if media_type != "text/x-python" else []:
        section = section_of(text, media_type, found.start, found.end)
        assert section is not None
        assert section.start <= found.start < found.end <= section.end
        assert found.heading_path[: len(section.heading_path)] == section.heading_path
        assert text.encode()[section.start : section.end].decode().strip()


def test_a_window_begins_with_the_last_whole_sentences_of_the_one_before() -> None:
    text = " ".join(f"Sentence number {i} is short." for i in range(12))
    found = chunk(text, count_tokens=words, target_chars=120, overlap=12)
    assert len(found) > 2
    for one, repeated in zip(found, added(found), strict=False):
        (number,) = words([repeated])
        assert 6 < number <= 12
        assert repeated.startswith("Sentence number")
        assert one.text.endswith(repeated.rstrip())


@pytest.mark.parametrize(
    "sentence",
    ["متى تعود النحلة إلى الخلية؟ ", "האם הדבורה חוזרת הביתה? ", "蜂はいつ巣に帰るのだろう。"],
)
def test_sentences_of_other_scripts_are_kept_whole(sentence: str) -> None:
    found = chunk(sentence * 12, count_tokens=bytes_and_two, target_chars=60, overlap=110)
    repeated = added(found)
    assert len(repeated) > 1
    assert {one.replace(sentence.strip(), "").strip() for one in repeated} == {""}
    assert all(repeated)


def test_an_abbreviation_begins_no_sentence_and_a_torn_sentence_is_whole_again() -> None:
    text = "One long sentence, e.g. this one, goes on and on until it has to be torn apart. " * 3
    found = chunk(text, count_tokens=words, target_chars=60, overlap=60)
    assert all(repeated == "" or repeated.startswith("One") for repeated in added(found))
    assert any(added(found))


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("\n".join(f"- item {i} of the list. It ends." for i in range(20)), "text/markdown"),
        ("\n".join(f"| row {i}. | It ends. |" for i in range(20)), "text/markdown"),
        ("```\n" + "call(a)  # It ends. Yes.\n" * 20 + "```", "text/markdown"),
        ("x = 1  # It ends. Yes.\n" * 20, "text/x-python"),
        ("\n\n".join(f"name: person {i}. It ends." for i in range(20)), "text/csv"),
        ("\n\n".join(f"[{i}].name: person. It ends." for i in range(20)), "application/json"),
        ("\n\n".join(f"# Part {i}\n\nIt says a lot. It ends." for i in range(20)), "text/markdown"),
    ],
)
def test_lists_tables_code_records_and_sections_do_not_overlap(text: str, media_type: str) -> None:
    found = chunk(text, count_tokens=words, target_chars=100, overlap=60, media_type=media_type)
    assert len(found) > 2
    assert set(added(found)) == {""}


def test_prose_after_a_table_does_not_repeat_the_table() -> None:
    table = "| a. | b. |\n|---|---|\n| one. | two. |"
    text = f"{'Words before it. ' * 6}\n\n{table}\n\n{'Words behind it. ' * 20}"
    found = chunk(
        text, count_tokens=words, target_chars=120, overlap=60, media_type="text/markdown"
    )
    assert any(added(found))
    assert all(
        set(repeated.split()) <= {"Words", "behind", "before", "it."} for repeated in added(found)
    )


@pytest.mark.parametrize("overlap", [-1, 128])
def test_an_overlap_of_half_a_chunk_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk_overlap must be at least 0 and less than half"):
        chunk("text", count_tokens=words, overlap=overlap)


def test_the_section_of_a_span_ends_where_the_next_heading_begins() -> None:
    text = "# Übersicht\n\nEins. שלום.\n\n## Tief\n\nZwei.\n\nDrei.\n\n# Ende\n\nVier."
    data = text.encode()
    at = data.index(b"Drei")
    section = section_of(text, "text/markdown", at, at + 5)
    assert section is not None
    assert data[section.start : section.end].decode() == "## Tief\n\nZwei.\n\nDrei."
    assert section.heading_path == ("Übersicht", "Tief")
    assert section_of(text, "text/markdown", 0, at) is None
    assert section_of(text, "text/markdown", 0, len(data) + 1) is None
