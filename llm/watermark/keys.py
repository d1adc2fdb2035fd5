"""Watermark keys: named, 128 bits each, kept in a file that only its owner can read.

The newest key marks; all keys ever served stay, so that their texts stay detectable. A key's bytes
are in no repr, and its `id` says which it is without telling it. A list in an environment variable
("NAME:HEX,NAME:HEX", the last one marking) takes the place of the file where files are not wanted.
"""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm.errors import UnknownWatermarkKeyError, WatermarkKeysError

ENVIRONMENT_NAME = "CAUSERIE_WATERMARK_KEYS"
KEY_BYTES = 16
MAX_KEYS = 1000

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SECRET = re.compile(f"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")
_ONLY_OWNER = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkKey:
    """A name and a secret of 128 bits."""

    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a watermark key cannot be named {self.name!r}; take 1 to 64 of a-z, 0-9, '.', '_'"
                " and '-', with a letter or digit at both ends"
            )
        if len(self.secret) != KEY_BYTES:
            raise ValueError(
                f"the watermark key {self.name!r} has {len(self.secret)} bytes and must have"
                f" {KEY_BYTES}"
            )

    @property
    def id(self) -> str:
        """What names the key in receipts; the secret cannot be had from it."""
        return hashlib.blake2b(self.secret, digest_size=6, person=b"key id").hexdigest()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys ever served, the oldest first; the last one marks."""

    keys: tuple[WatermarkKey, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise ValueError(f"a key ring holds 1 to {MAX_KEYS} keys, got {len(self.keys)}")
        for what, values in (
            ("names", {key.name for key in self.keys}),
            ("secrets", {key.secret for key in self.keys}),
        ):
            if len(values) != len(self.keys):
                raise ValueError(f"two watermark keys share their {what}; remove one of them")

    @property
    def current(self) -> WatermarkKey:
        """The key that marks."""
        return self.keys[-1]

    def named(self, name: str) -> WatermarkKey:
        """Return a key.

        Raises:
            UnknownWatermarkKeyError: none has this name.
        """
        for key in self.keys:
            if key.name == name:
                return key
        raise UnknownWatermarkKeyError(
            f"there is no watermark key {name!r}; there are"
            f" {', '.join(key.name for key in self.keys)}"
        )

    def rotated(self, name: str = "") -> "KeyRing":
        """Return a ring with one more key, a new one that marks from now on."""
        return KeyRing((*self.keys, generate(name or self._next_name())))

    def _next_name(self) -> str:
        taken = {key.name for key in self.keys}
        number = len(self.keys) + 1
        while f"key-{number}" in taken:
            number += 1
        return f"key-{number}"


def generate(name: str = "key-1") -> WatermarkKey:
    """Return a new key from the system's source of randomness."""
    return WatermarkKey(name=name, secret=secrets.token_bytes(KEY_BYTES))


def parse_keys(text: str) -> KeyRing:
    """Return the keys of "NAME:HEX,NAME:HEX".

    Raises:
        WatermarkKeysError: the text is no such list. The error does not repeat it.
    """
    pairs = []
    for number, part in enumerate(text.split(","), 1):
        name, colon, digits = part.strip().partition(":")
        if not colon:
            raise WatermarkKeysError(
                f"entry {number} of the watermark keys is not of the form NAME:HEX"
            )
        pairs.append((name, digits))
    return _ring(pairs, "the list of watermark keys")


def read_keys(path: Path) -> KeyRing:
    """Return the keys of a file.

    Raises:
        WatermarkKeysError: it is missing, damaged, or others can read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise WatermarkKeysError(
            f"the watermark keys cannot be read from {path}: {error.strerror}; create them with"
            " `python -m api watermark keygen`"
        ) from None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        _check_mode(os.fstat(file.fileno()), path)
        try:
            read = json.load(file)
            pairs = [(entry["name"], entry["secret"]) for entry in read["keys"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise WatermarkKeysError(
                f"{path} is not a file of watermark keys; restore it from a copy, since texts"
                " marked with lost keys cannot be detected"
            ) from None
    return _ring(pairs, str(path))


def write_keys(path: Path, ring: KeyRing) -> None:
    """Replace the file at once by one that only its owner can read."""
    content = {"keys": [{"name": key.name, "secret": key.secret.hex()} for key in ring.keys]}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _ONLY_OWNER)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def open_keys(path: Path, listed: str = "") -> KeyRing:
    """Return the keys of a list, or else of a file, which is created where it is missing.

    `listed` is what the environment says. Two processes that start at once agree on one key.

    Raises:
        WatermarkKeysError: see `parse_keys` and `read_keys`.
    """
    if listed.strip():
        return parse_keys(listed)
    if not path.exists():
        _create(path)
    return read_keys(path)


def rotate(path: Path, name: str = "") -> KeyRing:
    """Add a key to a file and return the ring.

    Raises:
        WatermarkKeysError: see `read_keys`.
        ValueError: the name is taken, or is none.
    """
    ring = read_keys(path).rotated(name)
    write_keys(path, ring)
    return ring


def _create(path: Path) -> None:
    """Write a first key, unless another process was faster."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    write_keys(beside, KeyRing((generate(),)))
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)


def _check_mode(status: os.stat_result, path: Path) -> None:
    if os.name != "posix":
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise WatermarkKeysError(
            f"others can read or write the watermark keys in {path} (mode {mode:04o}); run"
            f" `chmod 600 {path}`, and rotate the keys if others may have read them"
        )


def _ring(pairs: Sequence[tuple[object, object]], where: str) -> KeyRing:
    """Build the keys; what is wrong is told by numbers, since name and secret may be swapped."""
    keys = []
    for number, (name, digits) in enumerate(pairs, 1):
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise WatermarkKeysError(f"{where}: key {number} has no proper name")
        if not (isinstance(digits, str) and _SECRET.fullmatch(digits)):
            raise WatermarkKeysError(
                f"{where}: the secret of key {number} is not {2 * KEY_BYTES} hexadecimal digits"
            )
        keys.append(WatermarkKey(name=name, secret=bytes.fromhex(digits)))
    try:
        return KeyRing(tuple(keys))
    except ValueError as error:
        raise WatermarkKeysError(f"{where}: {error}") from None
