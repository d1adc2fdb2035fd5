"""What a tool may know of the call it serves: for whom, until when, and whether it is given up."""

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """For whom a call is made: a user, in a conversation, on a task of it."""

    user: str = ""
    conversation: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One call: its caller, its deadline by `time.monotonic`, and whether it was given up.

    `idempotency_key` is the same in every attempt at the same deed: a remote service that is given
    it does the deed once. "" where the tool declares none.
    """

    caller: Caller = field(default_factory=Caller)
    deadline: float = float("inf")
    idempotency_key: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits any more; a function that takes long asks now and then."""
        return self.cancel.is_set() or time.monotonic() >= self.deadline

    def remaining_s(self) -> float:
        """Return how much time is left, at least 0."""
        return max(0.0, self.deadline - time.monotonic())
