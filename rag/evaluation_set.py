"""Questions whose right passages are known: one JSON object a line.

    {"id": "h-12", "query": "resetting the router", "kind": "heading", "answerable": true,
     "relevant": [{"uri": "manual.md", "start": 120, "end": 610}], "made_by": "heading"}

Optional: `answer`, one string or several that are all right; `history`, the turns before as
`{"role": "user"|"assistant", "content": …}`; `held_out`, uris that a search for this question must
not find, which is how a question becomes unanswerable. Offsets are bytes of the document's UTF-8
text. A line with a key that is none of these is refused: a misspelt one would be lost in silence.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.chat import Message
from rag.document import Passage
from rag.errors import EvaluationSetError

_KEYS = frozenset(
    ["id", "query", "relevant", "answer", "kind", "history", "answerable", "made_by", "held_out"]
)
_ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevant:
    """Where an answer stands: a span of a document, or all of it where no span is given."""

    uri: str
    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if not self.uri:
            raise ValueError("what is relevant needs the uri of its document")
        if (self.start is None) != (self.end is None):
            raise ValueError(f"a span of {self.uri!r} needs both start and end, or neither")
        if self.start is not None and self.end is not None and not 0 <= self.start < self.end:
            raise ValueError(
                f"a span of {self.uri!r} needs 0 <= start < end, got {self.start}..{self.end}"
            )

    def is_in(self, uri: str, start: int, end: int) -> bool:
        """Tell whether a span of a document shows some of it."""
        if uri != self.uri:
            return False
        if self.start is None or self.end is None:
            return True
        return start < self.end and self.start < end


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """One question, what is right for it, and how it was made.

    `answers` are all right. An answerable question has something relevant; one that is not
    answerable has nothing, and `held_out` names what was taken away from it.
    """

    id: str
    query: str
    kind: str
    made_by: str
    relevant: tuple[Relevant, ...] = ()
    answers: tuple[str, ...] = ()
    history: tuple[Message, ...] = ()
    answerable: bool = True
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("id", "query", "kind", "made_by"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty; every question needs one")
        if self.answerable and not self.relevant:
            raise ValueError(
                f"question {self.id!r} has no judgment: name what is relevant, or say"
                ' "answerable": false'
            )
        if not self.answerable and self.relevant:
            raise ValueError(
                f"question {self.id!r} is not answerable and names something relevant; drop one"
            )
        hidden = {one.uri for one in self.relevant}.intersection(self.held_out)
        if hidden:
            raise ValueError(
                f"question {self.id!r} holds out {min(hidden)!r}, which is relevant for it"
            )

    def shown_by(self, uri: str, start: int, end: int) -> frozenset[int]:
        """Return the numbers of what is relevant that a span of a document shows."""
        return frozenset(
            number for number, one in enumerate(self.relevant) if one.is_in(uri, start, end)
        )


def ranked_keys(item: EvaluationItem, passages: Sequence[Passage]) -> list[tuple[str, int, int]]:
    """Return a ranking for `rag.metrics`, whose relevant keys are those of `relevant_keys`.

    A passage that shows something relevant stands for it; if it shows several, for all of them in
    turn. A further one that shows only what is shown already is left out, as a second chunk of a
    document is where documents are ranked.
    """
    ranked: dict[tuple[str, int, int], None] = {}
    for passage in passages:
        chunk = passage.chunk
        shown = item.shown_by(passage.uri, chunk.start, chunk.end)
        if shown:
            ranked.update(dict.fromkeys(_key(number) for number in sorted(shown)))
        else:
            ranked[passage.uri, chunk.start, chunk.end] = None
    return list(ranked)


def relevant_keys(item: EvaluationItem) -> frozenset[tuple[str, int, int]]:
    """Return the keys that a perfect ranking begins with."""
    return frozenset(_key(number) for number in range(len(item.relevant)))


def _key(number: int) -> tuple[str, int, int]:
    return ("", number, number)  # no document has the empty uri


def read_set(path: Path) -> tuple[EvaluationItem, ...]:
    """Return the questions of a file.

    Raises:
        EvaluationSetError: it cannot be read, or a line is no question; says which line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EvaluationSetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationSetError(f"{path} is not UTF-8 text: {error.reason}") from error
    items = tuple(_items(text, str(path)))
    if not items:
        raise EvaluationSetError(f"{path} holds no question; one JSON object a line is expected")
    return items


