"""Which type each slot has: the first pass over the slots, before any expression is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence
from dialog.bot.definition import CarriedFrom
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.source import SourceLine
from dialog.bot.tables import EntityTable
from dialog.slot_types.base import SlotType
from dialog.slot_types.catalogue import PLAIN_NAMES, plain_type
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.currencies import CURRENCY_CODES
from dialog.slot_types.entity import EntityType
from dialog.slot_types.money import MoneyType
from dialog.slot_types.pattern import PatternError, PatternType

MAX_VALUES = 2_000
_WITH_KEYS = ("choice", "entity", "regex")
_NAMES = (*PLAIN_NAMES, "choice", "entity:TABLE", "regex")
_OF_TYPE = {"values": "choice", "synonyms": "choice", "pattern": "regex", "currency": "money"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDraft:
    """A slot whose type is known and whose other keys are not read yet.

    `base` holds the node of the slot it is the same as, shared or of another task.
    """

    name: str
    task: str
    node: YamlNode
    source: SourceLine
    type: SlotType
    many: bool = False
    required: bool | None = None  # of the short form `required` or `optional`
    is_shared: bool = False
    is_chosen: bool = False  # the slot of `into:` that the file does not declare
    carried_from: CarriedFrom | None = None
    base: YamlMapping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTyping:
    """Finds the types of slots; `shared` are the drafts of the top section `slots`."""

    reader: NodeReader
    tables: Mapping[str, EntityTable] = field(default_factory=dict)
    shared: Mapping[str, SlotDraft] = field(default_factory=dict)

    def draft(self, name: str, source: SourceLine, node: YamlNode, task: str) -> SlotDraft | None:
        """Return the draft of a slot; None if it is carried over (later) or wrong (noted)."""
        if isinstance(node, YamlScalar) and node.text in {"required", "optional"}:
            return self._shared(name, source, node, task, node.text == "required")
        if is_carried(node):
            return None
        if isinstance(node, YamlMapping) and "type" not in node.entries:
            if name in self.shared:
                return self._shared(name, source, node, task, None)
            self.reader.problems.add(
                source, f"the slot {name!r} has no type", text=name, example="type: date",
                remedy=f"add a type, one of {', '.join(_NAMES)}",
            )  # fmt: skip
            return None
        kind = self._type(node, name)
        if kind is None:
            return None
        return SlotDraft(
            name=name, task=task, node=node, source=source, type=kind, many=self._many(node)
        )

    def _shared(
        self, name: str, source: SourceLine, node: YamlNode, task: str, required: bool | None
    ) -> SlotDraft | None:
        draft = self.shared.get(name)
        if draft is None:
            near = nearest_key(name, list(self.shared))
            hint = f"; did you mean {near!r}?" if near else ""
            self.reader.problems.add(
                source, f"the section slots: has no {name!r}{hint}", text=name,
                remedy="declare it there, or give it a type here", example=f"{name}: date",
            )  # fmt: skip
            return None
        base = draft.node if isinstance(draft.node, YamlMapping) else None
        return SlotDraft(
            name=name, task=task, node=node, source=source, type=draft.type, many=draft.many,
            required=required, is_shared=True, base=base,
        )  # fmt: skip

    def _many(self, node: YamlNode) -> bool:
        many = node.get("many") if isinstance(node, YamlMapping) else None
        return bool(self.reader.boolean(many, "many")) if many else False

    def _type(self, node: YamlNode, name: str) -> SlotType | None:
        reader = self.reader
        if isinstance(node, YamlSequence):
            return self._choice(node, node)
        entries = node if isinstance(node, YamlMapping) else None
        inner = entries.get("type") if entries else node
        assert inner is not None
        if isinstance(inner, YamlMapping):
            word, table = next(iter(inner.entries.items()), ("entity", None))
            what = table.text if isinstance(table, YamlScalar) else "TABLE"
            reader.fail(
                inner, "a type is one word", example="type: entity:hotels",
                remedy=f"write {word}:{what} without a blank behind the colon",
            )  # fmt: skip
            return None
        if isinstance(inner, YamlSequence):
            return self._choice(inner, entries or inner)
        text = inner.text.strip()
        if entries:
            for key, kind in _OF_TYPE.items():
                if key in entries.entries and text.partition(":")[0] != kind:
                    reader.problems.add(
                        entries.at(key),
                        f"{key!r} belongs to the type {kind}, not to {text}",
                        text=key,
                    )
        return self._of_name(inner, text, entries, name)

    def _of_name(
        self, node: YamlScalar, text: str, entries: YamlMapping | None, name: str
    ) -> SlotType | None:
        base, _, argument = text.partition(":")
        match base:
            case "entity":
                return self._entity(node, argument.strip())
            case "choice":
                return self._choice(entries.get("values") if entries else None, entries or node)
            case "regex":
                return self._pattern(entries, node)
            case "money":
                return self._money(entries)
        plain = plain_type(text)
        if plain is None:
            near = nearest_key(text, [*PLAIN_NAMES, "choice", "regex"])
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(_NAMES)}"
            remedy = ""
            if text.startswith("list"):
                remedy = "a slot with many values has many: true"
            self.reader.fail(
                node, f"no type is called {text!r}; {hint}", example=f"{name}: date", remedy=remedy
            )
        return plain

    def _entity(self, node: YamlScalar, table: str) -> SlotType | None:
        if table in self.tables:
            return EntityType(table=self.tables[table])
        near = nearest_key(table, list(self.tables))
        known = ", ".join(self.tables) or "none"
        hint = f"did you mean {near!r}?" if near else f"there are {known}"
        self.reader.fail(
            node, f"no table is called {table!r}; {hint}",
            example="tables:\n      hotels: {from: data/hotels.csv, key: id, show: name}",
        )  # fmt: skip
        return None

    def _choice(self, values: YamlNode | None, owner: YamlNode) -> SlotType | None:
        reader = self.reader
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        if isinstance(values, YamlMapping):
            for key, inner in values.entries.items():
                found[key] = self._synonyms(inner)
        elif values is not None:
            found = {key: {} for key in reader.texts(values, "a value", "values: [parking, wifi]")}
        if isinstance(owner, YamlMapping) and isinstance(
            more := owner.get("synonyms"), YamlMapping
        ):
            for key, inner in more.entries.items():
                if key not in found:
                    near = nearest_key(key, list(found))
                    hint = f"; did you mean {near!r}?" if near else ""
                    reader.problems.add(more.at(key), f"{key!r} is none of the values{hint}")
                    continue
                for locale, words in self._synonyms(inner).items():
                    found[key][locale] = (*found[key].get(locale, ()), *words)
        if not 0 < len(found) <= MAX_VALUES:
            reader.fail(
                owner, f"a choice has 1 to {MAX_VALUES} values",
                example="{type: choice, values: [parking, wifi, breakfast]}",
            )  # fmt: skip
            return None
        return ChoiceType(values=found)

    def _synonyms(self, node: YamlNode) -> dict[str, tuple[str, ...]]:
        """Return the words of a value by locale; those without one count in all ("")."""
        if isinstance(node, YamlMapping):
            return {
                locale: self.reader.texts(inner, "a synonym")
                for locale, inner in node.entries.items()
            }
        words = self.reader.texts(node, "a synonym")
        return {"": words} if words else {}

    def _pattern(self, entries: YamlMapping | None, node: YamlNode) -> SlotType | None:
        pattern = entries.get("pattern") if entries else None
        examples = entries.get("examples") if entries else None
        if pattern is None or examples is None:
            self.reader.fail(
                entries or node, "a regex has a pattern and examples",
                example="{type: regex, pattern: '[A-Z]{2}[0-9]{4}', examples: [AB1234]}",
                remedy="the first example is shown when the question is asked",
            )  # fmt: skip
            return None
        text = self.reader.text(pattern, "a pattern")
        shown = self.reader.texts(examples, "an example")
        if text is None or not shown:
            return None
        try:
            kind = PatternType(pattern=text, examples=shown)
        except PatternError as error:
            self.reader.fail(pattern, str(error))
            return None
        for example in shown:
            if not kind.is_match(example):
                self.reader.fail(examples, f"the example {example!r} does not match the pattern")
        return kind

    def _money(self, entries: YamlMapping | None) -> SlotType | None:
        node = entries.get("currency") if entries else None
        if node is None:
            return MoneyType()
        currency = self.reader.word(node, "currency", sorted(CURRENCY_CODES))
        return MoneyType(currency=currency) if currency else None


def is_carried(node: YamlNode) -> bool:
    """Return whether a slot takes its type from another task."""
    if isinstance(node, YamlScalar):
        return node.text == "same"
    return (
        isinstance(node, YamlMapping)
        and "type" not in node.entries
        and bool({"same", "from"} & set(node.entries))
    )
