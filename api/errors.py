"""The exceptions of `api` that are not about one HTTP request.

ApplicationError            one sentence for the terminal, no traceback
├── ConfigurationError      settings that cannot be served
├── StateFolderHeldError    another process serves this state folder; names its pid and address
├── PortInUseError          somebody listens there already
├── TenantUnavailableError  the data of a tenant cannot be opened
├── FeedbackError           feedback that is not there, or cannot become a question
└── ServerError             a running server could not be asked, or answered with an error
"""


class ApplicationError(Exception):
    """A reason not to go on that the user can act on."""


class ConfigurationError(ApplicationError):
    """Settings that contradict each other or are not safe to serve."""


class StateFolderHeldError(ApplicationError):
    """Another process holds the state folder."""


class PortInUseError(ApplicationError):
    """The port to serve on is taken."""


class TenantUnavailableError(ApplicationError):
    """The data of a tenant cannot be opened; others are served all the same."""


class FeedbackError(ApplicationError):
    """There is no such feedback, or it does not say what would be right."""


class ServerError(ApplicationError):
    """The running server cannot be reached, or answered with an error.

    `status` is 0 where there was no answer; `retry_after_s` is how soon a 503 said to come again.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 1.0) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)
