"""Faiss beside torch: two OpenMP runtimes in one process."""

import subprocess
import sys
from pathlib import Path

import pytest

from index.faiss_runtime import describe_build

ROOT = Path(__file__).parents[2]
WORK = """
import numpy as np
{imports}
torch.set_num_threads(2)
index = Memtable(5, Metric.L2, threads=1)
index.add(np.arange(3), np.eye(3, 5, dtype=np.float32))
assert index.search(np.eye(5)[1], 1)[0].tolist() == [1]
assert torch.get_num_threads() == 2
assert float((torch.ones(64, 64) @ torch.ones(64, 64)).sum()) == 64.0 ** 3
"""


def test_the_build_says_what_it_can_do() -> None:
    build = describe_build()
    assert build.version.split(".")[0].isdigit()
    assert build.num_gpus >= 0
    assert all(build.compile_options)


@pytest.mark.slow
@pytest.mark.parametrize("torch_first", [True, False])
def test_faiss_and_torch_work_in_either_order_of_import(torch_first: bool) -> None:
    imports = ["import torch", "from index.memtable import Memtable, Metric"]
    source = WORK.format(imports="\n".join(imports if torch_first else imports[::-1]))
    subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=True, timeout=120)
