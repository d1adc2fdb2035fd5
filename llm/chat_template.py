"""Messages to prompt, by the jinja2 template that a model brings, in a sandbox.

The template comes from a weight file, so it runs in jinja2's immutable sandbox. The text of
messages is data: the spelling of a special token inside it stays ordinary text and can never open
or close a turn.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm.chat import Message
from llm.errors import CheckpointError, LLMError
from llm.tokenizer import TextTokenizer

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
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=False
        )
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"the model's chat template is broken: {error}") from error

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Return the prompt as text, with pauses inside spelled-out special tokens."""
        try:
            return self._template.render(
                messages=[{"role": m.role, "content": self._defuse(m.content)} for m in messages],
                add_generation_prompt=add_generation_prompt,
                bos_token=self._tokenizer.bos_token or "",
                eos_token=self._tokenizer.eos_token,
                tools=None,
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

    def _defuse(self, text: str) -> str:
        text = text.replace(_PAUSE, "")
        for token in self._tokenizer.special_tokens:
            if len(token) > 1 and token in text:
                text = text.replace(token, token[0] + _PAUSE + token[1:])
        return text


def _refuse(reason: str) -> str:
    raise TemplateError(reason)


def _now(pattern: str) -> str:
    return datetime.now(tz=UTC).strftime(pattern)
