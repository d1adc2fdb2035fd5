"""Reads a corpus by the name of its format."""

from pathlib import Path

from dialog.errors import CorpusError
from dialog.evaluation.corpus import Corpus, CorpusFormat
from dialog.evaluation.multiwoz import read_multiwoz
from dialog.evaluation.sgd import read_sgd
from dialog.evaluation.unified import read_unified

FORMATS: tuple[CorpusFormat, ...] = ("sgd", "multiwoz", "woz", "camrest")


def read_corpus(
    format: CorpusFormat,  # noqa: A002 - the option's name
    path: Path,
    *,
    schema: Path | None = None,
    split: str | None = None,
) -> Corpus:
    """Read the dialogues of a file or of a folder; `schema` is SGD's alone, `split` of the unified.

    Raises:
        CorpusError: the path is not there, or holds no corpus of this format.
    """
    if not path.exists():
        raise CorpusError(f"there is nothing at {path}; give the file or folder of the corpus")
    match format:
        case "sgd":
            return read_sgd(path, schema=schema)
        case "multiwoz":
            return read_multiwoz(path)
        case "woz" | "camrest":
            return read_unified(path, format=format, split=split)
        case _:
            raise CorpusError(f"there is no corpus format {format!r}; there are {list(FORMATS)}")
