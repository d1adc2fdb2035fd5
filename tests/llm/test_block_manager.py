import pytest

from llm.block_manager import HOLE, BlockManager, BlockTable, CacheDomain
from llm.errors import LLMError, OutOfBlocksError

PLAIN = CacheDomain(model="m")


def manager(num_blocks: int = 7, block_size: int = 3) -> BlockManager:
    return BlockManager(num_blocks=num_blocks, block_size=block_size)


def stored(blocks: BlockManager, token_ids: list[int], domain: CacheDomain = PLAIN) -> BlockTable:
    """Return a branch that holds all of `token_ids`."""
    table = blocks.open(token_ids, domain)
    blocks.reserve(table, len(token_ids))
    blocks.commit(table, token_ids, len(token_ids))
    return table


# --- domains ---------------------------------------------------------------------------------


def test_a_tenant_cannot_be_spelled_like_an_adapter() -> None:
    """Parts that are only strung together would let a salt alias an adapter's name."""
    spelled = [
        CacheDomain(model="m", tenant="ab", adapter=""),
        CacheDomain(model="m", tenant="a", adapter="b"),
        CacheDomain(model="m", tenant="", adapter="ab"),
        CacheDomain(model="ma", tenant="b"),
        CacheDomain(model="m", tenant="\x03\x02\x00\x00\x00ab"),
        CacheDomain(model="m", mode="ab"),
        CacheDomain(model="mé"),
    ]
    assert len({domain.tags() for domain in spelled}) == len(spelled)
    assert CacheDomain(model="m", tenant="a", adapter="b").tags() == spelled[1].tags()


def test_a_domain_needs_a_model_and_a_mode() -> None:
    with pytest.raises(ValueError, match="needs a model and a mode"):
        CacheDomain(model="")
    with pytest.raises(ValueError, match="needs a model and a mode"):
        CacheDomain(model="m", mode="")


@pytest.mark.parametrize(
    "other",
    [
        CacheDomain(model="other"),
        CacheDomain(model="m", tenant="t"),
        CacheDomain(model="m", adapter="a@1"),
        CacheDomain(model="m", mode="sink:4:64"),
    ],
)
def test_equal_tokens_of_two_domains_are_never_shared(other: CacheDomain) -> None:
    blocks = manager()
    stored(blocks, [1, 2, 3, 4])
    assert blocks.match([1, 2, 3, 4], PLAIN) == 3
    assert blocks.match([1, 2, 3, 4], other) == 0


# --- sizes -----------------------------------------------------------------------------------


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="num_blocks must be >= 1, got 0"):
        manager(num_blocks=0)
    with pytest.raises(ValueError, match="block_size must be >= 1, got 0"):
        manager(block_size=0)


def test_a_branch_takes_as_many_blocks_as_its_positions_need() -> None:
    blocks = manager()
    table = blocks.open([1, 2, 3, 4], PLAIN)
    assert blocks.reserve(table, 4) == ()
    assert len(table.blocks) == blocks.num_used == 2
    assert table.num_writable == 6
    assert blocks.reserve(table, 6) == ()
    assert blocks.num_used == 2
    assert (blocks.num_free, blocks.num_tables) == (5, 1)


def test_reserving_more_than_is_free_changes_nothing() -> None:
    blocks = manager(num_blocks=3)
    table = stored(blocks, [1, 2, 3, 4])
    child = blocks.fork(table)
    before = list(child.blocks)
    with pytest.raises(OutOfBlocksError, match="3 blocks are needed and 1 are free") as caught:
        blocks.reserve(child, 10)
    assert isinstance(caught.value, LLMError)
    assert child.blocks == before
    assert blocks.reach(child) == 6
    assert len(blocks.reserve(child, 6)) == 1
    assert blocks.reach(child) == 6
    blocks.check()


def test_a_branch_whose_shared_end_cannot_be_copied_reaches_no_further() -> None:
    blocks = manager(num_blocks=2)
    child = blocks.fork(stored(blocks, [1, 2, 3, 4]))
    assert blocks.num_free == 0
    assert blocks.reach(child) == 4
    with pytest.raises(OutOfBlocksError):
        blocks.reserve(child, 5)


# --- prefix tree -----------------------------------------------------------------------------


