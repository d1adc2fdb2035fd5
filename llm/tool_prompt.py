"""Tools told to a model, its calls held to their form, and read back.

    functions, told by the template or as text → grammar of the calls → the answer's calls and text

How a call is written is a matter of the model's family (`llm.tool_forms`). The form is a grammar,
so a call that is begun always names one of the functions and always parses. Knows neither
templates nor tokens.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from llm.chat import Message, ToolCall, ToolCallDelta, ToolSpec
from llm.decoding.grammar_spec import JsonSchema, StructuralTags, Tag
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN

MAX_TOOLS = 128
_MAX_HEAD_CHARS = 400
# A call that is begun outside of its tags: nobody would read it, and the user would see it.
_SPACE = r"[\p{White_Space}\x{1c}-\x{1f}]*"  # all that Python takes for `\s`
_BARE_CALL = rf'\{{{_SPACE}"name"{_SPACE}:'
_INSTRUCTION = (
    "You can call functions. They are listed below, one a line, as JSON with the schema of their"
    " arguments. To call one, write\n"
    '<tool_call>{"name":NAME,"arguments":ARGUMENTS}</tool_call>\n'
    "and nothing behind it but further calls. What a function gives back comes in a later message"
    " between <tool_response> and </tool_response>."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The functions that an answer may call, and whether it must.

    `demand` is "auto" (text, calls, or both), "required" (calls alone) or "named": exactly one call
    of the one function in `tools`. `form` is that of the model's family.
    """

    tools: tuple[ToolSpec, ...]
    demand: Literal["auto", "required", "named"] = "auto"
    is_parallel: bool = True
    form: CallForm = OWN

    def __post_init__(self) -> None:
        if not 1 <= len(self.tools) <= MAX_TOOLS:
            raise ValueError(f"1 to {MAX_TOOLS} functions are taken, got {len(self.tools)}")
        if self.demand not in ("auto", "required", "named"):
            raise ValueError(f"demand must be auto, required or named, got {self.demand!r}")
        names = [tool.name for tool in self.tools]
        if len(set(names)) < len(names):
            raise ValueError(f"two functions have the same name; rename one of {sorted(names)}")

    def grammar(self, *, max_whitespace: int = 0) -> StructuralTags:
        """Return the form of an answer that calls these functions.

        What is said beside the calls holds no call without its tags: no object that begins with
        a "name".
        """
        is_one = self.demand == "named" or not self.is_parallel
        return StructuralTags(
            tags=tuple(
                Tag(
                    trigger=self.form.opening,
                    begin=self.form.begin(tool.name),
                    content=JsonSchema(schema=tool.parameters, max_whitespace=max_whitespace),
                    end=self.form.closing,
                )
                for tool in self.tools
            ),
            min_tags=0 if self.demand == "auto" else 1,
            max_tags=1 if is_one else self.form.max_calls,
            text=self.demand == "auto",
            text_without=_BARE_CALL if self.demand == "auto" else "",
        )


def with_tools(messages: Sequence[Message], use: ToolUse | None) -> tuple[Message, ...]:
    """Return a chat as the model's template takes it, with the functions that may be called.

    A template that knows tools gets them with the last message. For all others the chat says the
    same without tools: calls and results are text, and the functions join the first system message,
    which is made where there is none. Results of one round become one message of the user's, since
    many templates want the roles to alternate.
    """
    if use is not None and use.form.is_native:
        *before, last = messages
        return (*before, replace(last, tools=use.tools))  # the last is in every window
    told: list[Message] = []
    answers_before = False
    for message in messages:
        if message.role == "tool":
            text = f"<tool_response>\n{message.content}\n</tool_response>"
            if answers_before:
                text = f"{told.pop().content}\n{text}"
            told.append(Message(role="user", content=text))
        elif message.tool_calls:
            calls = "".join(_call_text(call) for call in message.tool_calls)
            told.append(Message(role=message.role, content=message.content + calls))
        else:
            told.append(message)
        answers_before = message.role == "tool"
    return (*_introduced(told, use),)


def _introduced(messages: list[Message], use: ToolUse | None) -> list[Message]:
    if use is None:
        return messages
    text = "\n".join((_INSTRUCTION, *(_tool_text(tool) for tool in use.tools)))
    if messages and messages[0].role == "system":
        first, *others = messages
        return [replace(first, content=f"{first.content}\n\n{text}"), *others]
    return [Message(role="system", content=text), *messages]


def _tool_text(tool: ToolSpec) -> str:
    parts = [f'"name":{_quoted(tool.name)}']
    if tool.description:
        parts.append(f'"description":{_quoted(tool.description)}')
    parts.append(f'"parameters":{tool.parameters}')
    return "{" + ",".join(parts) + "}"


