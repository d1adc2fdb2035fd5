"""Which errors a command tells in one sentence, and how that line looks."""

from typing import Final

from rich.text import Text

from api.errors import ApplicationError
from dialog.errors import DialogError
from index.errors import IndexStoreError
from llm.errors import LLMError
from rag.errors import RAGError

# What the user can act on: one sentence each. Everything else is a fault of ours, with a traceback.
SENTENCES: Final = (ApplicationError, DialogError, IndexStoreError, LLMError, RAGError)


def error_line(error: Exception) -> Text:
    """Return the line that tells an error."""
    return Text(f"error: {error}", style="red")
