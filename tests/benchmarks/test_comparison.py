import math
from collections.abc import Sequence

from benchmarks.comparison import (
    faithful,
    figures,
    model_name,
    setting_name,
    settings_table,
    table,
)
from benchmarks.perplexity import Score
from benchmarks.rounds import Contender, Race, Task


def never(contender: Contender, number: int) -> float:
    raise AssertionError("nothing is measured here")


def score(name: str, ratio: float) -> Score:
    return Score(
        name=name,
        losses=(3.0, 3.0),
        excesses=(math.log(ratio),) * 2,
        max_difference=1.0,
        num_same=9,
        num_tokens=10,
    )


SCORES = [score("fp32", 1.0), score("llama.cpp Q4_0", 1.2), score("llama.cpp Q8_0", 1.004)]
SLOW = setting_name("llama.cpp Q8_0", flash_attention=False)
RACES = [
    Race(
        task=Task(name="prefill", run=never, target=2.5),
        ours=(30.0, 20.0, 25.0),
        rivals={"llama.cpp Q4_0": (10.0, 10.0, 11.0), SLOW: (5.0, 5.0, 4.0)},
    )
]


def by_name(races: Sequence[Race], scores: Sequence[Score]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures(races, scores)}


def test_a_setting_is_known_by_its_model() -> None:
    assert model_name(SLOW) == "llama.cpp Q8_0"
    assert model_name("llama.cpp Q4_0") == "llama.cpp Q4_0"


def test_ratios_are_given_to_the_fastest_and_to_the_fastest_that_is_faithful() -> None:
    assert faithful(SCORES) == {"fp32", "llama.cpp Q8_0"}
    found = by_name(RACES, SCORES)
    assert found["prefill"] == 25.0
    assert found["prefill over the fastest llama.cpp"] == 2.5
    assert found["prefill over the fastest llama.cpp within 1 % of fp32's perplexity"] == 5.0
    assert found[f"prefill, {SLOW}"] == 5.0


def test_the_target_belongs_to_the_ratio_over_the_fastest_of_all() -> None:
    met = {figure.name: figure.met for figure in figures(RACES, SCORES)}
    assert {name for name, value in met.items() if value is not None} == {
        "prefill over the fastest llama.cpp"
    }
    assert "| prefill | 25 (20 to 30) | 10 (10 to 11) Q4_0 | 2.50 (2.00 to 3.00) | 2.5: met |" in (
        table(RACES, SCORES)
    )


def test_without_rivals_there_are_only_our_own_figures() -> None:
    alone = [Race(task=RACES[0].task, ours=(2.0,), rivals={})]
    assert by_name(alone, []) == {"prefill": 2.0}
    assert table(alone, []).splitlines()[-1] == "| prefill | 2 (2 to 2) |  |  |  |  |  |"


def test_every_setting_stands_beside_its_perplexity() -> None:
    lines = settings_table(RACES, SCORES).splitlines()
    assert lines[2:] == [
        "| llama.cpp Q4_0 | +20.0 % | 10 |",
        "| llama.cpp Q8_0, no flash attention | +0.4 % | 5 |",
    ]
