"""Which cached blocks follow which: a tree over full blocks, found by digest.

The digest of a node is made of its parent's digest, its tokens and its tags. On a hit the parent,
the tokens and the tags themselves are compared, so two contents of one digest are a miss and never
an error. Knows nothing of who uses a block nor of how many are free.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence

ROOT = -2  # the parent of first blocks
ROOT_DIGEST = bytes(16)


def blake2b_128(data: bytes) -> bytes:
    """Return a digest of 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


class PrefixTree:
    """The nodes among blocks 0 to `num_blocks` - 1, each of `block_size` tokens."""

    def __init__(
        self, *, num_blocks: int, block_size: int, digest: Callable[[bytes], bytes] = blake2b_128
    ) -> None:
        self.version = 0  # grows whenever a prompt might find more or less
        self._block_size = block_size
        self._digest = digest
        self._pack = struct.Struct(f"<{block_size}I").pack
        self._index: dict[bytes, int] = {}
        self._digests: list[bytes | None] = [None] * num_blocks
        self._tokens: list[tuple[int, ...]] = [()] * num_blocks
        self._tags = [b""] * num_blocks
        self._parents = [ROOT] * num_blocks
        self._children: list[set[int]] = [set() for _ in range(num_blocks)]

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, block: int) -> bool:
        return self._digests[block] is not None

    def find(self, token_ids: Sequence[int], tags: bytes) -> tuple[list[int], bytes]:
        """Return the nodes that hold the beginning of a prompt, and the digest of the last.

        The last token is never found, since its logits are needed: of n tokens at most
        floor((n - 1) / block_size) blocks come back.
        """
        size = self._block_size
        found: list[int] = []
        parent, last = ROOT, ROOT_DIGEST
        for start in range(0, (len(token_ids) - 1) // size * size, size):
            tokens = tuple(token_ids[start : start + size])
            digest = self._digest(last + self._pack(*tokens) + tags)
            block = self._index.get(digest)
            if block is None or not self._is_same(block, parent, tokens, tags):
                break
            found.append(block)
            parent, last = block, digest
        return found, last

    def enter(
        self, block: int, tokens: tuple[int, ...], tags: bytes, *, parent: int, last: bytes
    ) -> tuple[int | None, bytes]:
        """Make a block a node below `parent`, whose digest is `last`.

        Returns the node that stands for these tokens and its digest: the block itself, an equal
        one that was there before, or None if the digest belongs to something else.
        """
        assert parent == ROOT or parent in self, "who enters a block holds those before it"
        digest = self._digest(last + self._pack(*tokens) + tags)
        known = self._index.get(digest)
        if known is not None:
            return (known if self._is_same(known, parent, tokens, tags) else None), digest
        self._index[digest] = block
        self._digests[block] = digest
        self._tokens[block] = tokens
        self._tags[block] = tags
        self._parents[block] = parent
        if parent != ROOT:
            self._children[parent].add(block)
        self.version += 1
        return block, digest

    def forget(self, block: int) -> list[int]:
        """Take a node out, and all nodes below it, which no prompt could reach any more.

        Returns them all, the given one first.
        """
        parent = self._parents[block]
        if parent != ROOT:
            self._children[parent].discard(block)
        gone: list[int] = []
        pending = [block]
        while pending:
            node = pending.pop()
            gone.append(node)
            pending.extend(self._children[node])
            digest = self._digests[node]
            assert digest is not None, "only nodes are forgotten"
            del self._index[digest]
            self._digests[node] = None
            self._tokens[node] = ()
            self._children[node].clear()
        self.version += 1
        return gone

    def _is_same(self, block: int, parent: int, tokens: tuple[int, ...], tags: bytes) -> bool:
        # The parent is compared as a block: its own path was compared on the way there, and it
        # cannot hold something else by now, since nodes leave together with all below them.
        return (
            self._parents[block] == parent
            and self._tokens[block] == tokens
            and self._tags[block] == tags
        )

    def check(self) -> None:
        """Assert that index, parents and children agree; slow, for tests and soaks."""
        assert len(self._index) == sum(digest is not None for digest in self._digests)
        for block, digest in enumerate(self._digests):
            if digest is None:
                assert not self._children[block]
                continue
            assert self._index[digest] == block
            assert len(self._tokens[block]) == self._block_size
            parent = self._parents[block]
            assert parent == ROOT or (parent in self and block in self._children[parent])
            assert all(self._parents[child] == block for child in self._children[block])
