"""The travel bot of the design, as it stands there, with small tables."""

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent / "harbour"
TOOLS = """
from tools.base import tool

@tool(effect="read")
def has_room(hotel, check_in, nights) -> bool: ...
@tool(effect="write", timeout=5, idempotent_by=("guest", "check_in"))
def reserve(hotel, check_in, nights, guest, email, user) -> dict: ...
@tool(effect="write")
def upgrade(result) -> dict: ...
@tool(effect="write")
def release(hold_id) -> None: ...
"""


def harbour_in(folder: Path) -> Path:
    """Copy the bot into an empty folder, its functions beside it."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
    return folder
