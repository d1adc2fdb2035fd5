"""llama.cpp as a peer: one model in a process of its own, asked over a pipe.

Also makes its other quantisations from the shipped file. Does not know how the peer is built, nor
what its times are compared with.
"""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from benchmarks.llama_cpp_build import VERSION, PeerError
from benchmarks.rounds import Decoded

_WORKER = Path(__file__).with_name("llama_cpp_worker.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """How the peer's weights are stored.

    `kind` is llama.cpp's name of a block format. Unless `pure`, the token embeddings, which are
    the output matrix too, get the finer type that llama.cpp chooses for them. `is_shipped` is the
    file as it is.
    """

    kind: str
    pure: bool = False
    is_shipped: bool = False

    @property
    def name(self) -> str:
        """Return what tables call it."""
        return f"{self.kind} pure" if self.pure else self.kind


QUANTISATIONS = (
    Quantisation(kind="Q4_0", pure=True),
    Quantisation(kind="Q4_0"),
    Quantisation(kind="Q8_0"),
    Quantisation(kind="Q4_1", is_shipped=True),
)


class LlamaCpp:
    """A process that holds one model; end it with `close` or a `with` block."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start `command`, which speaks the worker's protocol; see `start`."""
        self._process = subprocess.Popen(  # noqa: S603
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @classmethod
    def start(cls, python: Path) -> Self:
        """Start the worker on an interpreter that has `llama_cpp`.

        Isolated, since the folder of the worker holds a `llama_cpp.py` too: this one.
        """
        return cls([str(python), "-I", str(_WORKER)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; more than once is no harm."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # it died before it read all
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def system_info(self) -> str:
        """Return the instruction sets that the native code uses, as llama.cpp prints them."""
        return str(self._ask("about")["system_info"])

    def load(self, path: Path, *, threads: int, max_rows: int = 512) -> None:
        """Load a GGUF file; a forward pass computes at most `max_rows` tokens."""
        self._ask("load", path=str(path), threads=threads, max_rows=max_rows)

    def quantise(
        self, source: Path, target: Path, quantisation: Quantisation, *, threads: int
    ) -> None:
        """Write `source` as `target` in another quantisation."""
        self._ask(
            "quantise",
            source=str(source),
            target=str(target),
            kind=quantisation.kind,
            pure=quantisation.pure,
            threads=threads,
        )

    def prefill(self, token_ids: Sequence[int], *, flash_attention: bool = True) -> float:
        """Return the seconds until the logits of a prompt's last token are there."""
        return float(
            self._ask("prefill", token_ids=list(token_ids), flash_attention=flash_attention)
        )

    def decode(
        self, prompts: Sequence[Sequence[int]], new_tokens: int, *, flash_attention: bool = True
    ) -> Decoded:
        """Continue prompts of equal length greedily, in one batch a step."""
        answer = self._ask(
            "decode",
            prompts=[list(prompt) for prompt in prompts],
            new_tokens=new_tokens,
            flash_attention=flash_attention,
        )
        return Decoded(seconds=answer["seconds"], num_tokens=answer["num_tokens"])

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        """Return the logits after each token, [t, v]."""
        with tempfile.TemporaryDirectory(prefix="causerie-logits-") as folder:
            path = Path(folder) / "logits.npy"  # a hundred megabytes: too much for the pipe
            self._ask("logits", token_ids=token_ids, path=str(path))
            values: NDArray[np.float32] = np.load(path)
        return values

    def _ask(self, operation: str, **arguments: object) -> Any:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(json.dumps({"operation": operation, **arguments}) + "\n")
            requests.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise PeerError(
                f"llama.cpp's process ended during {operation} with code {code}; set"
                " LLAMA_CPP_VERBOSE=1 to see what it prints"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"llama.cpp failed to {operation}: {answer['error']}")
        return answer["result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A loaded model run in one way; a `Contender`.

    On a CPU, flash attention makes long prompts faster and single steps slower.
    """

    model: LlamaCpp
    flash_attention: bool

    def prefill(self, token_ids: Sequence[int]) -> float:
        """Return the seconds until the logits of a prompt's last token are there."""
        return self.model.prefill(token_ids, flash_attention=self.flash_attention)

    def decode(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Decoded:
        """Continue prompts of equal length greedily, in one batch a step."""
        return self.model.decode(prompts, new_tokens, flash_attention=self.flash_attention)


def quantised(
    python: Path, source: Path, quantisation: Quantisation, peers: Path, *, threads: int
) -> Path:
    """Return the shipped model `source` in a quantisation; made once, then kept in `peers`."""
    if quantisation.is_shipped:
        return source
    folder = peers / "models" / source.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    label = quantisation.name.replace(" ", "-")
    target = folder / f"{source.stem}-{source.stat().st_size}.{label}.{VERSION}.gguf"
    with FileLock(target.with_suffix(".lock")):
        if not target.is_file():
            unfinished = target.with_suffix(".part")
            with LlamaCpp.start(python) as worker:
                worker.quantise(source, unfinished, quantisation, threads=threads)
            unfinished.replace(target)
    return target


@contextlib.contextmanager
def open_models(
    python: Path,
    source: Path,
    quantisations: Sequence[Quantisation],
    peers: Path,
    *,
    threads: int,
) -> Iterator[dict[str, LlamaCpp]]:
    """Load the shipped model `source` in each quantisation, a process each; by name."""
    with contextlib.ExitStack() as processes:
        models = {}
        for quantisation in quantisations:
            path = quantised(python, source, quantisation, peers, threads=threads)
            model = processes.enter_context(LlamaCpp.start(python))
            model.load(path, threads=threads)
            models[quantisation.name] = model
        yield models
