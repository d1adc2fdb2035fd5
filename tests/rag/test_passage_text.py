from rag.chunking import chunk
from rag.document import Chunk
from rag.passage_text import passage_texts
from rag.testing import HashingEmbedder


def _chunk(text: str, *path: str) -> Chunk:
    return Chunk(start=0, end=len(text.encode()), text=text, heading_path=path)


def test_title_and_headings_come_before_the_text() -> None:
    found = _chunk("Run it.", "Guide", "Install")
    assert passage_texts("Manual", [found], HashingEmbedder()) == [
        "Manual > Guide > Install\nRun it."
    ]


def test_what_the_chunk_says_itself_is_not_repeated() -> None:
    text = "# Guide\n\n## Install ##\n\nRun it.\n\n## Use\n\nClick."
    chunks = chunk(text, count_tokens=HashingEmbedder().count_tokens, media_type="text/markdown")
    assert passage_texts("Guide", chunks, HashingEmbedder()) == [
        "# Guide\n\n## Install ##\n\nRun it.",
        "Guide\n## Use\n\nClick.",
    ]


def test_a_context_that_does_not_fit_is_left_out_step_by_step() -> None:
    embedder = HashingEmbedder(max_tokens=8)
    chunks = [_chunk(f"{'word ' * n}".strip(), "a b c", "near") for n in (2, 6, 8)]
    assert passage_texts("title", chunks, embedder) == [
        "near\nword word",
        "near\nword word word word word word",
        "word word word word word word word word",
    ]


def test_no_chunks_make_no_texts() -> None:
    assert passage_texts("title", [], HashingEmbedder()) == []