def test_a_prompt_begins_with_the_blocks_of_an_equal_one() -> None:
    blocks = manager()
    first = stored(blocks, [1, 2, 3, 4, 5, 6, 7])
    second = blocks.open([1, 2, 3, 4, 5, 6, 8, 9], PLAIN)
    assert second.blocks == first.blocks[:2]
    assert second.num_tokens == 6
    assert blocks.num_used == 3


def test_the_last_token_is_never_found_since_its_logits_are_needed() -> None:
    blocks = manager()
    stored(blocks, [1, 2, 3, 4, 5, 6])
    assert blocks.match([1, 2, 3, 4, 5, 6], PLAIN) == 3
    assert blocks.match([1, 2, 3, 4, 5, 6, 7], PLAIN) == 6
    assert blocks.match([1], PLAIN) == 0


def test_blocks_stay_cached_after_their_branch() -> None:
    blocks = manager()
    blocks.release(stored(blocks, [1, 2, 3, 4]))
    assert (blocks.num_used, blocks.num_cached, blocks.num_free) == (0, 1, 7)
    again = blocks.open([1, 2, 3, 9], PLAIN)
    assert again.num_tokens == 3
    assert (blocks.num_used, blocks.num_free) == (1, 6)


def test_branches_computed_side_by_side_end_in_the_same_memory() -> None:
    blocks = manager()
    tokens = [1, 2, 3, 4, 5, 6, 7]
    tables = [blocks.open(tokens, PLAIN) for _ in range(2)]
    for table in tables:
        blocks.reserve(table, 7)
    assert blocks.num_used == 6
    versions = [table.version for table in tables]
    for table in tables:
        blocks.commit(table, tokens, 7)
    assert blocks.num_used == 4
    assert tables[0].blocks[:2] == tables[1].blocks[:2]
    assert [table.version for table in tables] == [versions[0], versions[1] + 2]
    blocks.check()


def test_ends_are_driven_out_before_beginnings_and_the_oldest_first() -> None:
    blocks = manager(num_blocks=4)
    blocks.release(stored(blocks, [1, 2, 3, 4, 5, 6]))
    blocks.release(stored(blocks, [7, 8, 9, 10, 11, 12]))
    assert blocks.evict(1) == 1
    assert blocks.match([1, 2, 3, 4, 5, 6, 0], PLAIN) == 3
    assert blocks.evict(2) == 2
    assert blocks.match([1, 2, 3, 0], PLAIN) == 0
    assert blocks.match([7, 8, 9, 10, 11, 12, 0], PLAIN) == 3
    assert blocks.evict(5) == 1
    assert blocks.num_cached == 0
    assert blocks.statistics.evictions == 4


def test_what_was_used_again_is_driven_out_later() -> None:
    blocks = manager(num_blocks=2)
    blocks.release(stored(blocks, [1, 2, 3]))
    blocks.release(stored(blocks, [4, 5, 6]))
    blocks.release(blocks.open([1, 2, 3, 0], PLAIN))
    table = blocks.open([7], PLAIN)
    blocks.reserve(table, 1)
    assert blocks.match([1, 2, 3, 0], PLAIN) == 3
    assert blocks.match([4, 5, 6, 0], PLAIN) == 0


def test_blocks_that_hold_nothing_are_taken_before_cached_ones() -> None:
    blocks = manager(num_blocks=3)
    blocks.release(stored(blocks, [1, 2, 3, 4, 5]))
    stored(blocks, [7, 8, 9, 10])
    assert blocks.match([1, 2, 3, 0], PLAIN) == 3
    assert blocks.statistics.evictions == 0


def test_statistics_count_what_was_asked_for_and_found() -> None:
    blocks = manager()
    stored(blocks, [1, 2, 3, 4])
    blocks.match([1, 2, 3, 4], PLAIN)
    blocks.open([1, 2, 3, 4, 5], PLAIN)
    assert blocks.statistics.queried_tokens == 9
    assert blocks.statistics.hit_tokens == 3


def test_a_cost_is_what_becomes_less_free() -> None:
    blocks = manager()
    table = stored(blocks, [1, 2, 3, 4, 5, 6])
    tokens = [1, 2, 3, 4, 5, 6, 7, 8]
    assert blocks.cost(tokens, PLAIN, 8) == 1
    blocks.release(table)
    assert blocks.cost(tokens, PLAIN, 8) == 3
    assert blocks.cost([9], PLAIN, 8) == 3


