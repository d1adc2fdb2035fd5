"""The list of methods: complete, and readable from names and numbers."""

import pytest

from index.backend_contract import AnnBackendContract
from index.hnsw import HnswBuilder
from index.methods import METHODS, builder_of
from tests.index import (  # noqa: F401  # their contracts are looked for below
    test_flat,
    test_gpu,
    test_hnsw,
    test_ivfpq,
    test_kdtree,
    test_lsh,
    test_nsw,
    test_pq,
    test_scalar,
)


def test_every_method_keeps_the_contract() -> None:
    tested = {contract.builder.name for contract in AnnBackendContract.__subclasses__()}
    assert tested == set(METHODS)


def test_a_method_is_made_from_its_name_and_parameters() -> None:
    assert builder_of("hnsw", {"m": 8}) == HnswBuilder(m=8)
    with pytest.raises(ValueError, match="no index method 'annoy'; there are flat, hnsw"):
        builder_of("annoy")
    with pytest.raises(ValueError, match="parameters of 'hnsw' do not fit"):
        builder_of("hnsw", {"depth": 3})
    with pytest.raises(ValueError, match="m must be 2 to 128"):
        builder_of("hnsw", {"m": 1})
