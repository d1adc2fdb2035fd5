"""From a bot file to a `BotDefinition`: all of it is right, or all that is wrong is told.

Reading goes in passes, since names may be used before they are declared: the YAML and what it
includes, tables and functions, the types of all slots, and then the tasks with their expressions.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dialog.bot.bot_files import BotFiles, read_files
from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence
from dialog.bot.call_reader import Callables
from dialog.bot.carried_slots import CarriedSlots
from dialog.bot.definition import (
    BotDefinition,
    ModelDefinition,
    SlotDefinition,
    TaskDefinition,
)
from dialog.bot.environment import merged, task_names, value_type
from dialog.bot.node_reader import NodeReader, written
from dialog.bot.problems import Problems
from dialog.bot.section_readers import (
    read_behaviour,
    read_conversation,
    read_glossary,
    read_knowledge,
    read_locales,
    read_say,
)
from dialog.bot.slot_reader import SlotReader
from dialog.bot.slot_typing import SlotDraft, SlotTyping, is_carried
from dialog.bot.step_reader import StepReader
from dialog.bot.table_reader import read_tables
from dialog.bot.tables import EntityTable
from dialog.bot.task_reader import TaskReader
from dialog.bot.tool_module import load_tools
from dialog.bot.value_types import ValueType
from dialog.slot_types.base import JsonValue
from dialog.slot_types.entity import EntityType
from tools.base import Tool

_MINIMAL = "tasks:\n  book_table: {about: book a table, slots: {date: date}, call: reserve}"


def load_bot(path: Path | str) -> BotDefinition:
    """Read a bot file, or the `bot.yaml` of a folder.

    Raises:
        BotFileErrors: all that is wrong with it, in file order.
    """
    problems = Problems()
    files = read_files(Path(path), problems)
    bot = _Loader(files, problems).bot()
    problems.raise_if_any()
    return bot


@dataclass(slots=True)
class _Loader:
    files: BotFiles
    problems: Problems
    reader: NodeReader = field(init=False)
    callables: Callables = field(init=False)
    facts: dict[str, ValueType] = field(default_factory=dict)
    drafts: dict[str, dict[str, SlotDraft]] = field(default_factory=dict)

    def bot(self) -> BotDefinition:
        sections, folder = self.files.sections, self.files.folder
        locales = read_locales(NodeReader(problems=self.problems), sections.get("locales"))
        self.reader = NodeReader(problems=self.problems, locales=locales.all)
        name = self._name()
        tools = self._tools()
        tables = read_tables(self.reader, sections.get("tables"), folder, tools)
        self.callables = Callables(tools=tools, tables=tables)
        typing = SlotTyping(reader=self.reader, tables=tables)
        user = self._typed(typing, "user")
        self.facts = {fact: value_type(d.type, tables, many=d.many) for fact, d in user.items()}
        shared = self._typed(typing, "slots")
        typing = SlotTyping(reader=self.reader, tables=tables, shared=shared)
        nodes = self._task_nodes()
        self._draft_all(typing, nodes)
        shared_names = self._names_of(shared)
        tasks = {task: self._task(task, node, list(nodes)) for task, node in nodes.items()}
        everything = merged([shared_names, *(self._names_of(d) for d in self.drafts.values())])
        reader = self._with(everything)
        return BotDefinition(
            name=name,
            folder=str(folder),
            file=self.files.file,
            hash=self._hash(tables),
            source=self.files.root.source,
            version=self._scalar("version"),
            locales=locales,
            conversation=read_conversation(reader, sections.get("conversation")),
            user=self._slots(user, self._with(dict(self.facts))),
            tables=tables,
            knowledge=read_knowledge(reader, sections.get("knowledge"), folder),
            glossary=read_glossary(reader, sections.get("glossary")),
            slots=self._slots(shared, self._with(shared_names)),
            tasks=tasks,
            tools=tools,
            say=read_say(reader, sections.get("say"), everything, _slot_names(shared, self.drafts)),
            behaviour=read_behaviour(reader, sections.get("behaviour"), everything, self.facts),
            model=self._model(),
            tests=self._stored("tests"),
            simulate=self._stored("simulate"),
            dst=self._stored("dst"),
        )

    def _with(self, names: Mapping[str, ValueType]) -> NodeReader:
        return NodeReader(problems=self.problems, locales=self.reader.locales, names=names)

    def _names_of(self, drafts: Mapping[str, SlotDraft]) -> dict[str, ValueType]:
        tables = self.callables.tables
        slots = {n: value_type(d.type, tables, many=d.many) for n, d in drafts.items()}
        return task_names(slots, self.facts)

    def _name(self) -> str:
        node = self.files.sections.get("bot")
        if node is None:
            self.problems.add(
                self.files.root.source, "a bot has a name", example="bot: Corner Table",
                remedy="add the key bot: at the top",
            )  # fmt: skip
            return ""
        return self.reader.text(node, "the bot's name", "bot: Corner Table") or ""

    def _scalar(self, key: str) -> str:
        node = self.files.sections.get(key)
        return (self.reader.text(node, key) or "") if node else ""

    def _model(self) -> ModelDefinition | None:
        node = self.files.sections.get("model")
        entries = self.reader.mapping(node, "model") if node else None
        if entries is None:
            return None
        default, found = ModelDefinition(), entries.entries
        words = {"tracker": ("constrained", "rule"), "examples": ("vectors", "words")}
        read = {
            key: self.reader.word(found[key], key, known)
            for key, known in words.items()
            if key in found
        }
        named = self.reader.text(found["name"], "name") if "name" in found else ""
        return ModelDefinition(
            tracker=read.get("tracker") or default.tracker,
            examples=read.get("examples") or default.examples,
            name=named or "",
        )

    def _stored(self, key: str) -> tuple[JsonValue, ...]:
        """Return a section that others read, as JSON; each item tells its line."""
        found: list[JsonValue] = []
        for node in self.files.stories.get(key, ()):
            if not isinstance(node, YamlSequence):
                self.reader.fail(node, f"{key} is a list", example=f"{key}:\n  - …")
                continue
            for item in node.items:
                plain = self.reader.plain(item)
                is_mapping = isinstance(plain, dict)
                found.append({**plain, "source": str(item.source)} if is_mapping else plain)  # type: ignore[dict-item]
        return tuple(found)

    def _typed(self, typing: SlotTyping, key: str) -> dict[str, SlotDraft]:
        node = self.files.sections.get(key)
        section = (
            self.reader.any_mapping(node, "names and types", f"{key}: {{city: text}}")
            if node
            else None
        )
        found = {}
        for name, inner in section.entries.items() if section else ():
            draft = self._draft(typing, name, section, inner, "") if section else None
            if draft:
                found[name] = draft
        return found

    def _draft(
        self, typing: SlotTyping, name: str, section: YamlMapping, node: YamlNode, task: str
    ) -> SlotDraft | None:
        source = section.at(name)
        if not name.isidentifier() or name in {
            "user",
            "result",
            "true",
            "false",
            "not",
            "and",
            "or",
            "in",
            "today",
            "now",
        }:
            self.problems.add(
                source, f"{name!r} cannot be the name of a slot", text=name,
                remedy="use letters, digits and _, and no word of the expression language",
            )  # fmt: skip
            return None
        return typing.draft(name, source, node, task)

    def _task_nodes(self) -> dict[str, YamlMapping]:
        node = self.files.sections.get("tasks")
        if node is None:
            if "knowledge" not in self.files.sections:
                self.problems.add(
                    self.files.root.source, "a bot has tasks, or knowledge", example=_MINIMAL
                )
            return {}
        section = self.reader.any_mapping(node, "tasks by name", _MINIMAL)
        found = {}
        for name, inner in section.entries.items() if section else ():
            entries = self.reader.mapping(inner, "task")
            if entries is not None:
                found[name] = entries
        return found

    def _draft_all(self, typing: SlotTyping, nodes: Mapping[str, YamlMapping]) -> None:
        """Type all slots: first those with types, then those that take them from another task."""
        sections: dict[str, YamlMapping] = {}
        for task, node in nodes.items():
            inner = node.get("slots")
            section = (
                self.reader.any_mapping(inner, "slots by name", "slots: {date: date}")
                if inner
                else None
            )
            drafts = self.drafts.setdefault(task, {})
            if section:
                sections[task] = section
            for name, slot in section.entries.items() if section else ():
                draft = self._draft(typing, name, section, slot, task) if section else None
                if draft:
                    drafts[name] = draft
            self._add_into(task, node, drafts)
        self._carry(nodes, sections)

    def _add_into(self, task: str, node: YamlMapping, drafts: dict[str, SlotDraft]) -> None:
        """Add the slot of `into:` where the file does not declare it."""
        into, find = node.get("into"), node.get("find")
        if not isinstance(into, YamlScalar) or into.text in drafts:
            return
        table = find.text.partition("(")[0].strip() if isinstance(find, YamlScalar) else ""
        if table in self.callables.tables:
            drafts[into.text] = SlotDraft(
                name=into.text,
                task=task,
                node=YamlScalar(text=f"entity:{table}", source=into.source),
                source=into.source,
                type=EntityType(table=self.callables.tables[table]),
                required=False,
                is_chosen=True,
            )
            return
        self.problems.add(
            into.source, f"the task {task!r} has no slot {into.text!r} for what is chosen",
            text=f"into: {into.text}", remedy="declare it with fill: tool",
            example=f"{into.text}: {{type: entity:hotels, fill: tool}}",
        )  # fmt: skip

    def _carry(self, nodes: Mapping[str, YamlMapping], sections: Mapping[str, YamlMapping]) -> None:
        next_of = {
            task: self.reader.texts(inner, "a task") if (inner := node.get("next")) else ()
            for task, node in nodes.items()
        }
        carried = CarriedSlots(reader=self.reader, drafts=self.drafts, next_of=next_of)
        for task, section in sections.items():
            ordered: dict[str, SlotDraft] = {}
            for name, node in section.entries.items():
                draft = self.drafts[task].get(name)
                if draft is None and is_carried(node):
                    draft = carried.resolve(name, section.at(name), node, task)
                elif (
                    draft and isinstance(node, YamlMapping) and {"from", "same"} & set(node.entries)
                ):
                    draft = carried.with_origin(draft)
                if draft:
                    ordered[name] = draft
            implicit = {n: d for n, d in self.drafts[task].items() if n not in section.entries}
            self.drafts[task].clear()
            self.drafts[task].update({**ordered, **implicit})

    def _task(self, name: str, node: YamlMapping, tasks: list[str]) -> TaskDefinition:
        mentioned = re.findall(r"\bresult\.([^\W\d]\w*)", written(node))
        reader = replace(
            self._with(self._names_of(self.drafts[name])), result_fields=frozenset(mentioned)
        )
        task_reader = TaskReader(
            reader=reader, callables=self.callables, tables=self.callables.tables, tasks=tasks
        )
        section = self.files.sections["tasks"]
        assert isinstance(section, YamlMapping)
        return task_reader.task(name, section.at(name), node, self.drafts[name])

    def _slots(
        self, drafts: Mapping[str, SlotDraft], reader: NodeReader
    ) -> dict[str, SlotDefinition]:
        steps = StepReader(
            reader=reader, callables=self.callables, slots=dict(reader.names), tasks=()
        )
        slot_reader = SlotReader(
            reader=reader, steps=steps, callables=self.callables, tables=self.callables.tables
        )
        return {name: slot_reader.slot(draft) for name, draft in drafts.items()}

    def _tools(self) -> dict[str, Tool]:
        node = self.files.sections.get("tools")
        name = (self.reader.text(node, "a file", "tools: tools.py") if node else None) or "tools.py"
        path = self.files.folder / name
        if not path.is_file():
            if node is not None:
                self.reader.fail(node, f"there is no file {name!r} beside the bot file")
            return {}
        found = load_tools(path, file=name, types=self._raw_types(), problems=self.problems)
        if found is None:
            self.problems.raise_if_any()  # all calls would be unknown, and none of them wrong
        return found or {}

    def _raw_types(self) -> dict[str, str]:
        """Return the types of slots as written, for arguments without annotations."""
        found: dict[str, str] = {}
        sections = [self.files.sections.get(key) for key in ("user", "slots")]
        tasks = self.files.sections.get("tasks")
        sections += [
            task.get("slots") if isinstance(task, YamlMapping) else None
            for task in (tasks.entries.values() if isinstance(tasks, YamlMapping) else ())
        ]
        for section in sections:
            for name, node in section.entries.items() if isinstance(section, YamlMapping) else ():
                text = _raw_type(node)
                if text and text != "same":
                    found[name] = text if found.get(name, text) == text else ""
        return found

    def _hash(self, tables: Mapping[str, EntityTable]) -> str:
        """Return a hash of all that decides what the bot does; tests do not."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.contents.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        for name, table in sorted(tables.items()):
            digest.update(name.encode() + json.dumps(table.rows, sort_keys=True).encode())
        return digest.hexdigest()


def _slot_names(
    shared: Mapping[str, SlotDraft], drafts: Mapping[str, Mapping[str, SlotDraft]]
) -> list[str]:
    return list(dict.fromkeys((*shared, *(name for slots in drafts.values() for name in slots))))


def _raw_type(node: YamlNode) -> str:
    """Return the type that a slot's node says, "" for lists and what cannot be seen here."""
    if isinstance(node, YamlScalar):
        return "" if node.text in {"required", "optional"} else node.text
    if not isinstance(node, YamlMapping) or node.get("many"):
        return ""
    inner = node.get("type")
    return inner.text if isinstance(inner, YamlScalar) else ""
