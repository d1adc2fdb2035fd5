"""Which runner is taken for an encoder, and what is said about it."""

import json
from pathlib import Path

import pytest

from llm import encoder_choice
from llm.encoder_choice import ChosenEncoder, choose_encoder
from llm.errors import UnsupportedModelError
from llm.native.loader import kernel_paths
from llm.precision import Precision
from tests.llm.small_encoder import VOCABULARY, small_encoder


def chosen(
    precision: Precision = "auto", *, kernels: str | None = None, notes: Path | None = None,
    heads: int = 4,
) -> ChosenEncoder:  # fmt: skip
    return choose_encoder(
        small_encoder(heads=heads),
        precision=precision,
        threads=1,
        tokens_of=lambda text: [ord(c) % VOCABULARY for c in text],
        name="small",
        kernels=kernels,
        notes=notes,
    )


def test_float32_is_torch_when_set() -> None:
    assert chosen("float32").reason == "float32 on torch (as set)"


@pytest.mark.kernels
def test_int8_keeps_the_fingerprint_where_it_gives_the_same_vectors() -> None:
    choice = chosen("int8")
    assert choice.runner.kernels == f"{kernel_paths()[0]}-int8"
    assert choice.is_compatible
    assert "as set; cosine with float32" in choice.reason


@pytest.mark.kernels
def test_vectors_that_differ_are_never_taken_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_choice, "LEAST_COSINE", 1.1)
    assert not chosen("int8").is_compatible
    choice = chosen("auto")
    assert choice.is_compatible
    assert choice.reason.startswith("float32 on torch (int8 gives other vectors: cosine")


@pytest.mark.kernels
def test_without_an_instruction_for_bytes_the_faster_is_taken_and_noted(tmp_path: Path) -> None:
    notes = tmp_path / "home" / "notes.json"
    first = chosen(kernels="portable", notes=notes)
    (key,) = json.loads(notes.read_text())
    for gain, words in ((3.0, "int8 on portable, 3.0 times as fast"), (0.5, "float32 on torch")):
        notes.write_text(json.dumps({key: gain}))
        assert chosen(kernels="portable", notes=notes).reason.startswith(words)
    assert "times as fast as float32" in first.reason
    notes.write_text("not JSON")
    assert "times as fast as float32" in chosen(kernels="portable", notes=notes).reason


@pytest.mark.kernels
def test_sizes_the_kernels_cannot_do_go_to_torch_with_the_reason() -> None:
    assert "head width 8 is no multiple of 16" in chosen(heads=16).reason
    with pytest.raises(UnsupportedModelError, match="head width 8"):
        chosen("int8", heads=16)


def test_kernels_of_an_older_build_leave_the_encoder_to_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder_choice, "has_encoder", lambda: False)
    assert "install causerie again" in chosen().reason
    with pytest.raises(UnsupportedModelError, match="install causerie again"):
        chosen("int8")
