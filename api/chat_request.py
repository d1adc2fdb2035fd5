"""The body of a chat completion, and what of it means something here.

Fields of the OpenAI API that have no effect are accepted and listed in `docs/api.md`; values that
would change the answer and cannot be honoured are refused with the remedy.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.error_table import RequestError, caller_mistakes, shown
from dialog.reply import TurnRequest
from llm.chat import Message, Role
from llm.sampling_params import SamplingParams


class RequestModel(BaseModel):
    """A body that is taken literally: unknown parameters are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _check_unicode(cls, value: object) -> object:
        """Refuse halves of surrogate pairs: JSON can write them, UTF-8 cannot."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_unicode(text):
                raise PydanticCustomError(
                    "string_unicode", "it holds half a surrogate pair, which is not text"
                )
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _only(*allowed: object, remedy: str) -> BeforeValidator:
    """Accept the values that ask for nothing, refuse all others."""

    def check(value: object, info: ValidationInfo) -> object:
        if value is None or value in allowed:
            return value
        raise PydanticCustomError(
            "unsupported_value",
            "{sentence}",
            {"sentence": f"{info.field_name} {shown(value)} is not supported: {remedy}"},
        )

    return BeforeValidator(check)


def _joined(content: object) -> object:
    """Turn a list of text parts into one string."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        if not (
            isinstance(part, dict)
            and part.get("type") == "text"
            and part.keys() <= {"type", "text"}
        ) or not isinstance(part.get("text"), str):
            raise PydanticCustomError(
                "unsupported_content",
                "{sentence}",
                {
                    "sentence": f"content part {shown(part)} is not supported: send text, as a"
                    ' string or as parts {"type": "text", "text": "…"}'
                },
            )
        texts.append(part["text"])
    return "".join(texts)


def _listed(stop: object) -> object:
    """Turn one stop string into a list of one."""
    return [stop] if isinstance(stop, str) else stop


Content = Annotated[
    str,
    BeforeValidator(_joined),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}),
]
Stop = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    ),
]
# Parameters of ours that have the same name in `SamplingParams`.
_SAMPLING_EXTENSIONS = (
    "top_k",
    "min_p",
    "repetition_penalty",
    "typical_p",
    "min_tokens",
    "banned_strings",
    "stop_regex",
    "overflow",
    "timeout_s",
)
_NO_TOOLS = "leave it out; this model calls no tools"
_NO_LOGPROBS = "leave it out; log-probabilities are not returned"
_NO_AUDIO = "leave it out; this model speaks and hears text only"
NoTools = Annotated[JsonValue, _only([], "none", "auto", remedy=_NO_TOOLS)]


class ChatMessage(RequestModel):
    """One message; the fields after `content` are what clients send back of our own answers."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: str | None = None
    refusal: str | None = None
    annotations: JsonValue = None
    causerie: JsonValue = None
    tool_calls: NoTools = None
    function_call: NoTools = None
    audio: Annotated[JsonValue, _only(remedy=_NO_AUDIO)] = None

    def to_message(self) -> Message:
        """Return the message as the model's template knows it."""
        role: Role = "system" if self.role == "developer" else self.role
        return Message(role=role, content=self.content)


class StreamOptions(RequestModel):
    """What a stream contains besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Extension(RequestModel):
    """Everything of ours, in one object, so that strict clients do not break."""

    collection: str | None = None
    citations: bool = True
    conversation: str | None = None
    top_k: int | None = Field(default=None, ge=0, le=2**31)
    min_p: float | None = None
    repetition_penalty: float | None = None
    typical_p: float | None = None
    min_tokens: int | None = None
    banned_strings: list[str] | None = None
    stop_regex: list[str] | None = None
    overflow: Literal["error", "roll"] | None = None
    timeout_s: float | None = None


class ChatCompletionRequest(RequestModel):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: Stop | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    causerie: Extension | None = None

    # Values that would change the answer and cannot be honoured.
    n: Annotated[JsonValue, _only(1, remedy="ask once per answer")] = None
    tools: NoTools = None
    tool_choice: NoTools = None
    functions: NoTools = None
    function_call: NoTools = None
    response_format: Annotated[
        JsonValue, _only({"type": "text"}, remedy="leave it out; answers are plain text")
    ] = None
    logprobs: Annotated[JsonValue, _only(False, remedy=_NO_LOGPROBS)] = None
    top_logprobs: Annotated[JsonValue, _only(0, remedy=_NO_LOGPROBS)] = None
    modalities: Annotated[JsonValue, _only(["text"], remedy=_NO_AUDIO)] = None
    audio: Annotated[JsonValue, _only(remedy=_NO_AUDIO)] = None
    moderation: Annotated[JsonValue, _only(remedy="leave it out; nothing is moderated")] = None
    web_search_options: Annotated[
        JsonValue, _only(remedy="leave it out; causerie.collection names what is searched")
    ] = None

    # Fields without an effect here.
    metadata: JsonValue = None
    parallel_tool_calls: bool | None = None
    prediction: JsonValue = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonValue = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    user: str | None = None
    verbosity: str | None = None

    @property
    def extension(self) -> Extension:
        """Our own parameters; all defaults where none were sent."""
        return self.causerie or Extension()

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def to_turn_request(self, *, owner: str, max_tokens: int) -> TurnRequest:
        """Return the turn that is asked for; `max_tokens` applies where none is sent.

        Raises:
            RequestError: a value is out of its range.
        """
        self._check_pairs()
        given = self._sampling()
        limit = self.max_completion_tokens if self.max_tokens is None else self.max_tokens
        for name, value in given.items():
            # One at a time, so that the error names the parameter at fault.
            prefix = "causerie." if name in Extension.model_fields else ""
            with caller_mistakes(f"{prefix}{name}", prefix=prefix):
                SamplingParams(**{name: value} if value is not None else {})
        with caller_mistakes("max_tokens"):
            params = SamplingParams(
                **{name: value for name, value in given.items() if value is not None},
                max_tokens=max_tokens if limit is None else limit,
            )
        with caller_mistakes("messages"):
            return TurnRequest(
                messages=tuple(message.to_message() for message in self.messages),
                params=params,
                collection=self.extension.collection,
                conversation_id=self.extension.conversation,
                owner=owner,
            )

    def _sampling(self) -> dict[str, Any]:
        """Return what was sent of the parameters that `SamplingParams` has, None where nothing."""
        ours = {name: getattr(self.extension, name) for name in _SAMPLING_EXTENSIONS}
        given: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "logit_bias": None if self.logit_bias is None else sorted(self.logit_bias.items()),
            **ours,
        }
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }

    def _check_pairs(self) -> None:
        if self.stream_options is not None and not self.stream:
            raise RequestError(
                400,
                "stream_options needs 'stream': true; leave it out or stream",
                param="stream_options",
                code="invalid_value",
            )
        if len({self.max_tokens, self.max_completion_tokens} - {None}) > 1:
            raise RequestError(
                400,
                f"max_tokens {self.max_tokens} and max_completion_tokens"
                f" {self.max_completion_tokens} contradict each other; send one of them",
                param="max_completion_tokens",
                code="invalid_value",
            )
