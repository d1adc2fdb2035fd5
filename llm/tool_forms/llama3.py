"""The form of Llama 3: bare JSON with `parameters`, one call an answer, as its template has it."""

from llm.tool_forms.call_form import CallForm

LLAMA3 = CallForm(
    name="llama3",
    opening='{"name"',
    before_name=": ",
    before_arguments=', "parameters": ',
    closing="}",
    is_native=True,
    max_calls=1,
)
