"""Which block of the key/value cache holds what: block tables, prefix tree, copy-on-write forks.

A block holds the keys and values of `block_size` positions. Full blocks enter a prefix tree under
the digest of their parent, their tokens and their domain; a later branch that begins alike takes
them instead of computing them. Blocks that nobody uses stay in the tree until their memory is
needed, the least recently used first. Knows nothing of tensors, of requests or of when to run what.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.errors import OutOfBlocksError
from llm.prefix_tree import ROOT, ROOT_DIGEST, PrefixTree, blake2b_128

HOLE = -1  # stands in a table for a block that left the rolling window

_NEVER = 2**62  # more positions than any table has


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDomain:
    """What must be equal besides the tokens for keys and values to be shared.

    `model` is a fingerprint of weights, K/V dtype and positional settings, `adapter` reads
    "name@version", `mode` is "plain" or tells the rolling window ("sink:<sinks>:<size>"). In a
    service of several tenants `tenant` must be set: what another tenant has cached shows in the
    time to the first token.
    """

    model: str
    tenant: str = ""
    adapter: str = ""
    mode: str = "plain"

    def __post_init__(self) -> None:
        if not (self.model and self.mode):
            raise ValueError(f"a cache domain needs a model and a mode, got {self}")

    def tags(self) -> bytes:
        """Return the domain as bytes, equal for equal domains only.

        Each part is typed and has its length before it, so that no tenant can be spelled that
        reads like another's adapter.
        """
        parts = enumerate((self.model, self.tenant, self.adapter, self.mode), start=1)
        typed = ((kind, text.encode()) for kind, text in parts)
        return b"".join(struct.pack("<BI", kind, len(text)) + text for kind, text in typed)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCopy:
    """Keys and values of one whole block to be copied, in all layers, before the next forward."""

    source: int
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixStatistics:
    """Counters since the start: tokens asked for and found by `open`, blocks driven out."""

    queried_tokens: int
    hit_tokens: int
    evictions: int


class BlockTable:
    """The blocks of one branch; made by `BlockManager.open` and `fork`, changed by it alone.

    Position p lies in `blocks[p // block_size]`. `num_tokens` positions are stored and committed;
    `num_writable` may be written to before `reserve` is needed again. `version` grows when an
    entry of `blocks` is replaced (copied on write, exchanged for an equal cached block, released
    from the window), and not when blocks are appended.
    """

    __slots__ = (
        "blocks",
        "digest",
        "domain",
        "is_released",
        "next_full",
        "num_cached",
        "num_holes",
        "num_tokens",
        "num_writable",
        "tags",
        "version",
    )

    def __init__(self, domain: CacheDomain, tags: bytes) -> None:
        self.domain = domain
        self.blocks: list[int] = []
        self.num_tokens = 0
        self.num_writable = 0
        self.num_holes = 0
        self.version = 0
        self.is_released = False
        # For the manager only: the domain as bytes; how many blocks at the beginning are a path of
        # the prefix tree, and the digest of the last; how many tokens make `commit` enter one more.
        self.tags = tags
        self.num_cached = 0
        self.digest = ROOT_DIGEST
        self.next_full = 0


class BlockManager:
    """Hands out the blocks of one cache; not safe for several threads at once.

    Laws: a position is never writable in a block of two tables; a block is in use, cached or empty,
    and only one of them; what `open` returns holds exactly the tokens and the domain asked for,
    whatever the digest function does, because both are compared.
    """

    def __init__(
        self,
        *,
        num_blocks: int,
        block_size: int,
        digest: Callable[[bytes], bytes] = blake2b_128,
    ) -> None:
        """Manage blocks 0 to `num_blocks` - 1; `digest` may be any function, even a constant."""
        if num_blocks < 1:
            raise ValueError(f"num_blocks must be >= 1, got {num_blocks}")
        if block_size < 1:
            raise ValueError(f"block_size must be >= 1, got {block_size}")
        self.num_blocks = num_blocks
        self.block_size = block_size
        self._references = [0] * num_blocks
        self._empty = list(range(num_blocks - 1, -1, -1))  # free, hold nothing: taken first
        self._unused: OrderedDict[int, None] = OrderedDict()  # free, cached: the oldest first
        self._tables: set[BlockTable] = set()
        self._tree = PrefixTree(num_blocks=num_blocks, block_size=block_size, digest=digest)
        self._queried_tokens = 0
        self._hit_tokens = 0
        self._evictions = 0

    @property
    def num_free(self) -> int:
        """How many blocks can be had, those included that are cached but in no table."""
        return len(self._empty) + len(self._unused)

    @property
    def num_used(self) -> int:
        """How many blocks are in a table."""
        return self.num_blocks - self.num_free

    @property
    def num_cached(self) -> int:
        """How many blocks the prefix tree has, in use or not."""
        return len(self._tree)

    @property
    def num_tables(self) -> int:
        """How many branches are open."""
        return len(self._tables)

    @property
    def version(self) -> int:
        """Grows whenever `match` might find more or less than before."""
        return self._tree.version

    @property
    def statistics(self) -> PrefixStatistics:
        """What the prefix tree was asked for and found."""
        return PrefixStatistics(
            queried_tokens=self._queried_tokens,
            hit_tokens=self._hit_tokens,
            evictions=self._evictions,
        )

    # --- branches ----------------------------------------------------------------------------

    def open(self, token_ids: Sequence[int], domain: CacheDomain) -> BlockTable:
        """Begin a branch with the cached blocks of its beginning.

        At most floor((n - 1) / block_size) blocks are taken: the last token has to be computed
        since its logits are needed. Takes no block that is not cached, so it cannot fail.
        """
        table = BlockTable(domain, domain.tags())
        blocks, table.digest = self._tree.find(token_ids, table.tags)
        for block in blocks:
            self._hold(block)
        table.blocks = blocks
        table.num_tokens = table.num_writable = len(blocks) * self.block_size
        table.num_cached = len(blocks)
        table.next_full = table.num_tokens + self.block_size
        self._tables.add(table)
        self._queried_tokens += len(token_ids)
        self._hit_tokens += table.num_tokens
        return table

    def match(self, token_ids: Sequence[int], domain: CacheDomain) -> int:
        """Return how many tokens `open` would find now; nothing is taken or counted."""
        return len(self._tree.find(token_ids, domain.tags())[0]) * self.block_size

    def cost(self, token_ids: Sequence[int], domain: CacheDomain, num_tokens: int) -> int:
        """Return how much smaller `num_free` gets by opening a branch and reserving positions.

        Cached blocks that others use cost nothing, those that nobody uses are counted.
        """
        found, _ = self._tree.find(token_ids, domain.tags())
        shared = sum(1 for block in found if self._references[block])
        return max(-(-num_tokens // self.block_size), len(found)) - shared

    def reach(self, table: BlockTable) -> int:
        """Return the largest number of positions that `reserve` could make writable now."""
        free = self.num_free
        if self._has_shared_tail(table):
            if not free:
                return table.num_tokens
            free -= 1
        return (len(table.blocks) + free) * self.block_size

    def reserve(self, table: BlockTable, num_tokens: int) -> tuple[BlockCopy, ...]:
        """Make positions from `table.num_tokens` up to `num_tokens` writable.

        Returns the copy that must be made before the next forward if the last, partial block was
        shared with another branch.

        Raises:
            OutOfBlocksError: too few blocks are free; nothing was changed.
        """
        if num_tokens <= table.num_writable:
            return ()
        assert not table.is_released, "a released table cannot grow"
        is_shared = self._has_shared_tail(table)
        missing = max(0, -(-num_tokens // self.block_size) - len(table.blocks))
        if missing + is_shared > (free := self.num_free):
            raise OutOfBlocksError(needed=missing + is_shared, free=free)
        copies: tuple[BlockCopy, ...] = ()
        if is_shared:
            i = table.num_tokens // self.block_size
            copies = (BlockCopy(source=table.blocks[i], target=self._take()),)
            self._drop(table.blocks[i])
            table.blocks[i] = copies[0].target
            table.version += 1
        for _ in range(missing):
            table.blocks.append(self._take())
        table.num_writable = len(table.blocks) * self.block_size
        return copies

    def commit(self, table: BlockTable, token_ids: Sequence[int], num_tokens: int) -> None:
        """Note that positions below `num_tokens` hold keys and values of `token_ids`.

        Full blocks enter the prefix tree. Where an equal block is there already, the table is
        switched to it and ours is freed, so equal prompts that were computed side by side end up
        in the same memory. After a hole, and after a digest that belongs to something else, a
        branch enters no more blocks.
        """
        assert table.num_tokens <= num_tokens <= table.num_writable, "commit follows reserve"
        table.num_tokens = num_tokens
        while num_tokens >= table.next_full:
            self._enter(table, token_ids)

    def fork(self, table: BlockTable) -> BlockTable:
        """Return a second branch with the same committed positions, in the same blocks.

        The last block is copied by whichever of the two first reserves room in it. What was
        reserved and not committed has to be reserved again.
        """
        assert not table.is_released, "a released table cannot be forked"
        child = BlockTable(table.domain, table.tags)
        child.blocks = table.blocks[: -(-table.num_tokens // self.block_size)]
        child.num_tokens = child.num_writable = table.num_writable = table.num_tokens
        child.num_holes = table.num_holes
        child.num_cached = table.num_cached
        child.digest = table.digest
        child.next_full = table.next_full
        for block in child.blocks:
            if block != HOLE:
                self._references[block] += 1
        self._tables.add(child)
        return child

    def release(self, table: BlockTable) -> None:
        """Give all blocks back, the last one first, so that ends are driven out before beginnings.

        A table that is released already is left alone.
        """
        if table.is_released:
            return
        table.is_released = True
        self._tables.remove(table)
        for block in reversed(table.blocks):
            if block != HOLE:
                self._drop(block)
        table.blocks = []
        table.num_tokens = table.num_writable = table.num_holes = 0
        table.version += 1

    def release_before(self, table: BlockTable, *, first_kept: int, pinned: int) -> None:
        """Give back the blocks all of whose positions lie in [`pinned`, `first_kept`).

        They become holes. `first_kept` must not go back between two calls for one table.
        """
        assert first_kept <= table.num_tokens, "only committed positions leave the window"
        first = -(-pinned // self.block_size) + table.num_holes
        stop = first_kept // self.block_size
        if first >= stop:
            return
        blocks = table.blocks
        for i in range(stop - 1, first - 1, -1):
            self._drop(blocks[i])
            blocks[i] = HOLE
        table.num_holes += stop - first
        table.version += 1
        table.next_full = _NEVER

    def evict(self, num_blocks: int) -> int:
        """Forget so many cached blocks that nobody uses, if there are; return how many it were."""
        before = len(self._empty)
        while self._unused and len(self._empty) < before + num_blocks:
            self._empty.append(self._evict_oldest())
        return len(self._empty) - before

    # --- blocks ------------------------------------------------------------------------------

    def _take(self) -> int:
        block = self._empty.pop() if self._empty else self._evict_oldest()
        self._references[block] = 1
        return block

    def _hold(self, block: int) -> None:
        if not self._references[block]:
            del self._unused[block]
        self._references[block] += 1

    def _drop(self, block: int) -> None:
        self._references[block] -= 1
        if self._references[block]:
            return
        if block not in self._tree:
            self._empty.append(block)
        else:
            self._unused[block] = None

    def _has_shared_tail(self, table: BlockTable) -> bool:
        if not table.num_tokens % self.block_size:
            return False
        return self._references[table.blocks[table.num_tokens // self.block_size]] > 1

    # --- prefix tree -------------------------------------------------------------------------

    def _enter(self, table: BlockTable, token_ids: Sequence[int]) -> None:
        """Put the next full block of a table into the tree, or the tree's block into the table."""
        i, size = table.num_cached, self.block_size
        block = table.blocks[i]
        node, table.digest = self._tree.enter(
            block,
            tuple(token_ids[i * size : (i + 1) * size]),
            table.tags,
            parent=table.blocks[i - 1] if i else ROOT,
            last=table.digest,
        )
        if node is None:
            table.next_full = _NEVER
            return
        if node != block:
            self._hold(node)
            self._drop(block)
            table.blocks[i] = node
            table.version += 1
        table.num_cached = i + 1
        table.next_full = (i + 2) * size

    def _evict_oldest(self) -> int:
        block, _ = self._unused.popitem(last=False)
        gone = self._tree.forget(block)
        # Ends were released before beginnings, so there is something below this block only where
        # a rolling window left it while the later blocks stayed in use.
        for node in gone[1:]:
            if not self._references[node]:
                del self._unused[node]
                self._empty.append(node)
        self._evictions += len(gone)
        return block

    # --- self-check --------------------------------------------------------------------------

    def check(self) -> None:
        """Assert everything that must hold between two calls; slow, for tests and soaks."""
        references = [0] * self.num_blocks
        for table in self._tables:
            assert table.num_tokens <= len(table.blocks) * self.block_size
            assert table.num_holes == table.blocks.count(HOLE)
            for block in table.blocks:
                if block != HOLE:
                    references[block] += 1
        assert references == self._references
        used = {block for block, count in enumerate(references) if count}
        assert len(used) == self.num_used
        assert used | set(self._empty) | set(self._unused) == set(range(self.num_blocks))
        assert used.isdisjoint(self._empty)
        assert used.isdisjoint(self._unused)
        assert all(block in self._tree for block in self._unused)
        assert not any(block in self._tree for block in self._empty)
        self._tree.check()
