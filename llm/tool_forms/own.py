"""The own form, for models whose template knows no tools, or none of the other forms."""

from llm.tool_forms.call_form import CallForm

OWN = CallForm(
    name="own",
    opening="<tool_call>",
    before_name='{"name":',
    before_arguments=',"arguments":',
    closing="}</tool_call>",
)
