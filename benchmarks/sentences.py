"""Distinct utterances and sentences of the public data sets, in an order that never changes.

Reads what people wrote or said and skips what is structure. Knows no model.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_FILES = (
    "sgd/*.jsonl",
    "multiwoz21/val.json",
    "woz/*.jsonl",
    "camrest/*.jsonl",
    "star/*.jsonl",
    "dstc11_track5/*.json",
    "canard/*.json",
    "clinc150/data_full_train_val.json",
    "banking77/train.csv",
    "snips/*/seq.in",
    "restaurant8k/*.json",
    "ir_scifact/*.jsonl",
    "tau2/banking_knowledge/corpus.jsonl",
    "xquad/*.json",
    "sentiment_labelled_sentences/*_labelled.txt",
    "wikitext2/*.txt",
    "tinyshakespeare/*.txt",
)
_PROSE_KEYS = {
    *("utterance", "text", "Text", "Question", "Rewrite", "History", "content", "sentences"),
    *("question", "answer", "context", "claim", "train", "val", "oos_train", "oos_val", "title"),
}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_FEWEST_LETTERS, _MOST_LETTERS = 12, 400
_SHUFFLED_BY = 8


def distinct_sentences(data: Path) -> list[str]:
    """Return all sentences of 12 to 400 characters, each once, shuffled in one fixed way.

    Raises:
        FileNotFoundError: `data` holds none of the data sets.
    """
    found: dict[str, None] = {}
    for pattern in _FILES:
        for path in sorted(data.glob(pattern)):
            for text in _texts(path):
                for sentence in _SENTENCE_END.split(text):
                    plain = " ".join(sentence.split())
                    if _FEWEST_LETTERS <= len(plain) <= _MOST_LETTERS:
                        found.setdefault(plain)
    if not found:
        raise FileNotFoundError(f"{data} holds none of the data sets; set CAUSERIE_DATA")
    sentences = list(found)
    order = np.random.default_rng(_SHUFFLED_BY).permutation(len(sentences))
    return [sentences[i] for i in order]


def _texts(path: Path) -> Iterator[str]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from (row["text"] for row in csv.DictReader(file))
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield from _prose(json.loads(line), is_prose=False)
    elif path.suffix == ".json":
        yield from _prose(json.loads(path.read_text(encoding="utf-8")), is_prose=False)
    else:
        for line in path.read_text(encoding="utf-8").splitlines():
            yield line.rsplit("\t", 1)[0]


def _prose(value: object, *, is_prose: bool) -> Iterator[str]:
    """Yield the strings that stand, at any depth, below a key of prose."""
    if isinstance(value, str):
        if is_prose:
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _prose(inner, is_prose=is_prose or key in _PROSE_KEYS)
    elif isinstance(value, list):
        for inner in value:
            yield from _prose(inner, is_prose=is_prose)
