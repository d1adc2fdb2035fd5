"""The block manager against a memory of plain lists, whatever the order of calls."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llm.block_manager import HOLE, BlockManager, BlockTable, CacheDomain
from llm.errors import OutOfBlocksError
from llm.prefix_tree import blake2b_128
from tests.llm.paged_memory import PagedMemory

ROLLING = CacheDomain(model="m", mode="sink:1:4")
PLAIN = CacheDomain(model="m")
DOMAINS = [
    PLAIN,
    CacheDomain(model="m", tenant="t"),
    CacheDomain(model="m", adapter="t"),
    ROLLING,
]
NUM_BLOCKS = 13

# Texts that begin alike and part at any place.
prompts = st.builds(
    lambda base, length, end: (base * 9)[:length] + end,
    st.sampled_from([[0], [0, 0, 1]]),
    st.integers(0, 13),
    st.lists(st.integers(0, 1), min_size=1, max_size=4),
)
tokens = st.lists(st.integers(0, 1), min_size=1, max_size=7)
domains = st.sampled_from([*DOMAINS, PLAIN, ROLLING, ROLLING])
picks = st.integers(0, 5)


class Branch:
    def __init__(self, table: BlockTable, token_ids: list[int]) -> None:
        self.table = table
        self.token_ids = token_ids
        self.num_stored = table.num_tokens
        self.first_kept = 0

    def visible(self, pinned: int) -> list[int]:
        kept = [*range(min(pinned, self.first_kept)), *range(self.first_kept, self.num_stored)]
        return sorted(set(kept))


class BlockManagerMachine(RuleBasedStateMachine):
    digest: Callable[[bytes], bytes] = staticmethod(blake2b_128)
    is_injective = True

    @initialize(block_size=st.sampled_from([1, 2, 3]), pinned=st.integers(0, 4))
    def start(self, block_size: int, pinned: int) -> None:
        self.size = block_size
        self.pinned = pinned
        self.blocks = BlockManager(num_blocks=NUM_BLOCKS, block_size=block_size, digest=self.digest)
        self.memory = PagedMemory(num_blocks=NUM_BLOCKS, block_size=block_size)
        self.branches: list[Branch] = []
        self.num_queried = self.num_hit = 0
        self.has_rolled = False

    def any_branch(self, pick: int) -> Branch:
        return self.branches[pick % len(self.branches)]

    # --- rules -------------------------------------------------------------------------------

    @rule(token_ids=prompts, domain=domains)
    def open(self, token_ids: list[int], domain: CacheDomain) -> None:
        expected = self.blocks.match(token_ids, domain)
        table = self.blocks.open(token_ids, domain)
        assert table.num_tokens == expected
        assert table.num_tokens % self.size == 0
        assert table.num_tokens < len(token_ids), "the last token is always computed"
        self.num_queried += len(token_ids)
        self.num_hit += table.num_tokens
        # A hit holds these very tokens in this very domain, which the invariant reads back.
        self.branches.append(Branch(table, token_ids))

    @rule(token_ids=prompts, domain=domains)
    def prefill(self, token_ids: list[int], domain: CacheDomain) -> None:
        self.open(token_ids, domain)
        branch = self.branches[-1]
        stop = min(len(token_ids), self.blocks.reach(branch.table))
        self.memory.copy(self.blocks.reserve(branch.table, stop))
        self.store(branch, token_ids[:stop])

    @precondition(lambda self: self.branches)
    @rule(pick=picks, tokens=tokens)
    def decode(self, pick: int, tokens: list[int]) -> None:
        table = self.any_branch(pick).table
        stop = min(table.num_tokens + len(tokens), self.blocks.reach(table))
        self.memory.copy(self.blocks.reserve(table, stop))
        self.commit(pick, tokens)

    @rule(token_ids=prompts, domain=domains, more=st.integers(0, 2))
    def open_at_a_foretold_cost(self, token_ids: list[int], domain: CacheDomain, more: int) -> None:
        stop = len(token_ids) + more
        cost, free = self.blocks.cost(token_ids, domain, stop), self.blocks.num_free
        self.open(token_ids, domain)
        branch = self.branches[-1]
        if cost > free:
            with pytest.raises(OutOfBlocksError):
                self.blocks.reserve(branch.table, stop)
        else:
            assert self.blocks.reserve(branch.table, stop) == ()
            assert self.blocks.num_free == free - cost

    @precondition(lambda self: self.branches)
    @rule(pick=picks, more=st.integers(0, 9))
    def reserve(self, pick: int, more: int) -> None:
        table = self.any_branch(pick).table
        stop = table.num_tokens + more
        before = list(table.blocks), self.blocks.num_free, table.num_writable
        fits = stop <= max(self.blocks.reach(table), table.num_writable)
        try:
            copies = self.blocks.reserve(table, stop)
        except OutOfBlocksError:
            assert not fits
            assert before == (list(table.blocks), self.blocks.num_free, table.num_writable)
            return
        assert fits
        assert len(copies) <= 1
        assert table.num_writable >= stop
        self.memory.copy(copies)

    @precondition(lambda self: self.branches)
    @rule(pick=picks, tokens=tokens)
    def commit(self, pick: int, tokens: list[int]) -> None:
        """Compute and commit as many of the given tokens as were reserved."""
        branch = self.any_branch(pick)
        num_tokens, num_writable = branch.table.num_tokens, branch.table.num_writable
        self.store(branch, branch.token_ids[:num_tokens] + tokens[: num_writable - num_tokens])

    def store(self, branch: Branch, token_ids: list[int]) -> None:
        table, stop = branch.table, len(token_ids)
        version = self.blocks.version
        self.memory.compute(table, token_ids, table.num_tokens, stop)
        self.blocks.commit(table, token_ids, stop)
        branch.token_ids = token_ids
        branch.num_stored = stop
        if table.num_holes:
            assert self.blocks.version == version, "nothing enters the tree after a hole"
        elif self.is_injective:
            found = self.blocks.match([*token_ids, 0], table.domain)
            assert found == stop // self.size * self.size, "full blocks are found at once"

    @precondition(lambda self: self.branches)
    @rule(pick=picks)
    def fork(self, pick: int) -> None:
        parent = self.any_branch(pick)
        used = self.blocks.num_used
        child = Branch(self.blocks.fork(parent.table), list(parent.token_ids))
        child.first_kept = parent.first_kept
        assert child.num_stored == parent.num_stored
        assert self.blocks.num_used == used, "a fork takes no memory"
        self.branches.append(child)

    @precondition(lambda self: len(self.branches) > 2)
    @rule(pick=picks, again=st.booleans())
    def release(self, pick: int, again: bool) -> None:
        branch = self.branches.pop(pick % len(self.branches))
        self.blocks.release(branch.table)
        if again:
            self.blocks.release(branch.table)

    @precondition(lambda self: any(b.table.domain == ROLLING for b in self.branches))
    @rule(pick=picks, kept=st.integers(0, 5))
    def release_before(self, pick: int, kept: int) -> None:
        rolling = [b for b in self.branches if b.table.domain == ROLLING]
        branch = rolling[pick % len(rolling)]
        table = branch.table
        branch.first_kept = max(branch.first_kept, table.num_tokens - kept)
        self.blocks.release_before(table, first_kept=branch.first_kept, pinned=self.pinned)
        self.has_rolled |= table.num_holes > 0
        for i, block in enumerate(table.blocks):
            positions = range(i * self.size, (i + 1) * self.size)
            gone = all(self.pinned <= p < branch.first_kept for p in positions)
            assert (block == HOLE) == gone

    @precondition(lambda self: self.blocks.num_cached > 5)
    @rule(num_blocks=st.integers(1, 3))
    def evict(self, num_blocks: int) -> None:
        used, free = self.blocks.num_used, self.blocks.num_free
        cached = self.blocks.num_cached
        evicted = self.blocks.evict(num_blocks)
        assert cached - self.blocks.num_cached >= evicted
        if not self.has_rolled:
            assert evicted <= num_blocks, "ends are driven out before beginnings"
        assert (self.blocks.num_used, self.blocks.num_free) == (used, free)

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def every_branch_reads_what_was_computed_for_it(self) -> None:
        """So no write of a child, a sibling or a new owner of a block reached it."""
        for branch in self.branches:
            assert branch.table.num_tokens == branch.num_stored
            self.memory.check(branch.table, branch.token_ids, branch.visible(self.pinned))

    @invariant()
    def blocks_are_counted_once(self) -> None:
        self.blocks.check()
        held = {block for b in self.branches for block in b.table.blocks if block != HOLE}
        assert self.blocks.num_used == len(held)
        assert self.blocks.num_tables == len(self.branches)
        statistics = self.blocks.statistics
        assert (statistics.queried_tokens, statistics.hit_tokens) == (
            self.num_queried,
            self.num_hit,
        )

    @invariant()
    def nobody_may_write_to_a_block_of_another(self) -> None:
        held = Counter(block for branch in self.branches for block in branch.table.blocks)
        for branch in self.branches:
            table = branch.table
            if table.num_writable > table.num_tokens:
                first = table.num_tokens // self.size
                for block in table.blocks[first : -(-table.num_writable // self.size)]:
                    assert held[block] == 1

    def teardown(self) -> None:
        if not hasattr(self, "branches"):
            return
        for branch in self.branches:
            self.blocks.release(branch.table)
        self.blocks.check()
        assert (self.blocks.num_used, self.blocks.num_tables) == (0, 0)
        self.blocks.evict(NUM_BLOCKS)
        assert self.blocks.num_cached == 0


class ConstantDigestMachine(BlockManagerMachine):
    digest = staticmethod(lambda _: b"always the same")
    is_injective = False


class ShortDigestMachine(BlockManagerMachine):
    """Three bits: collisions of every kind, between some blocks and not others."""

    digest = staticmethod(lambda data: bytes([blake2b_128(data)[0] & 7]))
    is_injective = False


@pytest.mark.parametrize(
    "machine", [BlockManagerMachine, ConstantDigestMachine, ShortDigestMachine]
)
def test_the_laws_of_the_block_manager(machine: type[BlockManagerMachine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=100, stateful_step_count=50, deadline=None)
    )
