"""Source code: decoded and otherwise as it stands, so that what is cited can be found in the file.

Where it is cut `rag.code_structure` says. Python may declare its encoding (PEP 263).
"""

import io
import tokenize

from rag.loaders.base import Extraction, tidy
from rag.loaders.charset import decode, is_encoding_of_files
from rag.loaders.plain_text import encoding_facts


def load_source_code(data: bytes) -> Extraction:
    """Return the decoded source."""
    decoded = decode(data)
    return Extraction(text=tidy(decoded.text), metadata=encoding_facts(decoded))


def load_python(data: bytes) -> Extraction:
    """Return the decoded source of a Python module."""
    try:
        declared: str | None = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:  # an encoding that is unknown, or not that of the first lines
        declared = None
    if declared is not None and not is_encoding_of_files(declared):
        declared = None
    decoded = decode(data, declared=declared)
    return Extraction(text=tidy(decoded.text), metadata=encoding_facts(decoded))
