"""The exceptions of `llm`.

LLMError
├── ModelStoreError          fetching or finding weights
│   ├── UnknownModelError        no such name, folder, file or repository
│   └── FetchError               network, disk, hash: nothing half-written is left behind
├── CheckpointError          a weight file that cannot be used
│   └── UnsupportedModelError    architecture, tensor type or tokenizer that we do not implement
├── ContextOverflowError     a prompt that cannot fit, with by how much
├── RequestTooLargeError     a request that the whole cache could not hold; a ValueError too
├── TooManyBranchesError     more branches at once than the engine ever runs; a ValueError too
├── OutOfBlocksError         every block of the cache is in use at the moment
├── EngineBusyError          too many requests at once
├── EngineFailureError       a request that the engine could not compute; others go on
├── ConstraintError          a form of output that cannot be had; a ValueError too
│   ├── InvalidGrammarError      no schema, regex or grammar, or one that nothing satisfies
│   ├── UnsupportedSchemaError   a JSON-Schema keyword that cannot be held to
│   ├── GrammarTooLargeError     it would take too much time or memory
│   ├── BudgetTooSmallError      fewer tokens than the shortest answer of that form
│   ├── RefusedPairError         two features that exclude each other
│   └── ConstraintConflictError  no token, or not this one, can come next
├── HeadError                a small head that steers the decoder and cannot be used
│   └── UnknownScorerError       no head offers a scorer of this name; a ValueError too
├── TrainingDataError        labelled texts that nothing can be learnt from
├── WatermarkError           a mark that cannot be made or looked for
│   ├── WatermarkKeysError       the keys are missing, damaged or readable by others
│   ├── UnknownWatermarkKeyError no key of this name; a ValueError too
│   └── UndecidableTextError     cannot tell: too short, or not what the mark was made on
└── CancelledGenerationError the caller gave up before the end
"""

from collections.abc import Iterable


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


class RequestTooLargeError(LLMError, ValueError):
    """A request needs more of the key/value cache than there is, even with all of it to itself."""

    def __init__(self, *, num_blocks: int, limit: int, block_size: int, what: str) -> None:
        self.num_blocks = num_blocks
        self.limit = limit
        super().__init__(
            f"{what} needs {num_blocks} blocks of {block_size} positions and the cache has {limit};"
            " ask for fewer tokens, shorten the prompt or enlarge the cache"
        )


class TooManyBranchesError(LLMError, ValueError):
    """A request wants more branches side by side than the engine ever runs."""

    def __init__(self, *, wanted: int, limit: int) -> None:
        self.wanted = wanted
        self.limit = limit
        super().__init__(
            f"{wanted} branches are wanted at once, and the engine runs {limit}; ask for fewer"
        )


class OutOfBlocksError(LLMError):
    """No block of the key/value cache is free; nothing was changed."""

    def __init__(self, *, needed: int, free: int) -> None:
        self.needed = needed
        self.free = free
        super().__init__(
            f"{needed} blocks are needed and {free} are free; release a branch and try again"
        )


class EngineBusyError(LLMError):
    """The engine already serves as many requests as it is set to."""


class EngineFailureError(LLMError):
    """A request could not be computed, through no fault of the others."""


class ConstraintError(LLMError, ValueError):
    """What a request asks of the form of its output cannot be had."""


class InvalidGrammarError(ConstraintError):
    """Not a schema, regex or grammar at all, or one that no text satisfies."""


class UnsupportedSchemaError(ConstraintError):
    """A JSON Schema says something that generation cannot be held to."""

    def __init__(self, *, keyword: str, path: str, why: str = "is not supported") -> None:
        self.keyword = keyword
        self.path = path
        super().__init__(
            f"the schema keyword {keyword!r} at {path or '#'} {why};"
            " leave it out and check the answer yourself"
        )


class GrammarTooLargeError(ConstraintError):
    """A grammar would take too much time or memory."""

    def __init__(self, *, what: str, size: int | None = None, limit: int | None = None) -> None:
        self.size = size
        self.limit = limit
        counted = "" if limit is None else f": {size}, at most {limit} are taken"
        super().__init__(f"{what} is too large{counted}; make it smaller or split the request")


class BudgetTooSmallError(ConstraintError):
    """The shortest output of the wanted form has more tokens than may be written."""

    def __init__(self, *, needed: int, budget: int) -> None:
        self.needed = needed
        self.budget = budget
        super().__init__(
            f"output of this form needs at least {needed} tokens and {budget} are allowed;"
            " raise max_tokens"
        )


class ConstraintConflictError(ConstraintError):
    """The constraints of a request leave no token, or not the one that was to come next."""


class RefusedPairError(ConstraintError):
    """Two features of a request exclude each other."""


class HeadError(LLMError):
    """A head's file is damaged, or it was trained for another model."""


class UnknownScorerError(HeadError, ValueError):
    """No head offers a scorer, or none is an adapter or n-gram model, of this name."""

    def __init__(self, name: str, known: Iterable[str], *, what: str = "scorer") -> None:
        self.name = name
        there = ", ".join(sorted(known))
        remedy = f"there are: {there}" if there else "`python -m api train` makes one"
        super().__init__(f"there is no {what} {name!r}; {remedy}")


class TrainingDataError(LLMError):
    """Labelled texts are missing, cannot be read, or are all of one kind."""


class WatermarkError(LLMError):
    """A mark cannot be made or looked for."""


class WatermarkKeysError(WatermarkError):
    """The watermark keys are missing, damaged, or others can read them."""


class UnknownWatermarkKeyError(WatermarkError, ValueError):
    """No watermark key has this name."""


class UndecidableTextError(WatermarkError, ValueError):
    """Whether a text is marked cannot be told, and why; no number would mean anything."""


class CancelledGenerationError(LLMError):
    """Generation was cancelled by its caller before any text was complete."""
