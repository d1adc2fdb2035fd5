"""A model as the engine needs it: what computes it, and what turns text into its tokens."""

from dataclasses import dataclass
from pathlib import Path

from llm.chat_template import ChatTemplate
from llm.paged_cache import BLOCK
from llm.runner_choice import ChosenRunner
from llm.tokenizer import TextTokenizer

SHIPPED_HEADS = Path(__file__).parent / "heads"

_LEAST_CONTEXT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A chat model and the folders of the heads that may steer it; a later folder counts more.

    `size` is that of the vocabulary, as wide as the logits; `num_layers` places the early exit.
    """

    name: str
    compute: ChosenRunner
    tokenizer: TextTokenizer
    template: ChatTemplate
    context_size: int
    size: int
    num_layers: int = 1
    head_folders: tuple[Path, ...] = (SHIPPED_HEADS,)

    def __post_init__(self) -> None:
        held = self.compute.runner.num_blocks * BLOCK
        if not _LEAST_CONTEXT <= self.context_size <= held:
            raise ValueError(
                f"context_size must be in [{_LEAST_CONTEXT}, {held}], what the cache of"
                f" {self.name} holds; got {self.context_size}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeltTokens:
    """The tokens as the pipeline needs them, spelt out once; see `phases.Tokens`."""

    size: int
    eos_ids: frozenset[int]
    token_bytes: tuple[bytes, ...]
