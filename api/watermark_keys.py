"""Where the watermark keys of a service are, and how they come into being."""

import os
import secrets
from pathlib import Path

from api.errors import ConfigurationError
from api.settings import Settings
from llm.watermark.keys import KeyRing, generate, open_keys, parse_keys, read_keys, write_keys

_FOLDER = "keys"
_FILE = "watermark.json"


def key_file(settings: Settings) -> Path:
    """Return the file of the keys; it may not exist."""
    return settings.watermark_key_file or settings.state / _FOLDER / _FILE


def open_ring(settings: Settings) -> KeyRing | None:
    """Return the keys of a service; the first start makes one.

    None where marking is off and there never was a key; else texts that were marked before stay
    detectable.

    Raises:
        WatermarkKeysError: the keys are damaged, or others can read them.
        ConfigurationError: the file cannot be made.
    """
    if settings.watermark == "off" and not has_keys(settings):
        return None
    path = key_file(settings)
    try:
        if settings.watermark_keys is None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open_keys(path, _listed(settings))
    except OSError as error:
        raise _unwritable(path, error) from None


def new_key_file(settings: Settings, name: str) -> KeyRing:
    """Make the file with a first key.

    Raises:
        ConfigurationError: there is one, or it cannot be made.
        ValueError: a key cannot have this name.
    """
    path = key_file(settings)
    ring = KeyRing((generate(name),))
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_keys(beside, ring)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        os.link(beside, path)  # fails where a file is, also one of a server that starts right now
    except FileExistsError:
        raise ConfigurationError(
            f"{path} is there already, and without its keys what they marked cannot be detected;"
            " add a key with 'python -m api watermark rotate'"
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return ring


def read_ring(settings: Settings) -> KeyRing:
    """Return the keys that there are, and make none.

    Raises:
        WatermarkKeysError: they are missing or damaged, or others can read them.
    """
    listed = _listed(settings)
    return parse_keys(listed) if listed else read_keys(key_file(settings))


def has_keys(settings: Settings) -> bool:
    """Tell whether there are keys."""
    return bool(_listed(settings)) or key_file(settings).exists()


def _listed(settings: Settings) -> str:
    return "" if settings.watermark_keys is None else settings.watermark_keys.get_secret_value()


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"no watermark key can be made in {path}: {error.strerror}; name another file in"
        " CAUSERIE_WATERMARK_KEY_FILE"
    )
