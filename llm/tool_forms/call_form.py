"""The form of a call: what stands before the function's name, behind it, and at the end.

Values alone: the grammar and the reader of `llm.tool_prompt` are made from them.
"""

import json
import re
from dataclasses import dataclass

MAX_CALLS = 16  # of one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForm:
    """A call: `opening`, `before_name`, the quoted name, `before_arguments`, an object, `closing`.

    Texts with other white space in the right places are read, too. With `is_native` the model's
    template tells the functions, the calls and the results itself; else they are told as text.
    """

    name: str
    opening: str
    before_name: str
    before_arguments: str
    closing: str
    is_native: bool = False
    max_calls: int = MAX_CALLS

    def begin(self, name: str) -> str:
        """Return a call of this function up to its arguments."""
        quoted = json.dumps(name, ensure_ascii=False)
        return f"{self.opening}{self.before_name}{quoted}{self.before_arguments}"

    def head(self) -> re.Pattern[str]:
        """Return what is read behind `opening` up to the arguments; its group is the name."""
        name = r'("(?:[^"\\]|\\.)*")'
        return re.compile(
            rf"\s*{_loosely(self.before_name)}\s*{name}\s*{_loosely(self.before_arguments)}\s*"
        )

    def tail(self) -> re.Pattern[str]:
        """Return what is read behind the arguments."""
        return re.compile(rf"\s*{_loosely(self.closing)}")


def _loosely(text: str) -> str:
    """Return a regex of a text in which white space may stand between its parts, or not."""
    parts = re.findall(r'"[^"]*"|</?\w+>|\S', text)
    return r"\s*".join(re.escape(part) for part in parts)
