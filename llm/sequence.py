"""One branch of a request on its way through the engine: its tokens, its state, its blocks.

A mutable record which the scheduler moves and the engine reads. Knows nothing of how tokens are
chosen, nor what they mean.
"""

from dataclasses import dataclass, field
from enum import Enum

from llm.block_manager import BlockTable, CacheDomain


class SequenceState(Enum):
    """Where a sequence is; RUNNING is prefill and decoding."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a rolling cache keeps: the first `sinks` positions and the last `size`.

    The query at position i sees key j if j < `sinks` or i - j < `size` (Xiao et al., ICLR 2024).
    """

    sinks: int
    size: int

    def __post_init__(self) -> None:
        if self.sinks < 0:
            raise ValueError(f"sinks must be >= 0, got {self.sinks}")
        if self.size < 1:
            raise ValueError(f"size of a window must be >= 1, got {self.size}")

    def first_kept(self, num_computed: int) -> int:
        """Return the first position behind the sinks that the next query still sees."""
        return max(0, num_computed - self.size + 1)

    def num_blocks(self, block_size: int) -> int:
        """Return how many blocks hold all that one query sees, wherever the window lies in them."""
        return -(-self.sinks // block_size) - (1 - self.size) // block_size + 1


class Gang:
    """Sequences whose next tokens depend on one another, so that they take every step together.

    They are let in, turned out and computed together, the first one standing for all in the queue.
    `num_seats` is how many they may come to be.
    """

    __slots__ = ("members", "num_seats")

    def __init__(self, num_seats: int) -> None:
        self.members: list[Sequence] = []
        self.num_seats = num_seats

    def add(self, sequence: "Sequence") -> None:
        """Add a member."""
        assert sequence.gang is None, "a sequence is in one gang"
        assert len(self.members) < self.num_seats, "a gang grows no larger than was said"
        sequence.gang = self
        self.members.append(sequence)


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """Prompt and generated tokens of one branch, and how far they are computed.

    Of several sequences the one of the lower `priority` goes first, among equals the one of the
    earlier `arrival` (seconds, on any clock), then the lower `number`, which must be unique.
    `deadline` is in seconds on the scheduler's clock. `num_computed` positions have keys and
    values in `table`, which is there while the sequence is running.
    """

    number: int
    token_ids: list[int]  # copied; grows by what is generated
    domain: CacheDomain
    max_tokens: int
    priority: int = 0
    arrival: float = 0.0
    deadline: float | None = None
    window: Window | None = None  # None keeps all positions
    num_prompt_tokens: int = field(init=False)
    num_computed: int = field(init=False, default=0)
    state: SequenceState = field(init=False, default=SequenceState.WAITING)
    table: BlockTable | None = field(init=False, default=None)
    gang: Gang | None = field(init=False, default=None)
    draft: tuple[int, ...] = field(init=False, default=())  # guesses of what comes next
    # The rest is the scheduler's: the order of importance; when it was last served, counted in
    # chunks; how many admissions there had been when it was queued; the cached tokens it would
    # find, and the version of the prefix tree that was asked.
    rank: tuple[int, float, int] = field(init=False)
    last_served: int = field(init=False, default=0)
    queued_at: int = field(init=False, default=0)
    num_matched: int = field(init=False, default=0)
    match_version: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        if not self.token_ids:
            raise ValueError("a prompt needs at least one token, got none")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be >= 1, got {self.max_tokens}")
        self.token_ids = list(self.token_ids)
        self.num_prompt_tokens = len(self.token_ids)
        self.rank = (self.priority, self.arrival, self.number)

    def __repr__(self) -> str:
        return (
            f"Sequence({self.number}, {self.state.value}, {self.num_computed} of"
            f" {len(self.token_ids)} tokens computed)"
        )

    @property
    def unit(self) -> "tuple[Sequence, ...]":
        """The sequences that take each step with it, itself included."""
        return (self,) if self.gang is None else tuple(self.gang.members)

    @property
    def num_generated(self) -> int:
        """How many tokens were appended to the prompt."""
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def max_positions(self) -> int:
        """How many positions can come to be stored; the last token's never are."""
        return self.num_prompt_tokens + self.max_tokens - 1

    @property
    def is_prefilling(self) -> bool:
        """Whether more than the newest token is still to be computed."""
        return self.num_computed < len(self.token_ids) - 1
