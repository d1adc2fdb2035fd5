"""Fills `docs/decoding.md`: runs its requests against a service and writes their real output.

    python -m benchmarks.decoding_page --address http://127.0.0.1:8000

The page is the program: its `python` blocks run in order, in one namespace, and what a block prints
becomes the `text` block behind it.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).parents[1] / "docs" / "decoding.md"
ADDRESS = "http://127.0.0.1:8000"  # as the page has it

_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def blocks(page: str) -> list[tuple[str, str | None]]:
    """Return the code blocks in order, each with the output shown behind it, None for none."""
    return [(found["code"], found["output"]) for found in _BLOCK.finditer(page)]


def filled(page: str, address: str) -> str:
    """Return the page with each output replaced by what its code prints against a service."""
    names: dict[str, Any] = {}

    def ran(found: re.Match[str]) -> str:
        printed = io.StringIO()
        code = found["code"].replace(ADDRESS, address)
        with contextlib.redirect_stdout(printed):
            exec(code, names)  # noqa: S102  # the page of this repository
        if found["output"] is None:
            return found[0]
        return f"```python\n{found['code']}```\n\n```text\n{printed.getvalue()}```\n"

    return _BLOCK.sub(ran, page)


def main(address: str = ADDRESS, page: Path = PAGE) -> None:
    """Run the page's requests against a running service and write their output into it."""
    text = page.read_text()
    page.write_text(filled(text, address))
    typer.echo(f"{len(blocks(text))} blocks ran")


if __name__ == "__main__":
    typer.run(main)
