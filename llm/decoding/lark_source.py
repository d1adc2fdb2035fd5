"""Writes what is asked of an output in the notation that llguidance reads.

Knows no vocabulary but the names of its special tokens.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from llguidance import regex_to_lark

from llm.decoding.grammar_spec import Choices, JsonSchema, Lark, Regex, StructuralTags, Tag
from llm.decoding.json_schema import checked
from llm.errors import InvalidGrammarError

# else masks leave out what contradicts a forced token, and drafts and budgets would meet dead ends
OPTIONS = '%llguidance {"no_forcing": true}\n'

_NOT_TAKEN = (
    (re.compile(r"\[[^\]]*\b(?:max_tokens|temperature|stop)\s*="), "max_tokens, temperature, stop"),
    (re.compile(r"<\["), "token ids such as <[1]>"),
    (re.compile(r"^\s*%llguidance", re.MULTILINE), "%llguidance options"),
)


def json_source(schema: dict[str, Any], *, max_whitespace: int) -> str:
    """Return the grammar of a schema that `checked` has let through."""
    return f"{OPTIONS}start: {_json_rule(schema, max_whitespace)}\n"


def regex_source(spec: Regex) -> str:
    """Return the grammar of a regex."""
    return f"{OPTIONS}start: {_regex(spec.pattern)}\n"


def lark_source(spec: Lark) -> str:
    """Return a grammar as it is.

    Raises:
        InvalidGrammarError: it uses what a state could not take back, or what is ours to set.
    """
    for pattern, what in _NOT_TAKEN:
        if pattern.search(spec.source):
            raise InvalidGrammarError(f"a grammar must not use {what}; leave them out")
    return f"{spec.source}\n{OPTIONS}"


def tags_source(spec: StructuralTags, special_tokens: Collection[str]) -> str:
    """Return the grammar of text with tags.

    Raises:
        ConstraintError: the content of a tag is refused.
    """
    lines = [OPTIONS.rstrip()]
    one = " | ".join(f"tag_{i}" for i in range(len(spec.tags)))
    most = "" if spec.max_tags is None else str(spec.max_tags)
    tail = " FREE" if spec.text else ""
    lines.append(f"start: ({one}){{{spec.min_tags},{most}}}{tail}")
    words = {tag.trigger for tag in spec.tags} - set(special_tokens)
    absent = [re.escape(word) for word in sorted(words)]
    if spec.text_without:
        absent.append(regex_to_lark(spec.text_without, use_ascii="dws"))
    if absent:
        any_of_them = "|".join(absent)
        lines.append(f"FREE: /(?s:.*)/ & ~{_slashed(f'(?s:.*)({any_of_them})(?s:.*)')}")
    else:
        lines.append("FREE: /(?s:.*)/")
    for number, tag in enumerate(spec.tags):
        lines += _tag_rules(number, tag, free=spec.text, is_special=tag.trigger not in words)
    return "\n".join(lines) + "\n"


def _tag_rules(number: int, tag: Tag, *, free: bool, is_special: bool) -> list[str]:
    head, rest = f"HEAD_{number}", tag.begin[len(tag.trigger) :]
    rules = []
    if is_special:
        begin = f"FREE {tag.trigger}" if free else tag.trigger
    else:
        begin = head
        rules.append(f"{head}: {'FREE ' if free else ''}{_quoted(tag.trigger)}")
    parts = [begin, _quoted(rest), f"content_{number}", _quoted(tag.end)]
    rules.append(f"tag_{number}: {' '.join(filter(None, parts))}")
    rules.append(f"content_{number}: {_content(tag.content)}")
    return rules


def _content(content: JsonSchema | Regex | Choices) -> str:
    if isinstance(content, JsonSchema):
        return _json_rule(checked(content.schema), content.max_whitespace)
    if isinstance(content, Regex):
        return _regex(content.pattern)
    return " | ".join(_quoted(option) or '""' for option in content.options)


def _json_rule(schema: dict[str, Any], max_whitespace: int) -> str:
    options: dict[str, Any] = {"whitespace_flexible": False}
    if max_whitespace:
        options = {"whitespace_pattern": f"[ \\n]{{1,{max_whitespace}}}"}
    return "%json " + json.dumps({**schema, "x-guidance": options})


def _regex(pattern: str) -> str:
    return f"/{regex_to_lark(pattern, use_ascii='dws')}/".replace("\n", "\\n")


def _slashed(pattern: str) -> str:
    return "/" + pattern.replace("/", r"\/").replace("\n", r"\n") + "/"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""
