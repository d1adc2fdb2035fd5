"""The GPU's index: the contract on whatever there is, and what it says without a GPU."""

import logging

import pytest

from index import gpu
from index.backend_contract import AnnBackendContract, rows_for
from index.faiss_runtime import describe_build
from index.gpu import GpuBuilder
from index.protocol import Metric


class TestGpu(AnnBackendContract):
    builder = GpuBuilder()
    most_effort = 39
    recall = 0.95


@pytest.mark.skipif(describe_build().num_gpus > 0, reason="there is a GPU")
def test_without_a_gpu_it_says_once_that_the_cpu_serves(caplog: pytest.LogCaptureFixture) -> None:
    gpu._has_gpu.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            GpuBuilder().build(rows_for(Metric.L2, 101), Metric.L2, seed=1, threads=1)
    assert [record.message.split(":")[0] for record in caplog.records] == ["FAISS finds no GPU"]
    assert list(GpuBuilder.space(100_000, 384)) == []


@pytest.mark.gpu
@pytest.mark.skipif(describe_build().num_gpus == 0, reason="needs a GPU that FAISS can use")
def test_with_a_gpu_it_is_used() -> None:
    backend = GpuBuilder().build(rows_for(Metric.L2), Metric.L2, seed=1, threads=1)
    assert "Gpu" in type(backend._searched).__name__


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_lists must be >= 0, got -1"):
        GpuBuilder(num_lists=-1)
