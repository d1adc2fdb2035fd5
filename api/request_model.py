"""What the models of request bodies share: they take a body literally and say what is wrong.

Values that would change an answer and cannot be honoured are refused with the remedy (`only`).
"""

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.error_table import shown


class RequestModel(BaseModel):
    """A body that is taken literally: unknown parameters are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _check_unicode(cls, value: object) -> object:
        """Refuse halves of surrogate pairs: JSON can write them, UTF-8 cannot."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not is_unicode(text):
                raise PydanticCustomError(
                    "string_unicode", "it holds half a surrogate pair, which is not text"
                )
        return value


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def only(*allowed: object, remedy: str) -> BeforeValidator:
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
