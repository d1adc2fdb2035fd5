"""The exceptions of `tools`."""


class ToolError(Exception):
    """Anything that goes wrong with a tool and is not the model's mistake."""
