"""Whether a text can be stored: not every Python string is Unicode."""


def is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogate, and so an encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
