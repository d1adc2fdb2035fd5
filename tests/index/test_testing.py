"""The double keeps the contract that it stands for."""

import pytest

from index.lexical_contract import LexicalIndexContract
from index.testing import CollectionContract, MemoryCollection


class TestMemoryCollection(CollectionContract, LexicalIndexContract):
    @pytest.fixture
    def collection(self) -> MemoryCollection:
        return MemoryCollection()
