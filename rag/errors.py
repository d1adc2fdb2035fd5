"""The exceptions of `rag`.

RAGError
├── ParseError           a file that cannot be turned into text; `reason` is one sentence
│   └── WebSourceError   a URL that cannot be fetched, or may not be
├── EmptyCollectionError a search in a collection that holds nothing yet
├── EvaluationSetError   a file of questions that cannot be used; says which line
├── RemovalDoubtError    an ingest would remove so much that it may be a mistake
├── WatchError           folders cannot be watched here
├── GateError            a gate that cannot be fitted or read
├── PlanError            a query plan that cannot be chosen or used
└── LaneLateError        a lane of a search that was not done in time; the others answer
"""

from collections.abc import Sequence
from enum import StrEnum


class FailureCode(StrEnum):
    """Why a source was not read, for machines; the sentence beside it is for people."""

    ENCRYPTED = "encrypted"
    NO_TEXT_LAYER = "no text layer"
    EMPTY = "empty"
    TOO_LARGE = "too large"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CORRUPT = "corrupt"
    UNSUPPORTED = "unsupported"
    MISSING_LIBRARY = "missing library"
    UNREADABLE = "unreadable"
    ADDRESS_REFUSED = "address refused"
    UNREACHABLE = "unreachable"
    HTTP_STATUS = "http status"
    SAME_URI = "same uri"
    NOT_STORED = "not stored"
    CANCELLED = "cancelled"


class RAGError(Exception):
    """Anything that goes wrong between a file and a grounded passage."""


class ParseError(RAGError):
    """A file could not be read as a document: broken, hostile, encrypted or of an unknown kind."""

    def __init__(self, reason: str, code: FailureCode = FailureCode.CORRUPT) -> None:
        self.reason = reason
        self.code = code
        super().__init__(reason)


class WebSourceError(ParseError):
    """A URL could not be fetched, or may not be: its scheme, its address, its answer."""


class EmptyCollectionError(RAGError):
    """The collection has no chunk to search."""


class EvaluationSetError(RAGError):
    """A file of questions cannot be read, or holds what is no question."""


class RemovalDoubtError(RAGError):
    """Applying a plan would remove most documents of a folder; `doubts` has a sentence each."""

    def __init__(self, doubts: Sequence[str]) -> None:
        self.doubts = tuple(doubts)
        super().__init__("; ".join(doubts))


class WatchError(RAGError):
    """Folders cannot be watched: a library is missing, or the system refuses."""


class GateError(RAGError):
    """A collection's gate cannot be fitted on what there is, or is no gate."""


class PlanError(RAGError):
    """A collection's query plan cannot be chosen on what there is, or needs what is not there."""


class LaneLateError(RAGError):
    """A lane of a search was not done before its deadline."""
