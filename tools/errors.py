"""The exceptions of `tools`.

ToolError
├── ToolDeclarationError     a function that cannot be a tool as it is declared: ours to mend
│   └── DuplicateToolError       two tools of one name
├── UnknownToolError         no tool has this name; the message holds the nearest one
├── UnknownStrategyError     the agent has no such strategy; a ValueError too
├── AuditError               a call could not be written down, so it is not made
├── AgentRunError            a run of the tool agent that cannot be taken up
│   ├── UnknownRunError          nobody of this name has such a run
│   ├── UnreadableEventError     a stored event is damaged or of a newer program
│   └── RunConflictError         the run has ended, moved on, or does not wait for that
└── ToolCallError            raised by a tool about one call; the executor makes a result of it
    ├── InvalidArgumentError     an argument cannot be meant: the model may call again
    ├── NotFoundError            nothing is there: the model may call again
    ├── ConflictError            what is there forbids it: the model may call again
    ├── RetryableError           the world failed for a moment: the executor calls again
    ├── DeniedError              not for this caller: the model may not call again
    └── FatalError               it will not work: the model may not call again

Whatever else a tool raises is a bug of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ToolError(Exception):
    """Anything that goes wrong with a tool and is not the model's mistake."""


class ToolDeclarationError(ToolError):
    """A function, or what is said of it, that no tool can be made of."""


class DuplicateToolError(ToolDeclarationError):
    """Two tools have the same name."""


class UnknownToolError(ToolError):
    """No tool has this name."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        known = sorted(names)
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        nearest = get_close_matches(name[:80], known, n=1, cutoff=0.6)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {known}"
        super().__init__(f"no tool is called {shown!r}; {hint}")


class UnknownStrategyError(ToolError, ValueError):
    """The tool agent has no strategy of this name."""


class AuditError(ToolError):
    """The audit log cannot be written or read."""


class AgentRunError(ToolError):
    """A run of the tool agent cannot be taken up."""


class UnknownRunError(AgentRunError):
    """The owner has no run of this id."""


class UnreadableEventError(AgentRunError):
    """A stored event is damaged, or was written by a newer program."""


class RunConflictError(AgentRunError):
    """The run is not where the caller thinks it is."""


class ToolCallError(ToolError):
    """What is wrong with one call; its text is shown to the model."""


class InvalidArgumentError(ToolCallError):
    """An argument that has the right form and yet cannot be meant; `argument` is its name."""

    def __init__(self, argument: str, reason: str) -> None:
        self.argument = argument
        super().__init__(f"{argument}: {reason}")


class NotFoundError(ToolCallError):
    """What the call asks for does not exist."""


class ConflictError(ToolCallError):
    """What is there already does not allow the call."""


class RetryableError(ToolCallError):
    """A failure that may be over in a moment."""


class DeniedError(ToolCallError):
    """This caller may not do that."""


class FatalError(ToolCallError):
    """The call cannot succeed, whatever the arguments."""
