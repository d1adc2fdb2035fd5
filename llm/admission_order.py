"""Which waiting sequence is let in next: the one that finds most of its prompt computed already.

To have been passed over, and priority, count as cached tokens, so nobody waits for ever. Knows
nothing of seats and steps.
"""

from collections.abc import Sequence as Many
from heapq import nsmallest
from operator import attrgetter

from llm.block_manager import BlockManager
from llm.sequence import Sequence

# In cached tokens: what it is worth to have been passed over once, and one step of priority.
PASSED_OVER_WORTH = 256
PRIORITY_WORTH = 1024

_MAX_LOOKS = 8  # how many waiting prompts are looked up in the prefix tree at one admission


def next_waiting(waiting: Many[Sequence], blocks: BlockManager) -> Sequence:
    """Return the sequence that is worth most; what was looked up is noted in the sequences."""
    version = blocks.version
    for sequence in nsmallest(_MAX_LOOKS, waiting, key=attrgetter("match_version")):
        if sequence.match_version != version:
            sequence.num_matched = blocks.match(sequence.token_ids, sequence.domain)
            sequence.match_version = version
    return max(waiting, key=_worth)


def _worth(sequence: Sequence) -> int:
    # The times it was passed over are the admissions since it was queued; the admissions until
    # now are the same for all that are compared.
    return (
        sequence.num_matched
        - PRIORITY_WORTH * sequence.priority
        - PASSED_OVER_WORTH * sequence.queued_at
    )
