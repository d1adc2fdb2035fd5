"""Reading what stands beside the tasks: locales, tables, knowledge, texts, behaviour."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dialog.bot.bot_yaml import YamlMapping, YamlNode
from dialog.bot.data_folder import located
from dialog.bot.definition import (
    BehaviourDefinition,
    ConversationDefinition,
    HandoffRule,
    KnowledgeDefinition,
    LocalesDefinition,
)
from dialog.bot.environment import HANDOFF_NAMES
from dialog.bot.expression_operations import TEXT
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.text_reader import read_texts
from dialog.bot.texts import SayTexts, Texts
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.catalogue import PLAIN_NAMES

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
REPHRASE = ("off", "light", "free")
SAY_KEYS = (
    "abstained", "ack", "added", "again", "and", "answer", "anything_else", "attribute",
    "attribute.unknown", "back", "cancelled", "change_constraint", "change_what", "changed",
    "check_failed", "chitchat", "clarify", "clarify_slot", "clarify_task", "cleared",
    "confirm", "confirm.slot", "confirm_task",
    "count", "dropped", "example", "failed", "goodbye", "handoff", "handoff_hint", "hold",
    "how_can_i_help", "how_can_i_help_with", "idle", "implicit_confirm", "in_doubt", "invalid",
    "invalid.checksum", "invalid.end_before_start", "invalid.no_such_row",
    "invalid.no_such_time", "invalid.not_a_choice", "invalid.too_early", "invalid.too_large",
    "invalid.too_late", "invalid.too_small", "invalid.tool", "invalid.wrong_form", "kept",
    "language", "needs", "next", "no", "no_language", "no_more", "none", "none_relaxed",
    "nothing_back", "nothing_to_cancel", "nothing_to_resume", "offer", "offer.one",
    "offer_handoff", "one_moment", "operator", "or", "out_of_scope", "queue_started", "queued",
    "removed",
    "request", "restarted", "resume", "resumed", "sorry", "success", "success.chosen",
    "unclear", "undo", "waiting", "welcome", "what", "which", "why", "why_nothing", "yes",
)  # fmt: skip
"""What `say:` may word, beside `ask.SLOT`, `reask.SLOT` and `request.TYPE`."""
SAY_NAMES = (
    "bound", "count", "for_slot", "options", "rows", "slot", "task", "tasks", "text", "value",
    "values",
)  # fmt: skip
"""What the built-in texts fill in, and texts of `say:` may therefore mention."""


def read_locales(reader: NodeReader, node: YamlNode | None) -> LocalesDefinition:
    """Return the languages and the zone of a bot."""
    entries = reader.mapping(node, "locales") if node else None
    if entries is None:
        return LocalesDefinition()
    default, also, zone = (entries.get(key) for key in ("default", "also", "timezone"))
    found = [*(reader.texts(default, "a locale") if default else ("en",))]
    found += reader.texts(also, "a locale") if also else ()
    for locale in found:
        if not _LOCALE.fullmatch(locale):
            reader.fail(
                entries, f"{locale!r} is no locale", example="{default: en, also: [de, fr]}"
            )
    timezone = (reader.text(zone, "a time zone") if zone else None) or "user"
    if timezone != "user":
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reader.fail(
                zone or entries, f"no time zone is called {timezone!r}",
                example="timezone: Europe/Zurich",
            )  # fmt: skip
    return LocalesDefinition(
        default=found[0] if found else "en", also=tuple(found[1:]), timezone=timezone
    )


def read_conversation(reader: NodeReader, node: YamlNode | None) -> ConversationDefinition:
    """Return how conversations begin and end."""
    entries = reader.mapping(node, "conversation") if node else None
    if entries is None:
        return ConversationDefinition()
    idle, greet, window = (entries.get(key) for key in ("idle", "greet", "merge_window"))
    return ConversationDefinition(
        idle_s=reader.duration_s(idle, "idle") if idle else None,
        greet=reader.boolean(greet, "greet") is not False if greet else True,
        merge_window_s=(reader.duration_s(window, "merge_window") or 0.0) if window else 0.0,
    )


def read_knowledge(
    reader: NodeReader, node: YamlNode | None, folder: Path
) -> dict[str, KnowledgeDefinition]:
    """Return the sources that questions are answered from."""
    section = (
        reader.any_mapping(node, "sources by name", "faq: {from: docs/*.md}") if node else None
    )
    found = {}
    for name, inner in section.entries.items() if section else ():
        entries = reader.mapping(inner, "knowledge")
        source = entries.get("from") if entries else None
        if entries is None or source is None:
            reader.fail(inner, "a source says where it comes from", example="from: docs/*.md")
            continue
        patterns = reader.texts(source, "a pattern of files", example="from: docs/*.md")
        _check_files(reader, source, patterns, folder)
        found[name] = _knowledge(reader, name, entries, patterns)
    return found


def _check_files(
    reader: NodeReader, node: YamlNode, patterns: tuple[str, ...], folder: Path
) -> None:
    for pattern in patterns:
        if pattern.startswith("collection:"):
            continue
        try:
            base, inner = located(folder, pattern)
        except ValueError as error:
            reader.fail(node, str(error), example="from: docs/*.md")
            continue
        if not any(base.glob(inner)):
            reader.fail(node, f"no file matches {pattern!r}", remedy="add one, or mend the pattern")


def _knowledge(
    reader: NodeReader, name: str, entries: YamlMapping, patterns: tuple[str, ...]
) -> KnowledgeDefinition:
    answer, cite, support, otherwise = (
        entries.get(key) for key in ("answer", "cite", "min_support", "else")
    )
    return KnowledgeDefinition(
        name=name,
        source=entries.source,
        patterns=patterns,
        answer=(reader.word(answer, "answer", ("grounded", "free")) if answer else None)
        or "grounded",
        cite=reader.boolean(cite, "cite") is not False if cite else True,
        min_support=reader.number(support, "min_support", least=0, most=1) if support else None,
        otherwise=read_texts(reader, otherwise, "the text of 'else'") if otherwise else None,
    )


def read_glossary(reader: NodeReader, node: YamlNode | None) -> dict[str, Texts]:
    """Return the terms that the bot can explain."""
    section = (
        reader.any_mapping(node, "terms and texts", 'half board: "Breakfast and dinner."')
        if node
        else None
    )
    read = {
        term: read_texts(reader, inner, f"the text of {term!r}", names={})
        for term, inner in (section.entries.items() if section else ())
    }
    return {term: texts for term, texts in read.items() if texts}


def read_say(
    reader: NodeReader,
    node: YamlNode | None,
    names: Mapping[str, ValueType],
    slots: Sequence[str],
) -> SayTexts:
    """Return the texts of acts; `slots` are those that a key may name."""
    section = reader.any_mapping(node, "texts by act", "welcome: [Hello!]") if node else None
    if section is None:
        return SayTexts()
    texts: dict[str, Texts] = {}
    known = {**dict.fromkeys(SAY_NAMES, TEXT), **names}
    rephrase, style = section.get("rephrase"), section.get("style")
    for key, inner in section.entries.items():
        if key in {"rephrase", "style"} or not _is_say_key(reader, section, key, slots):
            continue
        read = read_texts(reader, inner, f"the text of {key!r}", names=known)
        if read:
            texts[key] = read
    return SayTexts(
        texts=texts,
        rephrase=(reader.word(rephrase, "rephrase", REPHRASE) if rephrase else None) or "light",
        style=(reader.text(style, "a style") or "") if style else "",
    )


def _is_say_key(reader: NodeReader, section: YamlMapping, key: str, slots: Sequence[str]) -> bool:
    act, _, _name = key.partition(".")
    if key in SAY_KEYS:
        return True
    known: Sequence[str] = (*SAY_KEYS, "rephrase", "style", "ask.SLOT", "reask.SLOT")
    what = "no text is called"
    if act in {"ask", "reask"}:
        known, what = [f"{act}.{slot}" for slot in slots], "no slot has the text"
    elif act == "request":
        known = [f"request.{kind}" for kind in (*PLAIN_NAMES, "choice", "entity", "regex")]
    if key in known:
        return True
    near = nearest_key(key, list(known)) or nearest_key(act, list(known))
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
    reader.problems.add(section.at(key), f"{what} {key!r}; {hint}", text=key)
    return False


def read_behaviour(
    reader: NodeReader,
    node: YamlNode | None,
    names: Mapping[str, ValueType],
    facts: Mapping[str, ValueType],
) -> BehaviourDefinition:
    """Return how the bot behaves between the lines of its tasks."""
    entries = reader.mapping(node, "behaviour") if node else None
    if entries is None:
        return BehaviourDefinition()
    usual = BehaviourDefinition()
    when, to = _handoff(reader, entries, facts)
    depth = _inner(reader, entries, "digression", "max_depth")
    scope = entries.get("out_of_scope")
    outside = reader.mapping(scope, "out_of_scope") if isinstance(scope, YamlMapping) else None
    say = outside.get("say") if outside else scope if scope and not outside else None
    after, then = (outside.get("after"), outside.get("then")) if outside else (None, None)
    never = entries.get("never")
    return BehaviourDefinition(
        correction=_word(reader, entries, "correction", ("silent", "ack", "confirm_if_late"))
        or usual.correction,
        max_depth=(reader.integer(depth, "max_depth", least=1, most=10) if depth else None)
        or usual.max_depth,
        out_of_scope=read_texts(reader, say, "the text of 'say'", names=names) if say else None,
        out_of_scope_after=(reader.integer(after, "after", least=1, most=20) if after else None)
        or usual.out_of_scope_after,
        out_of_scope_then=(
            reader.word(then, "then", ("handoff", "stop", "nothing")) if then else None
        )
        or usual.out_of_scope_then,
        handoff_when=when,
        handoff_to=to,
        chitchat=_word(reader, entries, "chitchat", ("off", "brief", "free")) or usual.chitchat,
        initiative=_word(reader, entries, "initiative", ("system", "mixed", "user"))
        or usual.initiative,
        never=reader.texts(never, "a topic") if never else (),
    )


def _word(reader: NodeReader, entries: YamlMapping, key: str, words: tuple[str, ...]) -> str | None:
    node = entries.get(key)
    return reader.word(node, key, words) if node else None


def _inner(reader: NodeReader, entries: YamlMapping, key: str, inner: str) -> YamlNode | None:
    node = entries.get(key)
    found = reader.mapping(node, key) if node else None
    return found.get(inner) if found else None


def _handoff(
    reader: NodeReader, entries: YamlMapping, facts: Mapping[str, ValueType]
) -> tuple[tuple[HandoffRule, ...], str]:
    node = entries.get("handoff")
    found = reader.mapping(node, "handoff") if node else None
    if found is None:
        return (), ""
    rules = []
    when, to = found.get("when"), found.get("to")
    for item in reader.items(when) if when else ():
        read = reader.expression(item, "when", names={**facts, **HANDOFF_NAMES}, kinds={Kind.BOOL})
        if read:
            rules.append(HandoffRule(condition=read, source=item.source))
    return tuple(rules), (reader.text(to, "a queue") or "") if to else ""
