"""Keys: kept from others, never lost, never told."""

import json
import os
import stat
from pathlib import Path

import pytest

from llm.errors import UnknownWatermarkKeyError, WatermarkKeysError
from llm.watermark import keys
from llm.watermark.keys import (
    KeyRing,
    WatermarkKey,
    generate,
    open_keys,
    parse_keys,
    read_keys,
    rotate,
    write_keys,
)

HEX = "00112233445566778899aabbccddeeff"


def test_the_first_start_creates_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    ring = open_keys(path)
    assert len(ring.keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_keys(path) == ring
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Two servers that start at once must not mark with a key that is lost."""
    path = tmp_path / "keys.json"
    ring = KeyRing((generate("first"),))
    write_keys(path, ring)
    keys._create(path)
    assert read_keys(path) == ring


def test_rotation_keeps_every_key_that_was_served(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = open_keys(path).current
    rotate(path)
    ring = rotate(path, "winter")
    assert ring == read_keys(path)
    assert [key.name for key in ring.keys] == ["key-1", "key-2", "winter"]
    assert ring.named("key-1") == first
    assert ring.current.name == "winter"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="share their names"):
        rotate(path, "winter")
    assert read_keys(path) == ring


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_keys_that_others_can_read_or_write_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, KeyRing((generate(),)))
    path.chmod(mode)
    with pytest.raises(WatermarkKeysError, match="chmod 600"):
        read_keys(path)


def test_a_missing_file_and_an_unknown_name_are_named(tmp_path: Path) -> None:
    with pytest.raises(WatermarkKeysError, match="keygen"):
        read_keys(tmp_path / "none.json")
    with pytest.raises(UnknownWatermarkKeyError, match="there are key-1"):
        KeyRing((generate(),)).named("other")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"keys": []}',
        '{"keys": [{"name": "a"}]}',
        '{"keys": [{"name": 3, "secret": "00"}]}',
        '{"keys": [{"name": "a", "secret": "00"}]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_a_named_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(WatermarkKeysError):
        read_keys(path)


def test_the_environment_takes_the_place_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = open_keys(path, f"old:{'0' * 32}, new:{HEX}")
    assert ring.current == WatermarkKey(name="new", secret=bytes.fromhex(HEX))
    assert not path.exists()


@pytest.mark.parametrize("text", [HEX, f"{HEX}:name", f"name:{HEX[:-1]}", f"name:{HEX[:-1]}x"])
def test_an_error_does_not_repeat_a_secret(text: str) -> None:
    """Not even where name and secret were swapped."""
    with pytest.raises(WatermarkKeysError) as caught:
        parse_keys(text)
    assert HEX[:12] not in str(caught.value)


def test_a_key_tells_its_name_and_id_alone() -> None:
    key = WatermarkKey(name="ours", secret=bytes.fromhex(HEX))
    ring = KeyRing((key,))
    for shown in (repr(key), str(ring), key.id, f"{ring!r}"):
        assert HEX not in shown
        assert repr(key.secret) not in shown
    assert key.id != WatermarkKey(name="ours", secret=bytes(16)).id


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    ring = open_keys(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        rotate(path)
    monkeypatch.undo()
    assert read_keys(path) == ring
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_the_file_is_json_of_names_and_secrets(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, parse_keys(f"ours:{HEX}"))
    assert json.loads(path.read_text()) == {"keys": [{"name": "ours", "secret": HEX}]}
