"""The single-layer graph: the contract, and what is true of its links."""

import numpy as np
import pytest

from index.backend_contract import AnnBackendContract, rows_for
from index.nsw import NswBuilder
from index.protocol import Metric


class TestNsw(AnnBackendContract):
    builder = NswBuilder(num_links=8, beam=24)
    most_effort = 128
    recall = 0.95


def test_every_row_can_be_reached() -> None:
    """Else no effort finds it."""
    rows = rows_for(Metric.L2, 701)
    backend = NswBuilder(num_links=6, beam=12).build(rows, Metric.L2, seed=1, threads=1)
    found, _ = backend.search(rows[:3], 701, effort=701)
    assert [sorted(some.tolist()) for some in found] == [list(range(701))] * 3
    reached = set(backend._entries.tolist())
    edge = reached
    while edge:
        edge = {int(link) for node in edge for link in backend._links[node] if link >= 0} - reached
        reached |= edge
    assert len(reached) == 701


def test_a_row_is_not_linked_to_itself_and_to_no_row_twice() -> None:
    backend = NswBuilder().build(rows_for(Metric.COSINE, 503), Metric.COSINE, seed=1, threads=1)
    for row, links in enumerate(backend._links):
        kept = links[links >= 0].tolist()
        assert row not in kept
        assert len(kept) > 0
        assert np.bincount(kept).max() == 1


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_links must be >= 1, got 0"):
        NswBuilder(num_links=0)
    with pytest.raises(ValueError, match="beam must be at least the 16 links of a row, got 4"):
        NswBuilder(beam=4)
