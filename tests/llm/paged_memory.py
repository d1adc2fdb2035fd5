"""The memory of a paged cache as plain lists: what keys and values of each position stand for."""

from collections.abc import Iterable, Sequence

from llm.block_manager import HOLE, BlockCopy, BlockTable, CacheDomain

# Keys and values of a position depend on all tokens up to it, and on what is common to the domain.
Content = tuple[CacheDomain, tuple[int, ...]]


class PagedMemory:
    def __init__(self, *, num_blocks: int, block_size: int) -> None:
        self.block_size = block_size
        self.slots: list[list[Content | None]] = [[None] * block_size for _ in range(num_blocks)]

    def copy(self, copies: Iterable[BlockCopy]) -> None:
        made = list(copies)
        read = [list(self.slots[copy.source]) for copy in made]
        for copy, slots in zip(made, read, strict=True):
            self.slots[copy.target] = slots

    def compute(self, table: BlockTable, token_ids: Sequence[int], start: int, stop: int) -> None:
        for position in range(start, stop):
            block = table.blocks[position // self.block_size]
            assert block != HOLE
            content = table.domain, tuple(token_ids[: position + 1])
            self.slots[block][position % self.block_size] = content

    def read(self, table: BlockTable, position: int) -> int:
        """Return the token whose keys and values a branch finds at a position."""
        content = self.slots[table.blocks[position // self.block_size]][position % self.block_size]
        assert content is not None, f"position {position} was never computed"
        return content[1][-1]

    def check(self, table: BlockTable, token_ids: Sequence[int], positions: Iterable[int]) -> None:
        """Assert that these positions of a branch hold what was computed for its own tokens."""
        for position in positions:
            block = table.blocks[position // self.block_size]
            assert block != HOLE, f"position {position} is gone"
            found = self.slots[block][position % self.block_size]
            assert found == (table.domain, tuple(token_ids[: position + 1]))
