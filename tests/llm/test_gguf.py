from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from llm.errors import CheckpointError, UnsupportedModelError
from llm.gguf import GGUFFile

KINDS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def write(path: Path, tensors: dict[str, tuple[np.ndarray, str]]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(77)
    writer.add_array("some.list", ["a", "é"])
    for name, (array, kind) in tensors.items():
        quant = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, quantize(array, quant), raw_dtype=quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_dequantises_as_the_reference_does(tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(3).normal(size=(5, 96)).astype(np.float32)
    path = tmp_path / "m.gguf"
    write(path, {"other": (x[:1], "F32"), "x": (x, kind)})
    file = GGUFFile(path)
    quant = gguf.GGMLQuantizationType[kind]
    wanted = dequantize(quantize(x, quant), quant)
    assert np.array_equal(file.tensor("x"), wanted)
    assert file.tensors["x"].shape == (5, 96)


def test_metadata_are_read_by_key(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write(path, {"x": (np.zeros((1, 32), np.float32), "F32")})
    metadata = GGUFFile(path).metadata
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.context_length"] == 77
    assert metadata["some.list"] == ["a", "é"]


def test_an_unknown_tensor_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    blocks = np.zeros((1, 210), np.uint8)
    writer.add_tensor("x", blocks, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModelError, match=r"'x' is of type Q6_K"):
        GGUFFile(path).tensor("x")


def test_a_file_cut_anywhere_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write(path, {"x": (np.ones((3, 32), np.float32), "Q8_0")})
    whole = path.read_bytes()
    end = GGUFFile(path).tensors["x"].offset + 3 * 34
    for size in range(4, end, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            GGUFFile(path).tensor("x")


def test_a_file_of_another_kind_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(CheckpointError, match="is not a GGUF file"):
        GGUFFile(path)
