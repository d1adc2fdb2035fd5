"""`same` and `from`: the slots that take type and value from another task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar
from dialog.bot.definition import CarriedFrom
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.slot_typing import SlotDraft
from dialog.bot.source import SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedSlots:
    """Resolves carried slots; `drafts` by task, `next_of` the tasks that a task leads to."""

    reader: NodeReader
    drafts: Mapping[str, dict[str, SlotDraft]]
    next_of: Mapping[str, tuple[str, ...]]

    def resolve(self, name: str, source: SourceLine, node: YamlNode, task: str) -> SlotDraft | None:
        """Return the draft of a slot that is `same` as another's or comes `from` one."""
        found = self._origin(name, source, node, task)
        if found is None:
            return None
        base = found.node if isinstance(found.node, YamlMapping) else found.base
        return replace(
            found, task=task, name=name, node=node, source=source, required=None, base=base,
            carried_from=CarriedFrom(task=found.task, slot=found.name, source=source),
        )  # fmt: skip

    def with_origin(self, draft: SlotDraft) -> SlotDraft:
        """Return a draft that has a type of its own and a `from` as well."""
        found = self._origin(draft.name, draft.source, draft.node, draft.task)
        if found is None:
            return draft
        if found.type.name != draft.type.name:
            self.reader.problems.add(
                draft.source,
                f"{draft.name} is {draft.type.name}, and {found.task}.{found.name} is"
                f" {found.type.name}",
                remedy="give both the same type",
            )
            return draft
        return replace(
            draft, carried_from=CarriedFrom(task=found.task, slot=found.name, source=draft.source)
        )

    def _origin(self, name: str, source: SourceLine, node: YamlNode, task: str) -> SlotDraft | None:
        written = self._written(node)
        if written is None:
            return None
        other, _, slot = written.partition(".")
        slot = slot or name
        if other:
            return self._named(other, slot, node)
        candidates = [t for t, slots in self.drafts.items() if t != task and slot in slots]
        before = [t for t in candidates if task in self.next_of.get(t, ())]
        chosen = before or candidates
        own = [t for t in chosen if self.drafts[t][slot].carried_from is None]
        if len(own or chosen) == 1:
            return self.drafts[(own or chosen)[0]][slot]
        known = ", ".join(f"{t}.{slot}" for t in chosen)
        self.reader.problems.add(
            source,
            f"{name!r} is the same as which? {known}"
            if chosen
            else f"no other task has a slot {slot!r} that it could be the same as",
            text=f"{name}: same",
            example=f"{name}: {{same: {chosen[0] if chosen else 'find_hotel'}.{slot}}}",
        )
        return None

    def _written(self, node: YamlNode) -> str | None:
        if isinstance(node, YamlScalar):
            return ""
        assert isinstance(node, YamlMapping)
        inner = node.get("same") or node.get("from")
        if inner is None:
            return ""
        text = self.reader.text(inner, "a task, or a slot of a task", example="from: find_hotel")
        return "" if text == "true" else text

    def _named(self, task: str, slot: str, node: YamlNode) -> SlotDraft | None:
        if task not in self.drafts:
            near = nearest_key(task, list(self.drafts))
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(self.drafts)}"
            self.reader.fail(node, f"no task is called {task!r}; {hint}")
            return None
        slots = self.drafts[task]
        if slot not in slots:
            near = nearest_key(slot, list(slots))
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(slots) or 'none'}"
            self.reader.fail(
                node, f"the task {task!r} has no slot {slot!r}; {hint}",
                example=f"from: {task}.{near or slot}",
            )  # fmt: skip
            return None
        return slots[slot]
