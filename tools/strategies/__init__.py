"""How a run of the tool agent goes: what the model is asked next, and how its text is read."""
