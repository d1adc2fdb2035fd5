"""The text that is embedded for a chunk: where it stands, then what it says.

The context helps a search and is never citable: what is stored and shown is the bare chunk.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from rag.document import Chunk
from rag.embedder import Embedder

_FIRST_LINES = 8
_FIRST_CHARS = 600


def passage_texts(
    title: str, chunks: Sequence[Chunk], embedder: Embedder, *, uri: str = ""
) -> list[str]:
    """Return the texts to embed for the chunks of a document, each within `max_tokens`.

    A title that is but the name of the file at `uri` is left out: vectors are of what a document
    says, and a renamed file keeps them. (Its words are found all the same, by the lane of words.)
    Where title and heading path do not fit, the nearest heading stands alone before the chunk;
    where that does not fit either, the chunk stands alone.
    """
    title = "" if title == PurePosixPath(uri).stem else title
    contexts = [_context(title, chunk) for chunk in chunks]
    texts = [_placed(context, chunk) for context, chunk in zip(contexts, chunks, strict=True)]
    for num_kept in (1, 0):
        too_long = [i for i in _too_long(texts, embedder) if contexts[i]]
        for i in too_long:
            contexts[i] = contexts[i][-num_kept:] if num_kept else ()
            texts[i] = _placed(contexts[i], chunks[i])
        if not too_long:
            break
    return texts


def _context(title: str, chunk: Chunk) -> tuple[str, ...]:
    """Return title and headings in order, without those that the chunk begins with."""
    lines = chunk.text[:_FIRST_CHARS].split("\n")[:_FIRST_LINES]
    said = {line.strip().strip("#").strip() for line in lines}
    return tuple(t for t in dict.fromkeys((title, *chunk.heading_path)) if t and t not in said)


def _placed(context: Sequence[str], chunk: Chunk) -> str:
    return f"{' > '.join(context)}\n{chunk.text}" if context else chunk.text


def _too_long(texts: Sequence[str], embedder: Embedder) -> list[int]:
    counts = embedder.count_tokens(texts) if texts else []
    return [i for i, num_tokens in enumerate(counts) if num_tokens > embedder.max_tokens]
