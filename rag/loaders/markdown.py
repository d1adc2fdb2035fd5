"""Markdown: kept as written, since its marks are what the chunker reads; titled by its heading."""

import re

from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.charset import decode
from rag.loaders.plain_text import encoding_facts

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}# +(\S[^\n]{0,400})")
_UNDERLINE = re.compile(r"^ {0,3}={3,}\s*$")
_FRONT_MATTER_TITLE = re.compile(r"""^title:\s*["']?(.+?)["']?\s*$""")
_TITLE_WITHIN_LINES = 200


def load_markdown(data: bytes) -> Extraction:
    """Return the Markdown source with the title of its front matter or its first main heading."""
    decoded = decode(data)
    text = tidy(decoded.text)
    return Extraction(text=text, title=markdown_title(text), metadata=encoding_facts(decoded))


def markdown_title(text: str) -> str:
    """Return the title of a Markdown text, or an empty string."""
    lines = text[:100_000].split("\n")[:_TITLE_WITHIN_LINES]
    if lines[0].rstrip() == "---" and "---" in (rest := [line.rstrip() for line in lines[1:]]):
        for line in rest[: rest.index("---")]:
            if match := _FRONT_MATTER_TITLE.match(line):
                return one_line(match[1])
        lines = rest[rest.index("---") + 1 :]
    fence = ""
    previous = ""
    for line in lines:
        if match := _FENCE.match(line):
            mark = match[1][0]
            fence = "" if fence == mark else fence or mark
        elif not fence and (match := _HEADING.match(line)):
            return one_line(match[1].rstrip().rstrip("#"))
        elif not fence and previous.strip() and _UNDERLINE.match(line):
            return one_line(previous)
        previous = line
    return ""