def write_set(path: Path, items: Iterable[EvaluationItem]) -> None:
    """Write questions, so that the file is there as a whole or not at all; raises `OSError`."""
    beside = path.with_name(f".{path.name}.new")
    lines = [json.dumps(item_to_json(item), ensure_ascii=False) + "\n" for item in items]
    beside.write_text("".join(lines), encoding="utf-8")
    beside.replace(path)


def item_to_json(item: EvaluationItem) -> dict[str, Any]:
    """Return the JSON object of a question; what is empty is left out."""
    shown: dict[str, Any] = {
        "id": item.id,
        "query": item.query,
        "kind": item.kind,
        "answerable": item.answerable,
        "relevant": [_relevant_to_json(one) for one in item.relevant],
    }
    if item.answers:
        shown["answer"] = item.answers[0] if len(item.answers) == 1 else list(item.answers)
    if item.history:
        shown["history"] = [{"role": m.role, "content": m.content} for m in item.history]
    if item.held_out:
        shown["held_out"] = list(item.held_out)
    return {**shown, "made_by": item.made_by}


def item_from_json(value: object) -> EvaluationItem:
    """Return the question of a JSON object; raises `ValueError` with what is wrong."""
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004  # what a file holds is a value
            f"a question is a JSON object, got {type(value).__name__}"
        )
    unknown = sorted(set(value) - _KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; a question has {', '.join(sorted(_KEYS))}")
    answerable = value.get("answerable", True)
    if not isinstance(answerable, bool):
        raise ValueError(  # noqa: TRY004
            f"answerable is true or false, got {answerable!r}"
        )
    answer = value.get("answer", [])
    return EvaluationItem(
        id=_text(value, "id"),
        query=_text(value, "query"),
        kind=_text(value, "kind"),
        made_by=_text(value, "made_by"),
        relevant=tuple(_relevant(one) for one in _list(value, "relevant")),
        answers=_texts([answer] if isinstance(answer, str) else answer, "answer"),
        history=tuple(_message(one) for one in _list(value, "history")),
        answerable=answerable,
        held_out=_texts(value.get("held_out", []), "held_out"),
    )


def _items(text: str, name: str) -> Iterator[EvaluationItem]:
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = item_from_json(json.loads(line))
        except json.JSONDecodeError as error:
            raise EvaluationSetError(f"{name}:{number}: no JSON: {error.msg}") from error
        except ValueError as error:
            raise EvaluationSetError(f"{name}:{number}: {error}") from error
        if item.id in line_of:
            raise EvaluationSetError(
                f"{name}:{number}: id {item.id!r} stands in line {line_of[item.id]} already"
            )
        line_of[item.id] = number
        yield item


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise ValueError(f"{key} must be a string, got {found!r}")  # noqa: TRY004
    return found


def _texts(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{key} must be strings that are not empty, got {value!r}")
    return tuple(value)


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key, [])
    if not isinstance(found, list):
        raise ValueError(f"{key} must be a list, got {found!r}")  # noqa: TRY004
    return found


def _message(value: object) -> Message:
    if not isinstance(value, dict) or set(value) != {"role", "content"}:
        raise ValueError(f"a turn of history is an object of role and content, got {value!r}")
    if value["role"] not in _ROLES:
        raise ValueError(f"the role of a turn is {' or '.join(_ROLES)}, got {value['role']!r}")
    return Message(role=value["role"], content=_text(value, "content"))


def _relevant(value: object) -> Relevant:
    if not isinstance(value, dict) or not {"uri"} <= set(value) <= {"uri", "start", "end"}:
        raise ValueError(f"what is relevant has uri and perhaps start and end, got {value!r}")
    offsets = [value.get("start"), value.get("end")]
    if any(o is not None and (not isinstance(o, int) or isinstance(o, bool)) for o in offsets):
        raise ValueError(f"start and end are numbers of bytes, got {offsets}")
    return Relevant(uri=_text(value, "uri"), start=offsets[0], end=offsets[1])


def _relevant_to_json(one: Relevant) -> dict[str, Any]:
    if one.start is None:
        return {"uri": one.uri}
    return {"uri": one.uri, "start": one.start, "end": one.end}
