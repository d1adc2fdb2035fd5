"""Ten thousand random operations on stored collections against a brute-force model.

Hypothesis chooses the operations (`index.collection_machine`), a hundred runs of a hundred steps;
after every step all documents, chunks, scores and their order are compared.

    python -m benchmarks.collection_model [--operations 10000] [--json FILE]
"""

import argparse
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from benchmarks.report import Figure, write
from index.collection_machine import CollectionMachine

STEPS = 100
SEED = 0


class CountingMachine(CollectionMachine):
    """Counts the steps of all runs: each is followed by one look at everything."""

    num_steps = 0

    def __init__(self) -> None:
        super().__init__()
        CountingMachine.num_steps -= 1  # the look before the first step

    @invariant()
    def counts(self) -> None:
        CountingMachine.num_steps += 1


def run(num_operations: int) -> Figure:
    """Raise `AssertionError` at the first difference; return how many operations there were."""
    while CountingMachine.num_steps < num_operations:
        run_state_machine_as_test(
            CountingMachine,
            settings=settings(
                max_examples=max(1, (num_operations - CountingMachine.num_steps) // STEPS),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    return Figure(
        name="operations without a difference to the model",
        value=CountingMachine.num_steps,
        unit="",
        target=num_operations,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare collections with a model; see the top.")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    began = time.perf_counter()
    rows = [run(arguments.operations)]
    rows.append(Figure(name="time", value=time.perf_counter() - began, unit="s"))
    for row in rows:
        print(f"{row.name}: {row.value:g} {row.unit}")
    if arguments.json:
        write(arguments.json, rows, threads=1, seed=SEED)


if __name__ == "__main__":
    main()
