"""Which part of a step's text the user sees while the model still writes it.

All but the calls, or what stands behind a mark, or nothing; without white space at either end. Does
not know what the text means: `tools.strategies` reads it when it is whole.
"""

from collections.abc import Iterator

from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import ToolReader


class VisibleText:
    """Tells the visible part of one text from the rest, piece by piece.

    `visible` and `form` are those of `tools.strategies.base.Ask`.
    """

    def __init__(self, visible: str | None, *, form: CallForm = OWN) -> None:
        self._mark = visible
        self._before = ""
        self._space = ""
        self._has_begun = False
        self._reader = ToolReader(form=form) if visible == "" else None
        self._is_open = visible == ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield what a further piece adds to the visible text."""
        if self._reader is not None:
            for piece in self._reader.feed(text):
                if isinstance(piece, str):
                    yield from self._trimmed(piece)
        elif self._is_open:
            yield from self._trimmed(text)
        elif self._mark is not None:
            self._before += text
            _, mark, rest = self._before.partition(self._mark)
            if mark:
                self._is_open = True
                yield from self._trimmed(rest)

    def finish(self) -> Iterator[str]:
        """Yield what was held back, at the end of the text."""
        if self._reader is not None:
            for piece in self._reader.finish():
                if isinstance(piece, str):
                    yield from self._trimmed(piece)

    def _trimmed(self, text: str) -> Iterator[str]:
        whole = self._space + text
        shown = whole.rstrip()
        self._space = whole[len(shown) :]
        if not self._has_begun:
            shown = shown.lstrip()
        if shown:
            self._has_begun = True
            yield shown
        elif not self._has_begun:
            self._space = ""
