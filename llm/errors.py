"""The exceptions of `llm`.

LLMError
├── ModelStoreError          fetching or finding weights
│   ├── UnknownModelError        no such name, folder, file or repository
│   └── FetchError               network, disk, hash: nothing half-written is left behind
├── CheckpointError          a weight file that cannot be used
│   └── UnsupportedModelError    architecture, tensor type or tokenizer that we do not implement
├── ContextOverflowError     a prompt that cannot fit, with by how much
├── EngineBusyError          too many requests at once
└── CancelledGenerationError the caller gave up before the end
"""


class LLMError(Exception):
    """Anything that goes wrong in `llm` and is not the caller's mistake in a single value."""


class ModelStoreError(LLMError):
    """Weights could not be found or fetched."""


class UnknownModelError(ModelStoreError):
    """No model has this name, and no local path does either."""


class FetchError(ModelStoreError):
    """A download failed, was damaged or did not fit on the disk; nothing of it remains."""


class CheckpointError(LLMError):
    """A weight file is damaged or incomplete."""


class UnsupportedModelError(CheckpointError):
    """A sound file of a kind that this engine does not implement."""


class ContextOverflowError(LLMError):
    """A prompt is longer than the context."""

    def __init__(self, *, num_tokens: int, limit: int, what: str = "the message") -> None:
        self.num_tokens = num_tokens
        self.limit = limit
        super().__init__(
            f"{what} has {num_tokens} tokens, {num_tokens - limit} more than the {limit} that fit;"
            " shorten it or split it"
        )


class EngineBusyError(LLMError):
    """The engine already serves as many requests as it is set to."""


class CancelledGenerationError(LLMError):
    """Generation was cancelled by its caller before any text was complete."""
