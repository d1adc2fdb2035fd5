"""What speed costs: perplexity on WikiText-2, and how far logits are from those of fp32.

Windows of the text, spread evenly over it, are read by every contender; each token after a
window's first is scored. Windows and token ids are the same for all, so the ratio of perplexities
is known far better than the perplexities: its standard error comes from the differences by window.

    python -m benchmarks.perplexity [--data FILE] [--quick] [--json FILE] [--windows N]
                                    [--context N] [--threads N]

llama.cpp takes part where it has been built (`python -m benchmarks.engine --peer llama.cpp`).
"""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor
from torch.nn import functional as F

from api.settings import load_settings
from benchmarks import llama_cpp
from benchmarks.llama_cpp_build import find, peers_folder
from benchmarks.our_engine import OurEngine
from benchmarks.report import REPOSITORY, Figure, write
from llm.checkpoint import load_decoder
from llm.model import LlamaModel
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.thread_count import set_threads
from llm.tokenizer import TextTokenizer

REFERENCE = "fp32"
PEER = "llama.cpp"
CONTEXT = 512
NUM_WINDOWS = 48
NUM_QUICK_WINDOWS = 10
TARGET_RATIO = 1.01
_DATA_SETS = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
DEFAULT_DATA = _DATA_SETS / "wikitext2" / "valid.txt"

Logits = Float32[np.ndarray, "t v"]


class Contender(Protocol):
    """Anything that reads tokens from an empty cache."""

    def logits(self, token_ids: list[int]) -> Logits:
        """Return the logits after each token."""
        ...


class Fp32Model:
    """The plain torch model: what all others are compared with."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model

    def logits(self, token_ids: list[int]) -> Logits:
        """Return the logits after each token."""
        with torch.inference_mode():
            logits: Tensor = self._model(torch.tensor([token_ids]))
        return logits[0].numpy()


def our_contenders(weights: Path, engine: OurEngine) -> dict[str, Contender]:
    """Return what of ours is compared, the reference first. New number formats are added here."""
    reference = Fp32Model(load_decoder(weights).model)
    return {REFERENCE: reference, f"ours, {engine.kernels}": engine}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one contender predicts the text.

    `losses` and `excesses` are means by window, in nats a token: of the negative log-likelihood,
    and of its difference to the reference. `max_difference` is the largest of any logit,
    `num_same` how often the likeliest token is the reference's, of `num_tokens`.
    """

    name: str
    losses: tuple[float, ...]
    excesses: tuple[float, ...]
    max_difference: float
    num_same: int
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """Return e to the mean loss."""
        return math.exp(float(np.mean(self.losses)))

    @property
    def perplexity_error(self) -> float:
        """Return the standard error of `perplexity` (another choice of windows)."""
        return self.perplexity * _standard_error(self.losses)

    @property
    def ratio(self) -> float:
        """Return this perplexity over the reference's."""
        return math.exp(float(np.mean(self.excesses)))

    @property
    def ratio_error(self) -> float:
        """Return the standard error of `ratio`."""
        return self.ratio * _standard_error(self.excesses)


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def windows_of(text: str, tokenizer: TextTokenizer, num: int, context: int) -> list[list[int]]:
    """Return `num` windows of `context` tokens, evenly spread, none overlapping another.

    Raises:
        ValueError: the text is too short for them.
    """
    if num < 1 or context < 2:
        raise ValueError(f"need at least 1 window of 2 tokens, got {num} of {context}")
    token_ids = tokenizer.encode(text)
    there = len(token_ids) // context
    if there < num:
        raise ValueError(f"the text has {there} windows of {context} tokens, {num} are wanted")
    starts = [i * there // num * context for i in range(num)]
    return [token_ids[start : start + context] for start in starts]


def losses(logits: Logits, token_ids: Sequence[int]) -> Float64[np.ndarray, " t-1"]:
    """Return the negative log-likelihood of each token after the first, in nats."""
    targets = torch.tensor(token_ids[1:])
    return (
        F.cross_entropy(torch.from_numpy(logits[:-1]), targets, reduction="none").double().numpy()
    )


def measure(
    contenders: Mapping[str, Contender],
    windows: Sequence[list[int]],
    on_window: Callable[[int], None] = lambda _: None,
) -> list[Score]:
    """Let all contenders read all windows; the first one is the reference."""
    rows: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in contenders}
    for number, window in enumerate(windows, start=1):
        reference: tuple[Logits, float] | None = None
        for name, contender in contenders.items():
            logits = contender.logits(window)
            if not np.isfinite(logits).all():
                raise ValueError(f"{name} gave a logit that is no finite number")
            loss = float(losses(logits, window).mean())
            reference = reference or (logits, loss)
            same = int((logits.argmax(axis=1) == reference[0].argmax(axis=1)).sum())
            difference = float(np.abs(logits - reference[0]).max())
            rows[name].append((loss, loss - reference[1], difference, same))
        on_window(number)
    num_tokens = sum(map(len, windows))
    return [
        Score(
            name=name,
            losses=tuple(row[0] for row in found),
            excesses=tuple(row[1] for row in found),
            max_difference=max(row[2] for row in found),
            num_same=sum(row[3] for row in found),
            num_tokens=num_tokens,
        )
        for name, found in rows.items()
    ]


