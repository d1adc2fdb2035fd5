"""The conversation: one turn from the user's words to a recorded, cited reply."""
