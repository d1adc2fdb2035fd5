"""How far long work has come: what is being done, how much of it, of how much."""

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]


def unheard(_label: str, _done: int, _total: int) -> None:
    """Tell nobody."""
