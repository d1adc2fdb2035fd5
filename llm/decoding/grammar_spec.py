"""What may be asked of the form of an output: frozen values that check themselves.

Each can be hashed, compared and fingerprinted, so that a compiled grammar can be kept for the next
request that asks the same. Knows no tokens and no grammar engine; what a schema may say is checked
where it is compiled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

MAX_WHITESPACE = 64
MAX_PATTERN_BYTES = 65_536
MAX_CHOICES_BYTES = 16_000_000
MAX_EVIDENCE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """JSON that a schema (draft 2020-12 or 7) allows, its properties in the order of the schema.

    `schema` is JSON text; `of` takes a parsed one. Between the parts of the output stand at most
    `max_whitespace` spaces and line ends in a row; 0 is the compact form.
    """

    schema: str
    max_whitespace: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_whitespace <= MAX_WHITESPACE:
            raise ValueError(
                f"max_whitespace must be in [0, {MAX_WHITESPACE}], got {self.max_whitespace}"
            )

    @classmethod
    def of(cls, schema: Mapping[str, Any] | bool, *, max_whitespace: int = 0) -> "JsonSchema":
        """Take a parsed schema; the order of its keys is kept, since it orders the output.

        Raises:
            ValueError: it is nested too deeply to be written down.
        """
        try:
            text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            raise ValueError("the schema is nested too deeply; flatten it with $ref") from None
        return cls(schema=text, max_whitespace=max_whitespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    r"""Text that a regex matches from its first to its last byte.

    The syntax is that of Rust's `regex`: no look-around, no back-references. `\d`, `\w`
    and `\s` are ASCII, `.` is anything but a line end.
    """

    pattern: str

    def __post_init__(self) -> None:
        _check_size("pattern", self.pattern, MAX_PATTERN_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lark:
    """Text of a context-free grammar in Lark's notation as llguidance reads it; starts at `start`.

    Special tokens are named `<|like_this|>`. The attributes `max_tokens`, `temperature` and `stop`
    are refused, since a state with them cannot be rolled back.
    """

    source: str

    def __post_init__(self) -> None:
        _check_size("source", self.source, MAX_PATTERN_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """One of some texts, such as the values of a table's column; 100,000 are no trouble."""

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("a choice needs at least one option, got none")
        if not any(self.options):
            raise ValueError("the only option is empty; give one with text")
        size = sum(map(len, self.options))
        if size > MAX_CHOICES_BYTES:
            raise ValueError(
                f"the options have {size} characters, at most {MAX_CHOICES_BYTES} are taken;"
                " narrow them down first"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text that may be quoted, with the id by which it is cited."""

    id: str
    text: str

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a passage needs an id, got an empty one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A verbatim span of one of the passages, from the start of a word to the end of a word.

    It has `min_bytes` to `max_bytes` bytes of UTF-8. With `cite` it stands in quotation marks and
    the id of its own passage follows in brackets, as in `"a span" [3]`, and there are `min_quotes`
    to `max_quotes` of these, with one space between them.
    """

    passages: tuple[Passage, ...]
    min_bytes: int = 1
    max_bytes: int = 400
    cite: bool = False
    min_quotes: int = 1
    max_quotes: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.min_bytes <= self.max_bytes:
            raise ValueError(
                "a quote must have 1 <= min_bytes <= max_bytes,"
                f" got {self.min_bytes} and {self.max_bytes}"
            )
        if not 1 <= self.min_quotes <= self.max_quotes:
            raise ValueError(
                "there must be 1 <= min_quotes <= max_quotes,"
                f" got {self.min_quotes} and {self.max_quotes}"
            )
        if self.max_quotes > 1 and not self.cite:
            raise ValueError("several quotes must be told apart; set cite, or max_quotes to 1")
        size = sum(len(passage.text.encode()) for passage in self.passages)
        if size > MAX_EVIDENCE_BYTES:
            raise ValueError(
                f"the passages have {size} bytes, at most {MAX_EVIDENCE_BYTES} are taken;"
                " retrieve fewer"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationIds:
    """Citations of some ids, such as `[2][5]`: at least `min_ids`, at most `max_ids`, no id twice.

    Their order is free.
    """

    ids: tuple[str, ...]
    min_ids: int = 1
    max_ids: int | None = None

    def __post_init__(self) -> None:
        if not self.ids or not all(self.ids) or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"the ids must be different and not empty, got {self.ids}")
        most = len(self.ids) if self.max_ids is None else self.max_ids
        if not 1 <= self.min_ids <= most <= len(self.ids):
            raise ValueError(
                f"there must be 1 <= min_ids <= max_ids <= {len(self.ids)} (the number of ids),"
                f" got {self.min_ids} and {most}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A constrained span inside free text: `begin`, then `content`, then `end`.

    As soon as the text contains `trigger`, with which `begin` starts, one of the tags with this
    trigger must follow. A trigger that is a special token of the vocabulary stands for the token.
    """

    trigger: str
    begin: str
    content: JsonSchema | Regex | Choices
    end: str = ""

    def __post_init__(self) -> None:
        if not self.trigger:
            raise ValueError("a tag needs a trigger, got an empty one")
        if not self.begin.startswith(self.trigger):
            raise ValueError(
                f"begin must start with the trigger {self.trigger!r}, got {self.begin!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuralTags:
    """Text in which `min_tags` to `max_tags` tags stand; None is any number.

    With `text` false nothing stands between them, which is how a tool call is demanded. No part of
    the text outside of them matches the regex `text_without`, as `Regex` has it; "" is no regex.
    """

    tags: tuple[Tag, ...]
    min_tags: int = 0
    max_tags: int | None = None
    text: bool = True
    text_without: str = ""

    def __post_init__(self) -> None:
        if not self.tags:
            raise ValueError("at least one tag is needed, got none")
        most = self.max_tags
        if self.min_tags < 0 or (most is not None and most < max(self.min_tags, 1)):
            raise ValueError(
                f"there must be 0 <= min_tags <= max_tags and max_tags >= 1, got {self.min_tags}"
                f" and {most}"
            )
        if not self.text and self.min_tags == 0:
            raise ValueError("without text at least one tag must be there; set min_tags to 1")
        if self.text_without:
            _check_size("text_without", self.text_without, MAX_PATTERN_BYTES)


GrammarSpec = JsonSchema | Regex | Lark | Choices | Quote | CitationIds | StructuralTags


def fingerprint(spec: GrammarSpec) -> str:
    """Return 32 hex digits that two specs share only if they ask the same."""
    text = json.dumps(_plain(spec), ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return [type(value).__name__, inner]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _check_size(name: str, text: str, limit: int) -> None:
    if not text:
        raise ValueError(f"{name} must not be empty; leave the constraint out instead")
    size = len(text.encode())
    if size > limit:
        raise ValueError(f"{name} has {size} bytes, at most {limit} are taken; shorten it")
