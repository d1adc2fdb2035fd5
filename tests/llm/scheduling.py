"""A scheduler on a tiny cache, prompts for it, and steps that always draw the same token."""

from collections.abc import Sequence as Tokens

from llm.block_manager import BlockManager, CacheDomain
from llm.scheduler import Scheduler
from llm.sequence import Sequence
from llm.step_plan import Step

DOMAIN = CacheDomain(model="m")
SINK = CacheDomain(model="m", mode="sink:2:5")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def scheduler(
    num_blocks: int = 50,
    *,
    block_size: int = 3,
    max_rows: int = 20,
    max_running: int = 5,
    max_waiting: int = 50,
) -> tuple[Scheduler, BlockManager]:
    blocks = BlockManager(num_blocks=num_blocks, block_size=block_size)
    made = Scheduler(blocks, max_rows=max_rows, max_running=max_running, max_waiting=max_waiting)
    return made, blocks


def prompt(
    number: int,
    length: int,
    *,
    max_tokens: int = 4,
    priority: int = 0,
    token_ids: Tokens[int] | None = None,
) -> Sequence:
    ids = [100 * number + i for i in range(length)] if token_ids is None else list(token_ids)
    return Sequence(
        number=number,
        token_ids=ids,
        domain=DOMAIN,
        max_tokens=max_tokens,
        priority=priority,
        arrival=float(number),
    )


def spans(step: Step | None) -> list[tuple[int, int, int]]:
    assert step is not None
    return [(c.sequence.number, c.start, c.stop) for c in step.chunks]


def advance(served: Scheduler, token: int = 7) -> Step:
    """Run one step: each sequence that is due gets `token`, and leaves with its last."""
    step = served.schedule()
    assert step is not None
    served.commit(step)
    for chunk in step.chunks:
        if chunk.needs_logits:
            say(served, chunk.sequence, token)
    return step


def say(served: Scheduler, sequence: Sequence, token: int) -> None:
    served.append(sequence, token)
    if sequence.num_generated == sequence.max_tokens:
        served.finish(sequence)


def run(served: Scheduler, limit: int = 1000) -> int:
    for num_steps in range(limit):
        if not served.num_running and not served.num_waiting:
            return num_steps
        advance(served)
    raise AssertionError(f"still busy after {limit} steps")
