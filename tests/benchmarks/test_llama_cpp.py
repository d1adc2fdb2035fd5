"""The peer's pipe, with a stand-in for its process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.llama_cpp import LlamaCpp, Quantisation, Setting, quantised
from benchmarks.llama_cpp_build import PeerError

# Answers like the worker, from the standard library alone; a file counts what it was asked.
STAND_IN = """\
import json, os, sys
asked = open(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "asked"), "a")
for line in sys.stdin:
    request = json.loads(line)
    operation = request["operation"]
    print(operation, file=asked, flush=True)
    if operation == "prefill":
        answer = {"result": 0.25 if request["flash_attention"] else 0.5}
    elif operation == "decode":
        answer = {"result": {"seconds": 2.0, "num_tokens": len(request["prompts"]) * 6}}
    elif operation == "quantise":
        with open(request["target"], "w") as file:
            file.write(request["kind"])
        answer = {"result": None}
    elif operation == "about":
        os._exit(11)
    else:
        answer = {"error": "RuntimeError: not today"}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Return what can be started in place of an interpreter; it ignores its arguments."""
    path = tmp_path / "stand-in"
    path.write_text(f"#!{sys.executable}\n{STAND_IN}")
    path.chmod(0o755)
    return path


@pytest.fixture
def model(stand_in: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp.start(stand_in) as started:
        yield started


def test_requests_and_answers_go_over_the_pipe(model: LlamaCpp) -> None:
    assert model.prefill([1, 2, 3]) == 0.25
    assert Setting(model=model, flash_attention=False).prefill([1, 2, 3]) == 0.5
    decoded = Setting(model=model, flash_attention=True).decode([[1], [2]], 6)
    assert (decoded.seconds, decoded.num_tokens) == (2.0, 12)


def test_an_error_of_the_process_is_told_and_the_next_request_is_served(model: LlamaCpp) -> None:
    with pytest.raises(PeerError, match="failed to load: RuntimeError: not today"):
        model.load(Path("x.gguf"), threads=1)
    assert model.prefill([1]) == 0.25


def test_the_death_of_the_process_is_told_with_its_code(model: LlamaCpp) -> None:
    with pytest.raises(PeerError, match="ended during about with code 11"):
        model.system_info()
    with pytest.raises(PeerError, match="code 11"):
        model.prefill([1])
    model.close()
    model.close()


def test_a_quantisation_is_made_once_and_the_shipped_file_never(
    stand_in: Path, tmp_path: Path
) -> None:
    source = tmp_path / "chat" / "Model.Q4_1.gguf"
    source.parent.mkdir()
    source.write_text("weights")
    kind = Quantisation(kind="Q4_0", pure=True)
    paths = {quantised(stand_in, source, kind, tmp_path / "peers", threads=1) for _ in range(2)}
    (path,) = paths
    assert path.read_text() == "Q4_0"
    assert "Q4_0-pure" in path.name
    assert (tmp_path / "asked").read_text().split() == ["quantise"]
    shipped = Quantisation(kind="Q4_1", is_shipped=True)
    assert quantised(stand_in, source, shipped, tmp_path / "peers", threads=1) == source
