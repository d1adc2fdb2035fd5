"""The form that a request asks of its answer, on the wire, and the grammar that it means.

`response_format` is the OpenAI API's word for it, `causerie.grammar` ours.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from api.error_table import RequestError, caller_mistakes
from api.request_model import RequestModel, is_unicode
from dialog.reply import EvidenceForm
from llm.decoding.grammar_spec import Choices, GrammarSpec, JsonSchema, Lark, Regex

Schema = dict[str, Any]

_MAX_OPTIONS = 100_000


class JsonSchemaFormat(RequestModel):
    """A named schema. It is always held to, so `strict` changes nothing."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[Schema | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(RequestModel):
    """What the whole answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    def grammar(self, *, max_whitespace: int) -> GrammarSpec | None:
        """Return the form of the answer, None for plain text.

        Raises:
            RequestError: a schema is missing, or there is one that means nothing.
        """
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise RequestError(
                400,
                f"response_format.type {self.type!r} and response_format.json_schema do not go"
                " together; send 'json_schema' with a schema, or leave the schema out",
                param="response_format",
                code="invalid_value",
            )
        if self.type == "text":
            return None
        schema: Schema = {"type": "object"}
        if self.json_schema is not None and self.json_schema.schema_ is not None:
            schema = self.json_schema.schema_
        return schema_of(schema, param="response_format", max_whitespace=max_whitespace)


class GrammarRequest(RequestModel):
    """`causerie.grammar`: exactly one of its fields is sent."""

    regex: str | None = None
    lark: str | None = None
    choices: Annotated[list[str], Field(max_length=_MAX_OPTIONS)] | None = None
    json_schema: Schema | bool | None = None
    quote: Literal[True] | None = None
    cite: Literal[True] | None = None

    @field_validator("quote", "cite", mode="before")
    @classmethod
    def _check_true(cls, value: object) -> object:
        if value is not True and value is not None:
            raise ValueError("send true, or leave it out")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> "GrammarRequest":
        fields = type(self).model_fields
        if sum(getattr(self, name) is not None for name in fields) != 1:
            raise ValueError(f"send exactly one of {', '.join(fields)}")
        return self

    @property
    def evidence_form(self) -> EvidenceForm | None:
        """Which form the evidence of the turn gives the answer; None for another grammar."""
        if self.quote:
            return "quote"
        return "cite" if self.cite else None

    def grammar(
        self, *, max_whitespace: int, param: str = "causerie.grammar"
    ) -> GrammarSpec | None:
        """Return the form of the answer; None where the evidence gives it.

        Raises:
            RequestError: it cannot be a grammar.
        """
        if self.json_schema is not None:
            return schema_of(self.json_schema, param=param, max_whitespace=max_whitespace)
        with caller_mistakes(param, prefix=f"{param}: "):
            if self.regex is not None:
                return Regex(pattern=self.regex)
            if self.lark is not None:
                return Lark(source=self.lark)
            if self.choices is not None:
                return Choices(options=tuple(self.choices))
        return None


def schema_of(schema: Schema | bool, *, param: str, max_whitespace: int) -> JsonSchema:
    """Return the form that a schema asks for; what it may say is checked where it is compiled.

    Raises:
        RequestError: it is nested too deeply, or no text.
    """
    with caller_mistakes(param, prefix=f"{param}: "):
        form = JsonSchema.of(schema, max_whitespace=max_whitespace)
        if not is_unicode(form.schema):
            raise ValueError("the schema holds half a surrogate pair, which is not text")
    return form
