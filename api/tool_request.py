"""The functions that a request offers the model, on the wire, and calls that are sent back."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from api.error_table import RequestError, caller_mistakes
from api.form_request import schema_of
from api.request_model import RequestModel
from llm.chat import ToolCall, ToolSpec
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import MAX_TOOLS, ToolUse

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class FunctionModel(RequestModel):
    """What a function is called and takes. Its schema is always held to, `strict` or not."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolModel(RequestModel):
    """One function that may be called."""

    type: Literal["function"]
    function: FunctionModel

    def to_spec(self, *, max_whitespace: int) -> ToolSpec:
        """Return the function; its arguments are an object, whatever else the schema says.

        Raises:
            RequestError: the schema asks for arguments that are no object.
        """
        schema = self.function.parameters
        if schema is None:
            schema = {"properties": {}, "additionalProperties": False}
        if schema.get("type", "object") != "object":
            raise RequestError(
                400,
                f"the parameters of the function {self.function.name!r} must be of type 'object'",
                param="tools",
                code="invalid_value",
            )
        form = schema_of({"type": "object", **schema}, param="tools", max_whitespace=max_whitespace)
        return ToolSpec(
            name=self.function.name,
            description=self.function.description or "",
            parameters=form.schema,
        )


class NamedFunction(RequestModel):
    """The name of a function."""

    name: FunctionName


class NamedTool(RequestModel):
    """The one function that must be called."""

    type: Literal["function"]
    function: NamedFunction


Tools = Annotated[list[ToolModel], Field(max_length=MAX_TOOLS)]
ToolChoice = Literal["none", "auto", "required"] | NamedTool


def to_tool_use(
    tools: list[ToolModel] | None,
    choice: ToolChoice | None,
    *,
    is_parallel: bool,
    max_whitespace: int,
    form: CallForm = OWN,
) -> ToolUse | None:
    """Return what an answer may or must call, in the form of the model's; None where nothing.

    Raises:
        RequestError: the choice names no function that is offered.
    """
    if not tools:
        if choice not in (None, "none", "auto"):
            raise RequestError(
                400,
                "tool_choice asks for a call and there are no tools; send tools or leave it out",
                param="tool_choice",
                code="invalid_value",
            )
        return None
    if choice == "none":
        return None
    specs = tuple(tool.to_spec(max_whitespace=max_whitespace) for tool in tools)
    with caller_mistakes("tools"):
        if not isinstance(choice, NamedTool):
            return ToolUse(tools=specs, demand=choice or "auto", is_parallel=is_parallel, form=form)
        wanted = choice.function.name
        named = tuple(spec for spec in specs if spec.name == wanted)
        if named:
            return ToolUse(tools=named, demand="named", is_parallel=False, form=form)
    raise RequestError(
        400,
        f"tool_choice names the function {wanted!r}, which tools does not hold; it holds"
        f" {', '.join(spec.name for spec in specs)}",
        param="tool_choice",
        code="invalid_value",
    )


class CalledFunction(RequestModel):
    """The function that was called, and its arguments as JSON text; the rest are a client's own."""

    name: FunctionName
    arguments: str
    parsed_arguments: JsonValue = None


class CallModel(RequestModel):
    """One call, as an answer of ours held it."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None

    def to_call(self) -> ToolCall:
        """Return the call."""
        return ToolCall(id=self.id, name=self.function.name, arguments=self.function.arguments)
