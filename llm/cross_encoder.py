"""A cross-encoder from a folder of this machine: how well a passage answers a query, read together.

Runs on sentence-transformers, which is imported only here and only when one is asked for; nothing
is fetched.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm.errors import CheckpointError, UnsupportedModelError


class CrossEncoderModel:
    """Scores pairs of query and passage; safe to call from several threads.

    Raises:
        CheckpointError: the folder is not there, or holds no cross-encoder.
        UnsupportedModelError: sentence-transformers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{folder} holds no cross-encoder: there is no config.json; name the folder of one"
            )
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise UnsupportedModelError(
                "a cross-encoder needs the package sentence-transformers, which is not installed"
            ) from error
        try:
            self._model: Any = CrossEncoder(str(folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{folder} holds no cross-encoder: {error}") from error
        self.name = folder.name
        self._lock = threading.Lock()

    def score_pairs(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher for a better answer; the end of a long one is cut.

        The scores of different queries need not compare.
        """
        if not texts:
            return []
        with self._lock:
            scores = self._model.predict([(query, text) for text in texts], show_progress_bar=False)
        return [float(score) for score in scores]
