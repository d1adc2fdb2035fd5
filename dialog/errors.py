"""The exceptions of `dialog`.

DialogError
├── UnknownConversationError   no conversation has this id, or it belongs to somebody else
├── ConcurrentTurnError        somebody appended to the conversation in the meantime
├── ConversationBusyError      another turn of it was under way until the deadline
├── CorpusError                a corpus of dialogues cannot be read, or is not of its format
├── BotFileErrors              all that is wrong with a bot file; in `dialog.bot.problems`
├── BotFolderError             a bot's folder cannot be written, or holds files already
├── SimulationError            a `simulate:` entry that cannot be run, or a bot without goals
├── KnowledgeError             a bot's documents cannot be read
├── UnknownBotError            no bot of this name is served
├── BotVersionError            a conversation's version of its bot is not loaded any more
├── TimerGoneError             a timer was put off, or fired by somebody else
├── UnreadableEventError       a stored event of a kind or shape this program does not know
├── CommandError               no command has this head, or these arguments
├── ToolsMissingError          a turn that is to act, where there are no tools
├── StoryError                 a test of a bot file that cannot be run as it is written
└── ReplayError                a log that cannot be replayed, or that a replay does not reproduce
"""


class DialogError(Exception):
    """Anything that goes wrong in a conversation and is not the model's or the index's."""


class UnknownConversationError(DialogError):
    """No conversation of this owner has this id."""


class ConcurrentTurnError(DialogError):
    """Events were appended between reading a conversation and writing to it."""

    def __init__(self, *, conversation_id: str, expected_seq: int, actual_seq: int) -> None:
        self.conversation_id = conversation_id
        self.expected_seq = expected_seq
        self.actual_seq = actual_seq
        super().__init__(
            f"conversation {conversation_id!r} stands at event {actual_seq}, not {expected_seq}:"
            " another turn was recorded in the meantime; read it again and repeat the message"
        )


class ConversationBusyError(DialogError):
    """Another turn of the conversation took longer than this one may wait."""

    def __init__(self, *, conversation_id: str, timeout_s: float) -> None:
        self.conversation_id = conversation_id
        super().__init__(
            f"another turn of conversation {conversation_id!r} was under way for all of the"
            f" {timeout_s:g} s that this one may take; ask again when that one has ended"
        )


class UnreadableEventError(DialogError):
    """A stored event cannot be turned back into a value."""


class CorpusError(DialogError):
    """A corpus of annotated dialogues cannot be read as what it was said to be."""


class CommandError(DialogError):
    """A command that cannot be read: an unknown head, or arguments it does not take."""


class ToolsMissingError(DialogError):
    """A turn asks for tools and this service has none."""

    def __init__(self) -> None:
        super().__init__("this service has no tools; leave causerie.tools out")


class StoryError(DialogError):
    """A test of a bot that cannot be run: an unknown key, property, tool or tracker."""


class ReplayError(DialogError):
    """A log cannot be replayed as asked, or an unchanged bot does not say the same again."""


class BotFolderError(DialogError):
    """A bot's folder that cannot be written, or that holds what would be overwritten."""


class SimulationError(DialogError):
    """A simulation that cannot be run as it is written."""


class UnknownBotError(DialogError):
    """No bot has this name."""


class KnowledgeError(DialogError):
    """Documents of a bot that cannot be read or searched."""


class BotVersionError(DialogError):
    """The version of a bot that a conversation began with is not loaded any more."""


class TimerGoneError(DialogError):
    """A due timer is not there any more: it was put off, or somebody else has fired it."""
