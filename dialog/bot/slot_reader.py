"""Reading a slot, once its type and the names around it are known."""

from collections.abc import Mapping
from dataclasses import dataclass

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar
from dialog.bot.call_reader import Callables, read_call
from dialog.bot.definition import (
    CallDefinition,
    Confirm,
    Fill,
    Keep,
    SlotDefinition,
    ValidRule,
)
from dialog.bot.environment import value_type
from dialog.bot.expressions import Expression
from dialog.bot.node_reader import NodeReader
from dialog.bot.slot_typing import SlotDraft
from dialog.bot.step_reader import StepReader
from dialog.bot.tables import EntityTable
from dialog.bot.text_reader import read_texts
from dialog.bot.texts import Texts
from dialog.bot.value_types import Kind, ValueType

MAX_TRIES = 10
MAX_COST = 1_000.0
_SIZED = frozenset({Kind.NUMBER, Kind.MONEY, Kind.DURATION})
_DATED = frozenset({Kind.DATE, Kind.TIME, Kind.DATETIME, Kind.DATERANGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReader:
    """Reads the slots of one task, or the shared ones."""

    reader: NodeReader
    steps: StepReader
    callables: Callables
    tables: Mapping[str, EntityTable]

    def slot(self, draft: SlotDraft) -> SlotDefinition:
        """Return the definition of a slot."""
        kind = value_type(draft.type, self.tables)
        if isinstance(draft.node, YamlMapping):
            self.reader.check_keys(draft.node, "slot")
        keys = _Keys(draft)
        names = {**self.reader.names, "value": kind}
        default = self._expression(keys, "default", kind, many=draft.many)
        return SlotDefinition(
            name=draft.name,
            type=draft.type,
            source=draft.source,
            task=draft.task,
            is_shared=draft.is_shared,
            many=draft.many,
            about=self._about(keys),
            examples=self._examples(keys),
            required=self._required(keys, draft, has_default=default is not None),
            when=self._condition(keys, "when"),
            ask=self._texts(keys, "ask"),
            reask=self._texts(keys, "reask"),
            why=self._texts(keys, "why"),
            valid=self._valid(keys, names),
            min=self._bound(keys, "min", kind, _SIZED),
            max=self._bound(keys, "max", kind, _SIZED),
            after=self._bound(keys, "after", kind, _DATED),
            before=self._bound(keys, "before", kind, _DATED),
            default=default,
            confirm=self.reader.choice(n, "confirm", Confirm)
            if (n := keys.get("confirm"))
            else None,
            cost=self._cost(keys),
            ask_first=self._flag(keys, "ask_first"),
            fill=((n := keys.get("fill")) and self.reader.choice(n, "fill", Fill))
            or (Fill.TOOL if draft.is_chosen else Fill.ANYTIME),
            keep=((n := keys.get("keep")) and self.reader.choice(n, "keep", Keep)) or Keep.TASK,
            carried_from=draft.carried_from,
            sensitive=self._flag(keys, "sensitive") or draft.type.name == "card",
            options_from=self._call(keys),
            max_tries=self._max_tries(keys),
            on_fail=self.steps.reaction_of(keys.own, "on_fail") if keys.own else None,
        )

    def _cost(self, keys: "_Keys") -> float | None:
        node = keys.get("cost")
        return self.reader.number(node, "cost", least=0, most=MAX_COST) if node else None

    def _about(self, keys: "_Keys") -> str:
        node = keys.get("about")
        return (self.reader.text(node, "what it is about") or "") if node else ""

    def _examples(self, keys: "_Keys") -> tuple[str, ...]:
        node = keys.get("examples")
        return self.reader.texts(node, "an example") if node else ()

    def _required(self, keys: "_Keys", draft: SlotDraft, *, has_default: bool) -> bool:
        node = keys.get("required")
        if node is not None:
            return self.reader.boolean(node, "required") is not False
        return not has_default if draft.required is None else draft.required

    def _condition(self, keys: "_Keys", key: str) -> Expression | None:
        node = keys.get(key)
        return self.reader.condition(node, key) if node else None

    def _texts(self, keys: "_Keys", key: str) -> Texts | None:
        node = keys.get(key)
        return read_texts(self.reader, node, f"the text of {key!r}") if node else None

    def _flag(self, keys: "_Keys", key: str) -> bool:
        node = keys.get(key)
        return bool(self.reader.boolean(node, key)) if node else False

    def _max_tries(self, keys: "_Keys") -> int:
        node = keys.get("max_tries")
        read = self.reader.integer(node, "max_tries", least=1, most=MAX_TRIES) if node else None
        return read or 3

    def _call(self, keys: "_Keys") -> CallDefinition | None:
        node = keys.get("options_from")
        return read_call(self.reader, node, self.callables) if node else None

    def _valid(self, keys: "_Keys", names: Mapping[str, ValueType]) -> tuple[ValidRule, ...]:
        node = keys.get("valid")
        if node is None:
            return ()
        rules = []
        for item in self.reader.items(node):
            rule = self._rule(item, names)
            if rule is not None:
                rules.append(rule)
        return tuple(rules)

    def _rule(self, item: YamlNode, names: Mapping[str, ValueType]) -> ValidRule | None:
        reader = self.reader
        condition, otherwise = item, None
        if not isinstance(item, YamlScalar):
            entries = reader.mapping(item, "valid")
            found = entries.get("if") if entries else None
            if entries is None or found is None:
                reader.fail(item, "a rule has an if", example="{if: nights < 30, else: Too long.}")
                return None
            condition = found
            text = entries.get("else")
            otherwise = (
                read_texts(reader, text, "the text of 'else'", names=names) if text else None
            )
        read = reader.expression(condition, "valid", names=names, kinds={Kind.BOOL})
        if read is None:
            return None
        return ValidRule(condition=read, otherwise=otherwise, source=item.source)

    def _bound(
        self, keys: "_Keys", key: str, kind: ValueType, kinds: frozenset[Kind]
    ) -> Expression | None:
        node = keys.get(key)
        if node is None:
            return None
        if kind.kind not in kinds:
            pair = "after and before" if kinds is _SIZED else "min and max"
            other = pair if kind.kind in _SIZED | _DATED else "valid"
            self.reader.fail(node, f"{key!r} does not fit a {kind}", remedy=f"use {other}")
            return None
        return self._expression(keys, key, kind)

    def _expression(
        self, keys: "_Keys", key: str, kind: ValueType, *, many: bool = False
    ) -> Expression | None:
        """Return a value of the slot's own type: a bare choice is read as its key."""
        node = keys.get(key)
        if node is None:
            return None
        wanted = Kind.DATE if kind.kind is Kind.DATERANGE and not many else kind.kind
        if isinstance(node, YamlScalar):
            plain = self._as_key(node, kind)
            if plain is not None:
                return plain
        if kind.kind is Kind.ENTITY and isinstance(node, YamlScalar):
            self.reader.fail(node, f"the table has no row {node.text!r}")
            return None
        return self.reader.expression(node, key, kinds={wanted, *({Kind.LIST} if many else ())})

    def _as_key(self, node: YamlScalar, kind: ValueType) -> Expression | None:
        """Return a text, a choice or a key that stands without quotes of the language."""
        is_key = node.text in kind.choices or (kind.table is not None and node.text in kind.table)
        is_text = kind.kind is Kind.TEXT and not kind.choices and node.text not in self.reader.names
        if not is_key and not is_text:
            return None
        text = node.text.replace("'", "\u2019")
        return self.reader.expression_of(f"'{text}'", node.source, {})


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of a slot; what it does not say itself, its base says."""

    draft: SlotDraft

    @property
    def own(self) -> YamlMapping | None:
        node = self.draft.node
        return node if isinstance(node, YamlMapping) else self.draft.base

    def get(self, key: str) -> YamlNode | None:
        for node in (self.draft.node, self.draft.base):
            if isinstance(node, YamlMapping) and key in node.entries:
                return node.entries[key]
        return None
