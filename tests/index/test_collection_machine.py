"""Any sequence of operations against the model; `benchmarks.collection_model` takes 10,000."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from index.collection_machine import CollectionMachine
from index.errors import DamagedDocumentError
from index.segments import Segment

QUICK = settings(
    max_examples=5,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_every_state_is_that_of_the_model() -> None:
    run_state_machine_as_test(CollectionMachine, settings=QUICK)


@pytest.mark.slow
def test_the_machine_notices_a_deleted_chunk_that_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proof that cannot fail proves nothing: here segments do not learn of deletions."""

    def deaf(_segment: Segment, ids: np.ndarray, **_named: bool) -> np.ndarray:
        return ids[:0]

    monkeypatch.setattr("index.segments.Segment.mark", deaf)
    machine = CollectionMachine()
    try:
        machine.upsert({"u": [("copper", (1, 0, 0))], "v": [("kettle", (0, 1, 0))]})
        machine.seal(1)
        machine.holds_what_the_model_holds()
        machine.delete("u", is_purge=False)
        with pytest.raises(DamagedDocumentError):  # its row is gone, whatever the segment says
            machine.holds_what_the_model_holds()
    finally:
        machine.teardown()
