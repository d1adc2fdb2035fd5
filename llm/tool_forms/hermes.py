"""The form of Hermes and Qwen: JSON on a line of its own between `<tool_call>` tags."""

from llm.tool_forms.call_form import CallForm

HERMES = CallForm(
    name="hermes",
    opening="<tool_call>",
    before_name='\n{"name": ',
    before_arguments=', "arguments": ',
    closing="}\n</tool_call>",
    is_native=True,
)
