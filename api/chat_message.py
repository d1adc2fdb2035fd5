"""One message of a chat on the wire: what was said, called and given back.

What clients send back of our own answers is accepted, so that an answer can be history as it came.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from api.request_model import Content, RequestModel, only
from api.tool_request import CallModel
from llm.chat import Message, Role
from llm.tool_forms.call_form import MAX_CALLS

NO_AUDIO = "leave it out; this model speaks and hears text only"
_NO_FUNCTIONS = "leave it out; functions are called by way of tools"
NoFunctions = Annotated[JsonValue, only([], "none", "auto", remedy=_NO_FUNCTIONS)]


class ChatMessage(RequestModel):
    """One message; an assistant's that only calls has no `content`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    tool_calls: Annotated[list[CallModel], Field(max_length=MAX_CALLS)] | None = None
    content: Annotated[Content | None, Field(validate_default=True)] = None
    name: str | None = None
    refusal: str | None = None
    annotations: JsonValue = None
    causerie: JsonValue = None
    parsed: JsonValue = None
    tool_call_id: str | None = None
    function_call: NoFunctions = None
    audio: Annotated[JsonValue, only(remedy=NO_AUDIO)] = None

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str | None, info: ValidationInfo) -> str | None:
        if content is None and not info.data.get("tool_calls"):
            raise PydanticCustomError("missing", "only a message with tool_calls has no content")
        return content

    @model_validator(mode="after")
    def _check_parts(self) -> "ChatMessage":
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"only the assistant calls tools, not the {self.role}")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError(
                "tool_call_id belongs in each message of the role tool, and only there"
            )
        return self

    def to_message(self) -> Message:
        """Return the message as the dialogue knows it."""
        role: Role = "system" if self.role == "developer" else self.role
        return Message(
            role=role,
            content=self.content or "",
            tool_calls=tuple(call.to_call() for call in self.tool_calls or ()),
            tool_call_id=self.tool_call_id or "",
        )
