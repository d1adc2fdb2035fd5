"""Reading a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialog.bot.bot_yaml import YamlMapping, YamlNode
from dialog.bot.call_reader import Callables, read_call, read_find
from dialog.bot.definition import (
    CallDefinition,
    Confirm,
    OfferDefinition,
    Order,
    Resume,
    SlotDefinition,
    StepDefinition,
    TaskDefinition,
)
from dialog.bot.environment import columns_as_names
from dialog.bot.expressions import Expression
from dialog.bot.node_reader import NodeReader
from dialog.bot.slot_reader import SlotReader
from dialog.bot.slot_typing import SlotDraft
from dialog.bot.source import SourceLine
from dialog.bot.step_reader import StepReader
from dialog.bot.tables import EntityTable
from dialog.bot.text_reader import read_template, read_texts
from dialog.bot.texts import Texts
from dialog.slot_types.base import SlotType

MAX_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReader:
    """Reads one task; `reader.names` are its names."""

    reader: NodeReader
    callables: Callables
    tables: Mapping[str, EntityTable]
    tasks: Sequence[str]

    def task(
        self, name: str, source: SourceLine, node: YamlMapping, drafts: Mapping[str, SlotDraft]
    ) -> TaskDefinition:
        """Return the definition of a task."""
        reader = self.reader
        steps = StepReader(
            reader=reader,
            callables=self.callables,
            slots={slot: reader.names[slot] for slot in drafts},
            tasks=self.tasks,
        )
        slot_reader = SlotReader(
            reader=reader, steps=steps, callables=self.callables, tables=self.tables
        )
        slots = {slot: slot_reader.slot(draft) for slot, draft in drafts.items()}
        needs, needs_otherwise = self._needs(node)
        find = read_find(reader, n, self.callables) if (n := node.get("find")) else None
        about = node.get("about")
        return TaskDefinition(
            name=name,
            source=source,
            about=(reader.text(about, "what the task is about") or "") if about else "",
            examples=self._examples(node, "examples"),
            not_examples=self._examples(node, "not_examples"),
            needs=needs,
            needs_otherwise=needs_otherwise,
            slots=slots,
            order=self._order(node),
            find=find,
            find_is_table=bool(find and find.function in self.tables),
            offer=self._offer(node, find, slots, steps),
            into=self._into(node),
            confirm=((n := node.get("confirm")) and reader.choice(n, "confirm", Confirm))
            or Confirm.AUTO,
            check=steps.checks(n) if (n := node.get("check")) else (),
            do=self._do(node, steps),
            done=self._texts(node, "done"),
            failed=steps.reaction_of(node, "failed"),
            cancelled=self._texts(node, "cancelled"),
            next=self._next(node, steps),
            resume=((n := node.get("resume")) and reader.choice(n, "resume", Resume)) or Resume.ASK,
            on_cancel=steps.steps(n) if (n := node.get("on_cancel")) else (),
        )

    def _texts(self, node: YamlMapping, key: str) -> Texts | None:
        inner = node.get(key)
        return read_texts(self.reader, inner, f"the text of {key!r}") if inner else None

    def _examples(self, node: YamlMapping, key: str) -> tuple[str, ...]:
        """Return example utterances; a `{slot}` in one must be a slot of the task."""
        inner = node.get(key)
        if inner is None:
            return ()
        found = self.reader.texts(inner, "an example", example=f"{key}: [I need a table]")
        for text in found:
            read_template(self.reader, text, inner.source, self.reader.names)
        return found

    def _needs(self, node: YamlMapping) -> tuple[Expression | None, Texts | None]:
        inner = node.get("needs")
        if inner is None:
            return None, None
        if not isinstance(inner, YamlMapping):
            return self.reader.condition(inner, "needs"), None
        self.reader.check_keys(inner, "needs")
        condition, otherwise = inner.get("if"), inner.get("else")
        if condition is None:
            self.reader.fail(inner, "needs has an if", example="{if: logged_in, else: Log in.}")
            return None, None
        return self.reader.condition(condition, "needs"), (
            read_texts(self.reader, otherwise, "the text of 'else'") if otherwise else None
        )

    def _order(self, node: YamlMapping) -> Order:
        inner = node.get("order")
        return (self.reader.choice(inner, "order", Order) if inner else None) or Order.FIXED

    def _into(self, node: YamlMapping) -> str:
        inner = node.get("into")
        if inner is None:
            return ""
        return self.reader.text(inner, "a slot", example="into: hotel") or ""

    def _next(self, node: YamlMapping, steps: StepReader) -> tuple[str, ...]:
        inner = node.get("next")
        if inner is None:
            return ()
        names = [steps.task(item) for item in self.reader.items(inner)]
        return tuple(name for name in names if name)

    def _do(self, node: YamlMapping, steps: StepReader) -> tuple[StepDefinition, ...]:
        call, do = node.get("call"), node.get("do")
        if call is not None and do is not None:
            self.reader.problems.add(
                node.at("do"), f"a task has a call or a do; call stands at {node.at('call')}",
                text="do", example="do: [{call: reserve}, {call: notify}]",
            )  # fmt: skip
        if do is not None:
            return steps.steps(do)
        found: CallDefinition | None = None
        if call is not None:
            found = read_call(self.reader, call, self.callables)
        return (StepDefinition(source=call.source, call=found),) if call and found else ()

    def _offer(
        self,
        node: YamlMapping,
        find: CallDefinition | None,
        slots: Mapping[str, SlotDefinition],
        steps: StepReader,
    ) -> OfferDefinition | None:
        inner = node.get("offer")
        if inner is None:
            return None
        entries = self.reader.mapping(inner, "offer")
        if entries is None:
            return None
        if "find" not in node.entries:
            self.reader.problems.add(
                node.at("offer"), "an offer shows what a find found, and there is no 'find'",
                text="offer", example="find: hotels(city, budget)",
            )  # fmt: skip
        return OfferDefinition(
            source=inner.source,
            show=self._show(entries),
            text=self._offer_text(entries, self._table(node, find, slots)),
            relax=steps.slot_names(n) if (n := entries.get("relax")) else (),
        )

    def _table(
        self,
        node: YamlMapping,
        find: CallDefinition | None,
        slots: Mapping[str, SlotDefinition],
    ) -> EntityTable | None:
        if find and find.function in self.tables:
            return self.tables[find.function]
        into = slots.get(self._into(node))
        name = _table_of(into.type) if into else ""
        return self.tables.get(name)

    def _offer_text(self, entries: YamlMapping, table: EntityTable | None) -> Texts | None:
        text = entries.get("as")
        if text is None:
            return None
        columns = columns_as_names(table) if table else {}
        names = {**self.reader.names, **columns}
        return read_texts(self.reader, text, "the text of an offer", names=names)

    def _show(self, entries: YamlMapping) -> int:
        show: YamlNode | None = entries.get("show")
        return (self.reader.integer(show, "show", least=1, most=MAX_SHOWN) if show else None) or 3


def _table_of(slot_type: SlotType) -> str:
    base, _, table = slot_type.name.partition(":")
    return table if base == "entity" else ""
