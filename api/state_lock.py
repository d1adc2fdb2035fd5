"""One server per state folder: a lock that dies with its holder, and says where the holder serves.

The lock is the kernel's (`flock`), so that a crash leaves none behind; the file's content is only
believed while somebody holds the lock.
"""

import fcntl
import ipaddress
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from api.errors import StateFolderHeldError

FILE_NAME: Final = "LOCK"

_RETRY_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a state folder, and the address under which it can be asked."""

    pid: int
    address: str


@contextmanager
def held(state: Path, address: str) -> Iterator[None]:
    """Hold the folder while the block runs.

    Raises:
        StateFolderHeldError: another process holds it.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / FILE_NAME).open("a+b") as file:
        # A command that looks for a server holds a shared lock for a moment: hence the second try.
        if not _take(file):
            time.sleep(_RETRY_S)
            if not _take(file):
                raise StateFolderHeldError(_sentence(state, _read(state)))
        content = json.dumps({"pid": os.getpid(), "address": address}).encode()
        file.truncate(0)
        file.write(content)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def running_server(state: Path) -> str | None:
    """Return the address of the server that holds the folder; None where there is none."""
    try:
        file = (state / FILE_NAME).open("rb")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(state)
            return None if holder is None else holder.address
    return None


def address_of(host: str, port: int) -> str:
    """Return the URL under which a server on this machine can be asked."""
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f"http://{host}:{port}"
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return f"http://[{ip}]:{port}" if ip.version == 6 else f"http://{ip}:{port}"


def _take(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(state: Path) -> Holder | None:
    try:
        content = json.loads((state / FILE_NAME).read_bytes())
        return Holder(pid=int(content["pid"]), address=str(content["address"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _sentence(state: Path, holder: Holder | None) -> str:
    who = (
        "another process"
        if holder is None
        else f"process {holder.pid}, which serves {holder.address}"
    )
    return (
        f"the state folder {state} is held by {who}; stop it, or choose another folder with"
        " CAUSERIE_STATE"
    )
