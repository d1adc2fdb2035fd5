import pytest
import torch

from llm.process_memory import give_back


def resident_kb() -> int:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_freed_weights_leave_the_resident_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's worth of tensors of a few megabytes used to stay with the allocator."""
    # Other tests' garbage may hold open resources, whose warnings would count here.
    monkeypatch.setattr("gc.collect", lambda: 0)
    before = resident_kb()
    weights = [torch.ones(576, 1536) for _ in range(60)]
    held = resident_kb() - before
    kept = weights[::20]
    del weights
    give_back()
    assert resident_kb() - before < held / 4
    assert len(kept) == 3
