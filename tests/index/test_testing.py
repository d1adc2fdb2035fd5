"""The double keeps the contract that it stands for."""

import pytest

from index.protocol import Collection
from index.testing import CollectionContract, MemoryCollection


class TestMemoryCollection(CollectionContract):
    @pytest.fixture
    def collection(self) -> Collection:
        return MemoryCollection()
