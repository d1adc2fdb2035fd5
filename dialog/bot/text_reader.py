"""From the texts of a bot file to templates, per language and in variants."""

import re
from collections.abc import Mapping

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence
from dialog.bot.node_reader import NodeReader
from dialog.bot.source import SourceLine
from dialog.bot.texts import Placeholder, Template, Texts
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.catalogue import PLAIN_NAMES

_RENDERER = re.compile(r"(.*\S)\s*:\s*([a-z_]+)\s*", re.DOTALL)
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")


def read_texts(
    reader: NodeReader,
    node: YamlNode,
    what: str,
    *,
    names: Mapping[str, ValueType] | None = None,
    example: str = "",
) -> Texts | None:
    """Return a text: one, a list of variants, by locale, or with `text` and `buttons`."""
    known = reader.names if names is None else names
    if isinstance(node, YamlMapping) and set(node.entries) & {"text", "buttons"}:
        return _with_buttons(reader, node, what, known)
    if isinstance(node, YamlMapping) and _is_by_locale(reader, node):
        variants = {
            locale: _variants(reader, inner, what, known, example)
            for locale, inner in node.entries.items()
        }
        for locale in node.entries:
            if locale not in reader.locales:
                reader.problems.add(
                    node.at(locale),
                    f"the bot speaks {', '.join(reader.locales)}, not {locale!r}",
                    text=locale,
                    example=f"locales: {{default: {reader.locales[0]}, also: [{locale}]}}",
                )
        return Texts(variants=variants, source=node.source) if all(variants.values()) else None
    found = _variants(reader, node, what, known, example)
    return Texts(variants={reader.locales[0]: found}, source=node.source) if found else None


def _is_by_locale(reader: NodeReader, node: YamlMapping) -> bool:
    keys = list(node.entries)
    if not keys or not all(_LOCALE.fullmatch(key) for key in keys):
        return False
    return any(key in reader.locales for key in keys) or all(len(key) == 2 for key in keys)


def _with_buttons(
    reader: NodeReader, node: YamlMapping, what: str, names: Mapping[str, ValueType]
) -> Texts | None:
    reader.check_keys(node, "text")
    inner = node.get("text")
    if inner is None:
        reader.fail(
            node, f"{what} with buttons needs its text", example='{text: "Who?", buttons: [me]}'
        )
        return None
    texts = read_texts(reader, inner, what, names=names)
    buttons = node.get("buttons")
    if texts is None or buttons is None:
        return texts
    return Texts(
        variants=texts.variants, source=node.source, buttons=reader.texts(buttons, "a button")
    )


def _variants(
    reader: NodeReader,
    node: YamlNode,
    what: str,
    names: Mapping[str, ValueType],
    example: str,
) -> tuple[Template, ...]:
    if isinstance(node, YamlScalar) and node.is_quoted and not node.text:
        reader.fail(node, f"{what} is empty", remedy="leave the key out to have it generated")
        return ()
    items = node.items if isinstance(node, YamlSequence) else (node,)
    if not items:
        reader.fail(node, f"{what} has no variants", example=example)
    found = []
    for item in items:
        text = reader.text(item, what, example)
        if text is not None:
            template = read_template(reader, text, item.source, names)
            found += [template] if template else []
    return tuple(found)


def read_template(
    reader: NodeReader, text: str, source: SourceLine, names: Mapping[str, ValueType]
) -> Template | None:
    """Return a text with its placeholders parsed; `{{` and `}}` are braces."""
    pieces: list[str | Placeholder] = []
    literal, at = "", 0
    while at < len(text):
        two, one = text[at : at + 2], text[at]
        if two in {"{{", "}}"}:
            literal, at = literal + one, at + 2
        elif one == "{":
            end = text.find("}", at)
            placeholder = _placeholder(reader, text, at, end, source, names)
            if placeholder is None:
                return None
            pieces += [literal, placeholder] if literal else [placeholder]
            literal, at = "", end + 1
        elif one == "}":
            reader.problems.add(
                source,
                "a '}' without its '{'",
                text=text,
                remedy="write }} for a brace that is said",
            )
            return None
        else:
            literal, at = literal + one, at + 1
    return Template(
        text=text,
        pieces=(*pieces, literal) if literal or not pieces else tuple(pieces),
        source=source,
    )


def _placeholder(
    reader: NodeReader,
    text: str,
    start: int,
    end: int,
    source: SourceLine,
    names: Mapping[str, ValueType],
) -> Placeholder | None:
    if end < 0 or not text[start + 1 : end].strip():
        reader.problems.add(
            source, "a '{' without its '}', or with nothing inside", text=text,
            remedy="write {{ for a brace that is said", example='done: "Booked for {people}."',
        )  # fmt: skip
        return None
    inner, renderer = text[start + 1 : end].strip(), ""
    inner, *forms = (part.strip() for part in inner.split("|"))
    if forms and (len(forms) != 2 or not all(forms)):
        reader.problems.add(
            source, "a number has two forms: for one, and for all others", text=text,
            example="{nights|night|nights}",
        )  # fmt: skip
        return None
    found = _RENDERER.fullmatch(inner)
    if found:
        inner, renderer = found[1], found[2]
        if renderer not in PLAIN_NAMES:
            reader.problems.add(
                source, f"no type is called {renderer!r}; there are {', '.join(PLAIN_NAMES)}",
                text=text, example="{price:money}",
            )  # fmt: skip
            return None
    expression = reader.expression_of(inner, source, names, within=text)
    if expression is None:
        return None
    plural = (forms[0], forms[1]) if forms else None
    if plural and expression.type.kind not in {Kind.NUMBER, Kind.ANY}:
        reader.problems.add(
            source, f"only a number has two forms, {inner!r} is a {expression.type}", text=text
        )
    return Placeholder(expression=expression, renderer=renderer, forms=plural)
