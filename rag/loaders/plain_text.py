"""Plain text: decoded, otherwise as it stands."""

from rag.loaders.base import Extraction, tidy
from rag.loaders.charset import Decoded, decode


def load_plain_text(data: bytes) -> Extraction:
    """Return the decoded text; a plain text has no title of its own."""
    decoded = decode(data)
    return Extraction(text=tidy(decoded.text), metadata=encoding_facts(decoded))


def encoding_facts(decoded: Decoded) -> dict[str, str | int]:
    """Return the metadata that every decoded file carries."""
    facts: dict[str, str | int] = {"encoding": decoded.encoding}
    if decoded.warning:
        facts["warning"] = decoded.warning
    return facts