def _call_text(call: ToolCall) -> str:
    return f"{OWN.begin(call.name)}{call.arguments}{OWN.closing}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def call_salt(messages: Sequence[Message]) -> str:
    """Return what makes the ids of calls differ from those of other prompts."""
    digest = hashlib.blake2b(digest_size=16)
    for message in messages:
        digest.update(f"{message.role}\0{len(message.content)}\0{message.content}\0".encode())
    return digest.hexdigest()


@dataclass(slots=True, kw_only=True)
class ToolReader:
    """Tells calls from text while an answer of the choice `choice` comes in.

    Equal answers to equal prompts (by `salt`) get equal ids. `content` is the text beside the
    calls. What only looks like a call stays text. Calls have the form `form`.
    """

    salt: str = ""
    choice: int = 0
    form: CallForm = OWN
    content: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    _waiting: str = ""
    _depth: int = 0
    _is_string: bool = False
    _is_escaped: bool = False
    _read: Literal["text", "head", "arguments", "tail"] = "text"
    _head_pattern: re.Pattern[str] = field(init=False)
    _tail_pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self._head_pattern, self._tail_pattern = self.form.head(), self.form.tail()

    def feed(self, text: str) -> Iterator[str | ToolCallDelta]:
        """Yield what a further piece of the answer brings: text, or pieces of calls."""
        self._waiting += text
        before = None
        while before != (self._waiting, self._read):
            before = (self._waiting, self._read)
            yield from self._step()

    def finish(self) -> Iterator[str | ToolCallDelta]:
        """Yield what was held back, at the end of the answer."""
        if self._read in ("text", "head"):
            rest = (self.form.opening if self._read == "head" else "") + self._waiting
            if rest:
                yield self._say(rest)
        self._waiting, self._read = "", "text"

    def _step(self) -> Iterator[str | ToolCallDelta]:
        match self._read:
            case "text":
                yield from self._text()
            case "head":
                yield from self._head()
            case "arguments":
                yield from self._arguments()
            case _:
                self._tail()

    def _text(self) -> Iterator[str]:
        at = self._waiting.find(self.form.opening)
        if at >= 0:
            said, self._waiting = self._waiting[:at], self._waiting[at + len(self.form.opening) :]
            self._read = "head"
        else:
            held = _beginning_at_the_end(self._waiting, self.form.opening)
            said = self._waiting[: len(self._waiting) - held]
            self._waiting = self._waiting[len(said) :]
        if said:
            yield self._say(said)

    def _head(self) -> Iterator[str | ToolCallDelta]:
        found = self._head_pattern.match(self._waiting)
        # Behind the colon there may be spaces still to come: the first of the arguments ends them.
        if found and found.end() < len(self._waiting):
            name = json.loads(found[1])
            call = ToolCall(id=self._next_id(name), name=name, arguments="")
            self.calls.append(call)
            self._waiting = self._waiting[found.end() :]
            self._read, self._depth = "arguments", 0
            yield ToolCallDelta(
                call=len(self.calls) - 1, id=call.id, name=call.name, choice=self.choice
            )
        elif len(self._waiting) > _MAX_HEAD_CHARS:
            self._read = "text"
            yield self._say(self.form.opening)

    def _arguments(self) -> Iterator[ToolCallDelta]:
        end = self._end_of_value()
        piece = self._waiting[:end]
        if piece:
            last = self.calls[-1]
            self.calls[-1] = replace(last, arguments=last.arguments + piece)
            yield ToolCallDelta(call=len(self.calls) - 1, arguments=piece, choice=self.choice)
        self._waiting = self._waiting[end:]

    def _end_of_value(self) -> int:
        """Return how far the arguments, an object, go in what waits; notes where they end."""
        for i, char in enumerate(self._waiting):
            if self._is_string:
                if self._is_escaped:
                    self._is_escaped = False
                else:
                    self._is_escaped = char == "\\"
                    self._is_string = char != '"'
                continue
            self._is_string = char == '"'
            self._depth += (char in "{[") - (char in "}]")
            if self._depth <= 0:
                self._read = "tail"
                return i + 1
        return len(self._waiting)

    def _tail(self) -> None:
        found = self._tail_pattern.match(self._waiting)
        if found:
            self._waiting = self._waiting[found.end() :]
            self._read = "text"

    def _say(self, text: str) -> str:
        self.content += text
        return text

    def _next_id(self, name: str) -> str:
        said = f"{self.salt}\0{self.choice}\0{len(self.calls)}\0{name}"
        return f"call_{hashlib.blake2b(said.encode(), digest_size=12).hexdigest()}"


def read_calls(
    text: str, *, salt: str = "", choice: int = 0, form: CallForm = OWN
) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text of a whole answer without its calls, and the calls."""
    reader = ToolReader(salt=salt, choice=choice, form=form)
    for _ in (*reader.feed(text), *reader.finish()):
        pass
    return reader.content, tuple(reader.calls)


def _beginning_at_the_end(text: str, whole: str) -> int:
    """Return the length of the longest beginning of `whole` that `text` ends with."""
    return next((n for n in range(len(whole) - 1, 0, -1) if text.endswith(whole[:n])), 0)
