"""Citations: which bytes of which document bear out a piece of an answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """The source behind a mark `[id]` of an answer.

    `start` and `end` are byte offsets into the UTF-8 text of the document: `quote` is that text.
    `text_sha256` names the version of the text that was cited.
    """

    id: int
    collection: str
    document_id: str
    title: str
    uri: str
    start: int
    end: int
    quote: str
    score: float
    text_sha256: str = ""
