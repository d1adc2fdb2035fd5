"""The exceptions of `dialog`.

    DialogError
    └── UnknownConversationError   no conversation has this id, or it belongs to somebody else
"""


class DialogError(Exception):
    """Anything that goes wrong in a conversation and is not the model's or the index's."""


class UnknownConversationError(DialogError):
    """No conversation of this owner has this id."""
