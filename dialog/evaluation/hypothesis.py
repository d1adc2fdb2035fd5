"""What a tracker says about a turn of a corpus, and the port to such trackers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dialog.evaluation.corpus import CorpusDialogue, CorpusTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one slot in one turn; `value` None leaves it as it was."""

    service: str
    slot: str
    value: str | None
    p: float
    evidence: str = ""  # a name for the kind of reading, for calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnHypothesis:
    """The state after a turn by service, and what else the turn was understood to say.

    `invented` are values in the state that came from nowhere: neither words of the dialogue, nor a
    table, nor the ontology, nor a normaliser.
    """

    states: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    intents: Mapping[str, str] = field(default_factory=dict)
    requested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    invented: tuple[str, ...] = ()
    tokens_computed: int = 0


class DialogueTracker(Protocol):
    """Tracks the dialogues of one corpus, one after the other."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    def begin(self, dialogue: CorpusDialogue) -> None:
        """Forget the dialogue before; nothing of the new one's turns may be looked at."""
        ...

    def turn(self, turn: CorpusTurn) -> TurnHypothesis:
        """Return the state after a turn; of its frames only the names of the services are seen."""
        ...