def test_a_digest_that_is_always_equal_makes_misses_and_no_error() -> None:
    blocks = BlockManager(num_blocks=7, block_size=2, digest=lambda _: b"same")
    table = stored(blocks, [1, 1, 1, 1, 1, 1])
    assert blocks.num_cached == 1
    assert blocks.match([1, 1, 1, 1, 1], PLAIN) == 2
    assert blocks.match([2, 2, 1, 1, 1], PLAIN) == 0
    assert stored(blocks, [2, 2, 2]).blocks[0] not in table.blocks
    blocks.check()


# --- forks -----------------------------------------------------------------------------------


def test_forked_blocks_are_copied_on_first_write() -> None:
    blocks = manager()
    parent = stored(blocks, [1, 2, 3, 4])
    child = blocks.fork(parent)
    assert child.blocks == parent.blocks
    assert blocks.num_used == 2
    (copy,) = blocks.reserve(child, 5)
    assert copy.source == parent.blocks[1]
    assert copy.target == child.blocks[1] != parent.blocks[1]
    assert blocks.reserve(parent, 5) == ()
    assert parent.blocks[0] == child.blocks[0]


def test_a_fork_of_full_blocks_copies_nothing() -> None:
    blocks = manager()
    parent = stored(blocks, [1, 2, 3])
    child = blocks.fork(parent)
    assert blocks.reserve(child, 4) == ()
    assert blocks.reserve(parent, 4) == ()
    assert child.blocks[0] == parent.blocks[0]
    assert child.blocks[1] != parent.blocks[1]


def test_the_last_of_several_branches_writes_in_place() -> None:
    blocks = manager()
    parent = stored(blocks, [1, 2, 3, 4])
    children = [blocks.fork(parent) for _ in range(2)]
    for child in children:
        assert len(blocks.reserve(child, 5)) == 1
    assert blocks.reserve(parent, 5) == ()


def test_what_was_only_reserved_stays_with_the_parent() -> None:
    blocks = manager()
    parent = stored(blocks, [1, 2])
    blocks.reserve(parent, 8)
    child = blocks.fork(parent)
    assert len(child.blocks) == 1
    blocks.release(child)
    assert blocks.reserve(parent, 8) == ()
    assert blocks.num_used == 3
    blocks.check()


def test_releasing_twice_is_releasing_once() -> None:
    blocks = manager()
    parent = stored(blocks, [1, 2, 3, 4])
    child = blocks.fork(parent)
    blocks.release(parent)
    blocks.release(parent)
    assert parent.is_released
    assert parent.num_tokens == 0
    assert blocks.num_used == 2
    blocks.release(child)
    assert blocks.num_used == 0
    blocks.check()


# --- rolling windows -------------------------------------------------------------------------


def test_blocks_outside_the_window_become_holes() -> None:
    blocks = manager()
    table = stored(blocks, list(range(14)))
    kept = list(table.blocks)
    blocks.release_before(table, first_kept=8, pinned=2)
    assert table.blocks == [kept[0], HOLE, *kept[2:]]
    blocks.release_before(table, first_kept=13, pinned=2)
    assert table.blocks == [kept[0], HOLE, HOLE, HOLE, kept[4]]
    assert table.num_holes == 3
    assert blocks.num_used == 2
    blocks.check()


def test_nothing_enters_the_tree_after_a_hole() -> None:
    blocks = manager()
    tokens = list(range(20))
    table = blocks.open(tokens, PLAIN)
    for stop in (7, 20):
        blocks.reserve(table, stop)
        blocks.commit(table, tokens, stop)
        blocks.release_before(table, first_kept=stop - 3, pinned=0)
    assert blocks.match(tokens, PLAIN) == 6
    blocks.release(table)
    assert blocks.match(tokens, PLAIN) == 6
    blocks.check()


def test_what_follows_a_block_that_was_driven_out_leaves_the_tree_with_it() -> None:
    """A prompt could reach it no more, and the block's number will mean something else."""
    blocks = manager(num_blocks=3)
    tokens = [1, 2, 3, 4, 5, 6]
    table = stored(blocks, tokens)
    blocks.release_before(table, first_kept=4, pinned=0)
    other = stored(blocks, [7, 8, 9, 10, 11, 12])
    assert blocks.num_free == 0
    assert blocks.match([*tokens, 0], PLAIN) == 0
    blocks.release(table)
    blocks.release(other)
    assert blocks.num_cached == 2
    blocks.check()
