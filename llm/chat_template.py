"""Messages to prompt, by the jinja2 template that a model brings, in a sandbox.

The template comes from a weight file, so it runs in jinja2's immutable sandbox. The text of
messages is data: the spelling of a special token inside it stays ordinary text and can never open
or close a turn. A template that knows tools is given them, and tells calls and results itself.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm.chat import Message, ToolCall, ToolSpec
from llm.errors import CheckpointError, LLMError
from llm.tokenizer import TextTokenizer
from llm.tool_forms.families import form_of

# Private-use characters that no tokenizer has in a token: they mark where encoding must pause.
_PAUSE = "\uf8fe\uf8ff\uf8fe"

FALLBACK_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class TemplateRefusedError(LLMError):
    """The template does not take these messages; the text is the template's own reason."""


class ChatTemplate:
    """A compiled chat template and the tokenizer it goes with."""

    def __init__(self, source: str, tokenizer: TextTokenizer) -> None:
        """Compile; raises `CheckpointError` where the template is no valid jinja2."""
        self._tokenizer = tokenizer
        self.call_form = form_of(source)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            # Templates that know tools ask for keys that a message may not have.
            undefined=Undefined if self.call_form.is_native else StrictUndefined,
            autoescape=False,
            extensions=["jinja2.ext.loopcontrols"],
        )
        environment.filters["tojson"] = _as_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"the model's chat template is broken: {error}") from error

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Return the prompt as text, with pauses inside spelled-out special tokens.

        Raises:
            TemplateRefusedError: the template does not take these messages, or no tools.
        """
        tools = [self._tool(tool) for message in messages for tool in message.tools]
        if tools and not self.call_form.is_native:
            raise TemplateRefusedError(
                f"the model's chat template knows no tools and got {len(tools)}; tell them as text,"
                " by llm.tool_prompt.with_tools and the template's call_form"
            )
        try:
            return self._template.render(
                messages=[self._told(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                bos_token=self._tokenizer.bos_token or "",
                eos_token=self._tokenizer.eos_token,
                tools=tools or None,
            )
        except TemplateError as error:
            raise TemplateRefusedError(
                f"the model's chat template does not take these messages: {error}"
            ) from error

    def encode(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = True
    ) -> list[int]:
        """Return the prompt as token ids."""
        rendered = self.render(messages, add_generation_prompt=add_generation_prompt)
        token_ids: list[int] = []
        for piece in rendered.split(_PAUSE):
            token_ids += self._tokenizer.encode(piece)
        return token_ids

    def _told(self, message: Message) -> dict[str, Any]:
        told: dict[str, Any] = {"role": message.role, "content": self._defuse(message.content)}
        if message.tool_calls:
            told["tool_calls"] = [self._call(call) for call in message.tool_calls]
        if message.tool_call_id:
            told["tool_call_id"] = self._defuse(message.tool_call_id)
        return told

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": _parsed(call.arguments)}
        return self._defuse_all({"id": call.id, "type": "function", "function": function})

    def _tool(self, tool: ToolSpec) -> dict[str, Any]:
        function = {
            "name": tool.name,
            "description": tool.description,
            "parameters": _parsed(tool.parameters),
        }
        return self._defuse_all({"type": "function", "function": function})

    def _defuse_all(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._defuse(value)
        if isinstance(value, list):
            return [self._defuse_all(part) for part in value]
        if isinstance(value, dict):
            return {self._defuse(key): self._defuse_all(part) for key, part in value.items()}
        return value

    def _defuse(self, text: str) -> str:
        text = text.replace(_PAUSE, "")
        for token in self._tokenizer.special_tokens:
            if len(token) > 1 and token in text:
                text = text.replace(token, token[0] + _PAUSE + token[1:])
        return text


def _refuse(reason: str) -> str:
    raise TemplateError(reason)


def _as_json(value: object, indent: int | None = None) -> str:
    """Write JSON as model makers' templates expect it: jinja's own filter writes it for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _parsed(text: str) -> object:
    """Return what JSON text says; what a model was cut off in is no JSON and stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _now(pattern: str) -> str:
    return datetime.now(tz=UTC).strftime(pattern)
