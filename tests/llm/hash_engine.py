"""An engine whose model is a hash of what it reads from the blocks, so that wrong reads show."""

import hashlib
from collections.abc import Sequence as Tokens

from llm.block_manager import BlockManager
from llm.scheduler import Scheduler
from llm.sequence import Sequence, Window
from llm.step_plan import Step
from tests.llm.paged_memory import PagedMemory

VOCAB = 3


def seen(window: Window | None, position: int) -> list[int]:
    """Return the positions that the query at `position` reads."""
    everything = range(position + 1)
    if window is None:
        return list(everything)
    return [i for i in everything if i < window.sinks or position - i < window.size]


def draw(read: Tokens[int], position: int, number: int) -> int:
    """Return the token after `position`, where `read` are the tokens that it sees."""
    return hashlib.blake2b(repr((list(read), position, number)).encode()).digest()[0] % VOCAB


def alone(token_ids: Tokens[int], max_tokens: int, window: Window | None, number: int) -> list[int]:
    """Return prompt and reply as they are without a scheduler, a cache or company."""
    said = list(token_ids)
    for _ in range(max_tokens):
        last = len(said) - 1
        said.append(draw([said[i] for i in seen(window, last)], last, number))
    return said


class HashEngine:
    def __init__(self, scheduler: Scheduler, blocks: BlockManager) -> None:
        self.scheduler = scheduler
        self.memory = PagedMemory(num_blocks=blocks.num_blocks, block_size=blocks.block_size)

    def run(self, step: Step) -> list[Sequence]:
        """Compute one step and return the sequences that have all their tokens with it."""
        memory, scheduler = self.memory, self.scheduler
        memory.copy(step.copies)
        for chunk in step.chunks:
            assert chunk.sequence.table is not None
            memory.compute(chunk.sequence.table, chunk.sequence.token_ids, chunk.start, chunk.stop)
        # Attention reads when everything of the step is written, and before the window moves on.
        drawn = []
        for chunk in step.chunks:
            sequence, table = chunk.sequence, chunk.sequence.table
            assert table is not None
            for position in (chunk.start, chunk.stop - 1):
                memory.check(table, sequence.token_ids, seen(sequence.window, position))
            if chunk.needs_logits:
                last = chunk.stop - 1
                read = [memory.read(table, i) for i in seen(sequence.window, last)]
                drawn.append((sequence, draw(read, last, sequence.number)))
        scheduler.commit(step)
        for sequence, token in drawn:
            scheduler.append(sequence, token)
        finished = [s for s, _ in drawn if s.num_generated == s.max_tokens]
        for sequence in finished:
            scheduler.finish(sequence)
        return finished
