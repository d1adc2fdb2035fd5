"""What `simulate:` may say, and what is answered where it says something else."""

import pytest

from dialog.errors import SimulationError
from dialog.simulation.goal import Persona
from dialog.simulation.specification import Bound, read_specification


def test_an_entry_is_read_whole_also_where_its_numbers_are_text() -> None:
    spec = read_specification(
        {
            "users": {"cooperative": "60", "corrects": "15"},
            "noise": {"typos": ".05"},
            "dialogues": "20",
            "seed": "7",
            "expect": {"success": ">= .95", "pass^5": ">= .85", "unconfirmed_writes": "0"},
        }
    )
    assert spec.users == {Persona.COOPERATIVE: 60, Persona.CORRECTS: 15}
    assert (spec.noise.typos, spec.dialogues, spec.seed) == (0.05, 20, 7)
    assert spec.expect == (
        Bound(figure="success", sign=">=", value=0.95),
        Bound(figure="pass^5", sign=">=", value=0.85),
        Bound(figure="unconfirmed_writes", sign="=", value=0),
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"user": {}}, "simulate has no key 'user'; it has users"),
        ({"users": {"nice": 1}}, "users has no key 'nice'; it has cooperative"),
        ({"users": {"cooperative": "many"}}, "users.cooperative is a number, got 'many'"),
        ({"users": {"cooperative": 0}}, "needs a persona with a weight above 0"),
        ({"noise": {"typos": 7}}, r"typos is a rate in \[0, 1\]"),
        ({"expect": {"joy": ">= 1"}}, "expect is one of success"),
        ({"expect": {"success": "most"}}, "with a bound such as"),
        ({"dialogues": 0}, "must be at least 1"),
        ("cooperative", "an entry of simulate is a mapping"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(written: object, words: str) -> None:
    with pytest.raises(SimulationError, match=words):
        read_specification(written)


def test_a_bound_is_told_beside_the_figure() -> None:
    assert Bound(figure="success", sign=">=", value=0.95).holds(0.95)
    assert not Bound(figure="exact_repeats", sign="=", value=0).holds(1)
    assert str(Bound(figure="turns_p90", sign="<=", value=14)) == "turns_p90 <= 14"
