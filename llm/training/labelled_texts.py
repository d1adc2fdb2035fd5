"""Labelled texts from files: which formats are read, which texts count, which part of them is used.

A text's part is a function of its words alone, so a head and the judge of what it does can be
trained on parts that share nothing, whatever files are read and in whatever order.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm.errors import TrainingDataError

DataFormat = Literal["auto", "tsv", "csv", "jsonl", "sgd"]

_FOREIGN = 0.02  # share of characters beyond ASCII above which a text counts as no English one


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text and whether it has the attribute."""

    text: str
    is_positive: bool


def read_labelled(
    paths: Sequence[Path],
    *,
    label: str,
    against: str | None = None,
    data_format: DataFormat = "auto",
    is_ascii_only: bool = False,
) -> list[LabelledText]:
    """Return the texts of files, or of all files of a folder that have a known ending, once each.

    Texts of `label` are positive; negative are those of `against`, or all others without it.
    `is_ascii_only` leaves out texts of which more than 2 % of the characters are beyond ASCII.

    Raises:
        TrainingDataError: no such file, a line that cannot be read, or a label that no text has.
    """
    found: dict[str, bool] = {}
    labels: set[str] = set()
    for path in _files(paths):
        for text, given in _read(path, data_format):
            labels.add(given)
            is_wanted = against is None or given in (label, against)
            if is_wanted and text and not (is_ascii_only and _is_foreign(text)):
                found.setdefault(text, given == label)
    for wanted in filter(None, (label, against)):
        if wanted not in labels:
            there = ", ".join(sorted(labels)[:12]) or "none"
            raise TrainingDataError(f"no text has the label {wanted!r}; there are: {there}")
    if len(set(found.values())) < 2:
        raise TrainingDataError(f"the texts need both {label!r} and others, only one kind is there")
    return [LabelledText(text=text, is_positive=value) for text, value in found.items()]


def part_of(text: str, purpose: str = "") -> float:
    """Return a number in [0, 1) of the text alone; each `purpose` has numbers of its own."""
    digest = hashlib.blake2b(
        " ".join(text.lower().split()).encode(), digest_size=8, key=purpose.encode()[:64]
    )
    return int.from_bytes(digest.digest(), "big") / 2**64


def _is_foreign(text: str) -> bool:
    return sum(ord(character) > 127 for character in text) > _FOREIGN * len(text)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            # a readme beside the data is no data
            inside = sorted(p for p in path.iterdir() if p.suffix in _ENDINGS)
            yield from (p for p in inside if p.stem.lower() != "readme")
        elif path.is_file():
            yield path
        else:
            raise TrainingDataError(f"there is no file {path}")


def _read(path: Path, data_format: DataFormat) -> Iterator[tuple[str, str]]:
    chosen = _ENDINGS.get(path.suffix, "tsv") if data_format == "auto" else data_format
    try:
        yield from _READERS[chosen](path)
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise TrainingDataError(
            f"{path.name} is no {chosen} file of labelled texts: {error}"
        ) from None


def _read_tsv(path: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text, a tab or more, a label; lines break at newlines alone."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        text, tab, label = line.rstrip().rpartition("\t")
        if not tab:
            raise ValueError(f"line {number} has no tab before a label")
        yield text.strip(), label.strip()


def _read_csv(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if row and row != ["text", "label"]:
                text, label = row
                yield text.strip(), label.strip()


def _read_jsonl(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            row = json.loads(line)
            yield str(row["text"]).strip(), str(row["label"]).strip()


def _read_sgd(path: Path) -> Iterator[tuple[str, str]]:
    """System turns of Schema-Guided Dialogue whose acts are all of one kind, with that act."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        dialogue = json.loads(line) if line.strip() else {"turns": []}
        for turn in dialogue["turns"]:
            acts = {action["act"] for frame in turn["frames"] for action in frame["actions"]}
            if turn["speaker"] == "SYSTEM" and len(acts) == 1:
                yield str(turn["utterance"]).strip(), str(acts.pop())


_READERS = {"tsv": _read_tsv, "csv": _read_csv, "jsonl": _read_jsonl, "sgd": _read_sgd}
_ENDINGS: dict[str, DataFormat] = {
    ".txt": "tsv",
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
}
