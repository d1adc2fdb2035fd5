"""Which form a model's calls have, told from the source of its chat template."""

import re

from llm.tool_forms.call_form import CallForm
from llm.tool_forms.hermes import HERMES
from llm.tool_forms.llama3 import LLAMA3
from llm.tool_forms.own import OWN

_TOOLS = re.compile(r"\{%(?:(?!%\}).)*\btools\b", re.DOTALL)  # in a statement, not in text


def form_of(template: str) -> CallForm:
    """Return the form of a template that handles `tools`, and the own one for all others.

    A template with a form of calls that is none of ours gets the own prompt as well.
    """
    if not _TOOLS.search(template):
        return OWN
    if "<tool_call>" in template and "arguments" in template:
        return HERMES
    if "<|start_header_id|>" in template and re.search(r'\\?"parameters\\?"', template):
        return LLAMA3
    return OWN
