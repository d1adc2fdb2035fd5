"""The types that a slot may have: words → values with spans, and values → words."""
