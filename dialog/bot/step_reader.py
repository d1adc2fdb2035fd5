"""Reading what a task does: checks, steps, and what follows when they fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialog.bot.bot_yaml import YamlMapping, YamlNode, YamlScalar
from dialog.bot.call_reader import Callables, read_call
from dialog.bot.definition import CheckDefinition, ReactionDefinition, StepDefinition
from dialog.bot.expressions import Expression
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.text_reader import read_texts
from dialog.bot.texts import Texts
from dialog.bot.value_types import ValueType

MAX_RETRIES = 5
MAX_DEPTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReader:
    """Reads the steps of one task; `slots` and `tasks` are the names that may be referred to."""

    reader: NodeReader
    callables: Callables
    slots: Mapping[str, ValueType]
    tasks: Sequence[str]

    def steps(self, node: YamlNode, depth: int = 0) -> tuple[StepDefinition, ...]:
        """Return a list of steps; one step is a list of one."""
        if depth > MAX_DEPTH:
            self.reader.fail(node, f"more than {MAX_DEPTH} questions inside of each other")
            return ()
        read = [self.step(item, depth) for item in self.reader.items(node)]
        return tuple(step for step in read if step is not None)

    def step(self, node: YamlNode, depth: int = 0) -> StepDefinition | None:
        """Return one step."""
        reader = self.reader
        if isinstance(node, YamlScalar):
            reader.fail(node, "a step says what is done", example=f"do: [{{call: {node.text}}}]")
            return None
        entries = reader.mapping(node, "step")
        if entries is None:
            return None
        self._check_parts(entries)
        call = entries.get("call")
        ask, retry = entries.get("ask"), entries.get("retry")
        yes, no = entries.get("yes"), entries.get("no")
        start = entries.get("start")
        return StepDefinition(
            source=node.source,
            condition=self._condition(entries),
            say=self._texts(entries, "say"),
            ask=read_texts(reader, ask, "a question") if ask else None,
            yes=self.steps(yes, depth + 1) if yes else (),
            no=self.steps(no, depth + 1) if no else (),
            set=self._set(entries),
            call=read_call(reader, call, self.callables) if call else None,
            retry=(reader.integer(retry, "retry", least=0, most=MAX_RETRIES) or 0) if retry else 0,
            failed=self.reaction_of(entries, "failed"),
            start=self.task(start) if start else None,
            handoff=self._handoff(entries),
            stop=self._flag(entries, "stop"),
        )

    def _check_parts(self, entries: YamlMapping) -> None:
        keys = set(entries.entries)
        for branch in ("yes", "no"):
            if branch in keys and "ask" not in keys:
                self.reader.problems.add(
                    entries.at(branch), f"{branch!r} answers a question, and there is no 'ask'",
                    text=branch, example="{ask: Would you like it?, yes: {call: upgrade}}",
                )  # fmt: skip
        for key in ("retry", "failed"):
            if key in keys and "call" not in keys:
                self.reader.problems.add(
                    entries.at(key), f"{key!r} is about a call, and there is no 'call'",
                    text=key, example="{call: reserve, retry: 1}",
                )  # fmt: skip
        if not keys - {"if"}:
            self.reader.fail(entries, "this step does nothing", example="{call: reserve}")

    def checks(self, node: YamlNode) -> tuple[CheckDefinition, ...]:
        """Return the checks of a task."""
        read = [self._check(item) for item in self.reader.items(node)]
        return tuple(check for check in read if check is not None)

    def _check(self, node: YamlNode) -> CheckDefinition | None:
        reader = self.reader
        if isinstance(node, YamlScalar):
            condition = reader.condition(node, "check")
            return CheckDefinition(source=node.source, condition=condition) if condition else None
        entries = reader.mapping(node, "check")
        if entries is None:
            return None
        call = entries.get("call")
        if (call is None) == ("if" not in entries.entries):
            reader.fail(
                entries, "a check has a call or an if, one of the two",
                example='{call: "has_room(hotel)", else: {say: "We are full.", reask: hotel}}',
            )  # fmt: skip
            return None
        return CheckDefinition(
            source=node.source,
            call=read_call(reader, call, self.callables) if call else None,
            condition=self._condition(entries),
            otherwise=self.reaction_of(entries, "else"),
        )

    def reaction_of(self, entries: YamlMapping, key: str) -> ReactionDefinition | None:
        """Return what follows a failure, if the key is there."""
        node = entries.get(key)
        if node is None:
            return None
        reader = self.reader
        if not isinstance(node, YamlMapping) or _is_text(node):
            say = read_texts(reader, node, f"the text of {key!r}")
            return ReactionDefinition(source=node.source, say=say)
        reader.check_keys(node, "reaction")
        reask, start = node.get("reask"), node.get("start")
        return ReactionDefinition(
            source=node.source,
            say=self._texts(node, "say"),
            reask=self.slot_names(reask) if reask else (),
            handoff=self._handoff(node),
            stop=self._flag(node, "stop"),
            start=self.task(start) if start else None,
        )

    def slot_names(self, node: YamlNode) -> tuple[str, ...]:
        """Return names of slots of the task."""
        names = self.reader.texts(node, "the name of a slot")
        for name in names:
            if name not in self.slots:
                self._unknown(node, "the task has no slot", name, list(self.slots))
        return tuple(name for name in names if name in self.slots)

    def task(self, node: YamlNode) -> str | None:
        """Return the name of a task."""
        name = self.reader.text(node, "the name of a task")
        if name is None or name in self.tasks:
            return name
        self._unknown(node, "no task is called", name, self.tasks)
        return None

    def _unknown(self, node: YamlNode, what: str, name: str, known: Sequence[str]) -> None:
        near = nearest_key(name, list(known))
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}"
        self.reader.fail(node, f"{what} {name!r}; {hint}")

    def _condition(self, entries: YamlMapping) -> Expression | None:
        node = entries.get("if")
        return self.reader.condition(node, "if") if node else None

    def _texts(self, entries: YamlMapping, key: str) -> Texts | None:
        node = entries.get(key)
        return read_texts(self.reader, node, f"the text of {key!r}") if node else None

    def _set(self, entries: YamlMapping) -> tuple[tuple[str, Expression], ...]:
        node = entries.get("set")
        if node is None:
            return ()
        mapping = self.reader.any_mapping(node, "slots and their values", "set: {hold: result.id}")
        found = []
        for name, value in mapping.entries.items() if mapping else ():
            if name not in self.slots and mapping:
                self._unknown(mapping.keys[name], "the task has no slot", name, list(self.slots))
                continue
            expression = self.reader.expression(value, "set")
            if expression:
                found.append((name, expression))
        return tuple(found)

    def _handoff(self, entries: YamlMapping) -> str | None:
        node = entries.get("handoff")
        if node is None:
            return None
        queue = self.reader.text(node, "the queue that takes over", example="handoff: bookings")
        return "" if queue == "true" else queue

    def _flag(self, entries: YamlMapping, key: str) -> bool:
        node = entries.get(key)
        return bool(self.reader.boolean(node, key)) if node else False


def _is_text(node: YamlMapping) -> bool:
    """Return whether a mapping is a text by locale or with buttons."""
    keys = set(node.entries)
    return bool(keys) and (keys <= {"text", "buttons"} or all(len(key) == 2 for key in keys))
