"""Marks that make a text recognisable to whoever holds a key, and what they prove."""
