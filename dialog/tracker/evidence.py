"""What kind of evidence a value rests on: the name by which calibration tells decisions apart."""

from dialog.task.commands import SlotEdit

DONTCARE = "dontcare"


def evidence_of(edit: SlotEdit, kind: str, *, is_asked: bool) -> str:
    """Return the kind of an edit: its source, the kind of its slot, whether that was asked for."""
    return f"{edit.source.value}.{kind}{'.asked' * is_asked}"