def figures(scores: Sequence[Score]) -> list[Figure]:
    """Return perplexities, ratios and logit differences; only our formats have a target."""
    rows = []
    for score in scores:
        error = score.perplexity_error
        rows.append(
            Figure(
                name=f"perplexity, {score.name}",
                value=score.perplexity,
                unit="perplexity",
                spread=(score.perplexity - error, score.perplexity + error),
                higher_is_better=False,
            )
        )
        if score.name == scores[0].name:
            continue
        is_ours = not score.name.startswith(PEER)
        rows += [
            Figure(
                name=f"perplexity over {scores[0].name}, {score.name}",
                value=score.ratio,
                unit="ratio",
                spread=(score.ratio - score.ratio_error, score.ratio + score.ratio_error),
                target=TARGET_RATIO if is_ours else None,
                higher_is_better=False,
            ),
            Figure(
                name=f"largest logit difference, {score.name}",
                value=score.max_difference,
                unit="logit",
                higher_is_better=False,
            ),
        ]
    return rows


def table(scores: Sequence[Score]) -> str:
    """Return a Markdown table; ± are standard errors."""
    lines = [
        "| what | perplexity | over fp32 | largest logit difference | same likeliest token |",
        "|---|---|---|---|---|",
    ]
    for score in scores:
        percent, error = 100 * (score.ratio - 1), 100 * score.ratio_error
        compared = [
            f"{percent:+.2f} % ± {error:.2f}",
            f"{score.max_difference:.2f}",
            f"{100 * score.num_same / score.num_tokens:.1f} %",
        ]
        shown = compared if score.name != scores[0].name else ["", "", ""]
        perplexity = f"{score.perplexity:.3f} ± {score.perplexity_error:.3f}"
        lines.append("| " + " | ".join([score.name, perplexity, *shown]) + " |")
    return "\n".join(lines)


@contextlib.contextmanager
def _open_peers(model: Path, threads: int) -> Iterator[dict[str, Contender]]:
    peers = peers_folder()
    python = find(peers)
    if python is None:
        print(
            "llama.cpp is not built here, so it takes no part"
            " (python -m benchmarks.engine --peer llama.cpp builds it)\n",
            file=sys.stderr,
        )
        yield {}
        return
    with llama_cpp.open_models(
        python, model, llama_cpp.QUANTISATIONS, peers, threads=threads
    ) as models:
        yield {f"{PEER} {name}": model for name, model in models.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perplexity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="a text file")
    parser.add_argument("--quick", action="store_true", help=f"{NUM_QUICK_WINDOWS} windows")
    parser.add_argument("--windows", type=int, default=None, metavar="N")
    parser.add_argument("--context", type=int, default=CONTEXT, metavar="N")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)

    threads = set_threads(options.threads)
    path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
    engine = OurEngine.load(path, threads=threads)
    num = options.windows or (NUM_QUICK_WINDOWS if options.quick else NUM_WINDOWS)
    text = options.data.read_text(encoding="utf-8")
    windows = windows_of(text, engine.tokenizer, num, options.context)
    print(f"{num} windows of {options.context} tokens of {options.data.name}\n", file=sys.stderr)
    with _open_peers(path, threads) as peers:
        scores = measure(our_contenders(path, engine) | peers, windows, _progress(num))
    print(table(scores))
    rows = figures(scores)
    if options.json is not None:
        write(options.json, rows, threads=threads, seed=0)
    return 1 if any(row.met is False for row in rows) else 0


def _progress(num: int) -> Callable[[int], None]:
    def tell(number: int) -> None:
        end = "\n\n" if number == num else ""
        print(f"\rwindow {number} of {num}", end=end, file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
