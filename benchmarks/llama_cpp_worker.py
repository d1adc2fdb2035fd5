"""The peer's process: answers requests about one llama.cpp model, a JSON object a line each way.

Run by the interpreter that has `llama_cpp` (`python -I llama_cpp_worker.py`), never imported by the
benchmarks: its OpenMP threads and its memory stay out of ours. Each request names an `operation`,
a method of `Worker`, and gives its arguments; the answer holds `result` or `error`. Everything
that llama.cpp itself prints goes to stderr, and only where LLAMA_CPP_VERBOSE is set.

Knows nothing of rounds, medians or of what it is compared with.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import llama_cpp  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray

_FILE_TYPES = {
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
}
_CELL_STEP = 256  # llama.cpp rounds the cells of a sequence up to this


class Worker:
    """One loaded model and its contexts."""

    def __init__(self) -> None:
        llama_cpp.llama_backend_init()
        self._model: Any = None
        self._contexts: dict[tuple[int, int, bool], Any] = {}
        self._threads = 1
        self._max_rows = 512

    def about(self) -> dict[str, str]:
        """Return the version and what the native code was built for."""
        return {
            "version": llama_cpp.__version__,
            "system_info": llama_cpp.llama_print_system_info().decode(),
        }

    def quantise(self, source: str, target: str, kind: str, threads: int, pure: bool) -> None:
        """Write the model `source` as `target` with its matrices of type `kind`.

        Unless `pure`, llama.cpp chooses a finer type for the token embeddings.
        """
        params = llama_cpp.llama_model_quantize_default_params()
        params.nthread = threads
        params.ftype = _FILE_TYPES[kind]
        params.allow_requantize = True
        params.pure = pure
        code = llama_cpp.llama_model_quantize(
            source.encode(), target.encode(), ctypes.byref(params)
        )
        if code != 0:
            raise RuntimeError(f"llama_model_quantize returned {code}")

    def load(self, path: str, threads: int, max_rows: int) -> dict[str, Any]:
        """Load a model; a forward pass computes at most `max_rows` tokens."""
        self._free()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load {Path(path).name}")
        self._threads = threads
        self._max_rows = max_rows
        description = ctypes.create_string_buffer(256)
        llama_cpp.llama_model_desc(self._model, description, len(description))
        return {
            "description": description.value.decode(),
            "num_bytes": llama_cpp.llama_model_size(self._model),
            "vocab_size": self._vocab_size(),
        }

    def prefill(self, token_ids: list[int], flash_attention: bool = True) -> float:
        """Return the seconds that one prompt takes in an empty cache; logits of its last token."""
        context = self._context(1, len(token_ids), flash_attention=flash_attention)
        started = time.perf_counter()
        self._read(context, [token_ids])
        return time.perf_counter() - started

    def decode(
        self, prompts: list[list[int]], new_tokens: int, flash_attention: bool = True
    ) -> dict[str, Any]:
        """Continue prompts of equal length together, greedily, nothing shared between them.

        Returns the seconds of the steps after the prompts, the number of tokens that those wrote
        (one a sequence and step), the seconds of the prompts, and the tokens.
        """
        (length,) = {len(prompt) for prompt in prompts}
        num = len(prompts)
        context = self._context(num, length + new_tokens, flash_attention=flash_attention)
        started = time.perf_counter()
        self._read(context, prompts)
        prefilled = time.perf_counter()
        batch = llama_cpp.llama_batch_init(num, 0, 1)
        try:
            batch.n_tokens = num
            tokens, positions = self._columns(batch, num)
            for row in range(num):
                batch.seq_id[row][0] = row
                batch.n_seq_id[row] = 1
                batch.logits[row] = 1
            written = []
            drawn = self._argmax(context, num)
            began = time.perf_counter()
            for step in range(new_tokens):
                written.append(drawn.tolist())
                tokens[:] = drawn
                positions[:] = length + step
                _check(llama_cpp.llama_decode(context, batch))
                drawn = self._argmax(context, num)
            seconds = time.perf_counter() - began
        finally:
            llama_cpp.llama_batch_free(batch)
        return {
            "seconds": seconds,
            "num_tokens": num * new_tokens,
            "prefill_seconds": prefilled - started,
            "token_ids": [list(row) for row in zip(*written, strict=True)],
        }

    def logits(self, token_ids: list[int], path: str) -> None:
        """Write the logits after each token, float32 [t, v], as a .npy file."""
        context = self._context(1, len(token_ids), flash_attention=True)
        self._read(context, [token_ids], all_logits=True)
        np.save(path, self._logits(context, len(token_ids)))

    def _context(self, num_sequences: int, num_cells: int, *, flash_attention: bool) -> Any:
        """Return an empty context for so many sequences of so many tokens."""
        cells = -(-num_cells // _CELL_STEP) * _CELL_STEP
        key = (num_sequences, cells, flash_attention)
        if key not in self._contexts:
            if not self._model:
                raise RuntimeError("load a model first")
            params = llama_cpp.llama_context_default_params()
            params.n_ctx = num_sequences * cells
            params.n_seq_max = num_sequences
            params.flash_attn_type = int(flash_attention)
            params.kv_unified = False  # each sequence attends to its own cells: faster
            params.n_batch = params.n_ctx
            params.n_ubatch = self._max_rows
            params.n_threads = params.n_threads_batch = self._threads
            params.no_perf = True
            context = llama_cpp.llama_init_from_model(self._model, params)
            if not context:
                raise RuntimeError(f"llama.cpp cannot make a context of {params.n_ctx} cells")
            self._contexts[key] = context
        context = self._contexts[key]
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), False)
        return context

    def _read(self, context: Any, prompts: list[list[int]], *, all_logits: bool = False) -> None:
        """Compute prompts from their start; keep the logits of the last tokens, or of all."""
        num = sum(map(len, prompts))
        batch = llama_cpp.llama_batch_init(num, 0, 1)
        try:
            batch.n_tokens = num
            tokens, positions = self._columns(batch, num)
            tokens[:] = [token for prompt in prompts for token in prompt]
            positions[:] = [i for prompt in prompts for i in range(len(prompt))]
            row = 0
            for sequence, prompt in enumerate(prompts):
                for i in range(len(prompt)):
                    batch.seq_id[row][0] = sequence
                    batch.n_seq_id[row] = 1
                    batch.logits[row] = all_logits or i == len(prompt) - 1
                    row += 1
            _check(llama_cpp.llama_decode(context, batch))
            llama_cpp.llama_synchronize(context)
        finally:
            llama_cpp.llama_batch_free(batch)

    def _argmax(self, context: Any, num: int) -> NDArray[np.int64]:
        llama_cpp.llama_synchronize(context)
        drawn: NDArray[np.int64] = self._logits(context, num).argmax(axis=1)
        return drawn

    def _logits(self, context: Any, num: int) -> NDArray[np.float32]:
        """Return a view of the last step's logits [num, v]; valid until the next step."""
        pointer = llama_cpp.llama_get_logits(context)
        return np.ctypeslib.as_array(pointer, (num, self._vocab_size()))

    def _vocab_size(self) -> int:
        vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        return int(llama_cpp.llama_vocab_n_tokens(vocabulary))

    @staticmethod
    def _columns(batch: Any, num: int) -> tuple[Any, Any]:
        return (
            np.ctypeslib.as_array(batch.token, (num,)),
            np.ctypeslib.as_array(batch.pos, (num,)),
        )

    def _free(self) -> None:
        for context in self._contexts.values():
            llama_cpp.llama_free(context)
        self._contexts.clear()
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None


_OPERATIONS = ("about", "quantise", "load", "prefill", "decode", "logits")


def _check(code: int) -> None:
    if code != 0:
        raise RuntimeError(f"llama_decode returned {code}")


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer until the requests end; an error is an answer, too."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        operation = request.pop("operation")
        try:
            if operation not in _OPERATIONS:
                raise ValueError(f"there is no operation {operation!r}")  # noqa: TRY301
            answer = {"result": getattr(worker, operation)(**request)}
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _silence(_level: int, _text: bytes, _data: object) -> None:
    pass


def main(_arguments: Sequence[str] = ()) -> None:
    """Keep the pipe for answers, send all other output to stderr, and serve."""
    if not os.environ.get("LLAMA_CPP_VERBOSE"):
        callback = llama_cpp.llama_log_callback(_silence)
        main.callback = callback  # type: ignore[attr-defined]  # C keeps only the pointer
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
