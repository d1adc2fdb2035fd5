"""Whether a value is accepted, echoed, asked about or asked again: the way of least expected cost.

The unit is one turn. With p and p2 the probabilities of the best two values, q = 1 - p, W what
acting on a wrong value costs, R a repair, h the chance that a user objects to a wrong echo and e
that of a careless yes:

    accept         q W
    implicit       0.3 + q (h R + (1 - h) W)
    explicit       1 + q ((1 - e) R + e W)
    choice         1.2 + (1 - p - p2) ((1 - e) R + e W)        "A or B?"
    ask again      2.2

Pure, and free of the bot file: who calls it says what the costs are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Confirmation(StrEnum):
    """What is done with a value that was understood, the cheapest for the user first."""

    ACCEPT = "accept"
    IMPLICIT = "implicit"
    EXPLICIT = "explicit"
    CHOICE = "choice"
    ASK_AGAIN = "ask_again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationCosts:
    """The costs in turns and the chances; `read` and `write` are W of tasks that look, or act."""

    read: float = 3.0
    write: float = 25.0
    repair: float = 2.0
    objects: float = 0.7
    careless: float = 0.02
    implicit: float = 0.3
    explicit: float = 1.0
    choice: float = 1.2
    ask_again: float = 2.2

    def __post_init__(self) -> None:
        for name in ("read", "write", "repair", "implicit", "explicit", "choice", "ask_again"):
            if not (cost := getattr(self, name)) >= 0:
                raise ValueError(f"the cost {name!r} must be >= 0 turns, got {cost}")
        for name in ("objects", "careless"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                raise ValueError(f"the chance {name!r} must be in [0, 1], got {chance}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The choice, and the expected cost of every way that was open."""

    choice: Confirmation
    costs: Mapping[Confirmation, float] = field(default_factory=dict)


DEFAULT_COSTS = ConfirmationCosts()


def weigh(
    p: float,
    second: float = 0.0,
    *,
    is_write: bool,
    cost: float | None = None,
    may_be_silent: bool = True,
    costs: ConfirmationCosts = DEFAULT_COSTS,
) -> Weighed:
    """Return the way of least expected cost; of equals the one with fewer words to the user.

    `second` is the next best value's probability, 0 if there is none. `cost` is W for this slot,
    None for the default. For a write, a value that nobody said (inferred, carried over, or heard
    below the recogniser's floor) has `may_be_silent` false and is never just accepted.

    Raises:
        ValueError: the two are no probabilities of different values, or a cost is negative.
    """
    if not (0 <= second <= 1 and 0 <= p <= 1 and p + second <= 1 + 1e-9):
        raise ValueError(
            f"p and second must be probabilities with a sum <= 1, got {p} and {second}"
        )
    wrong = cost if cost is not None else costs.write if is_write else costs.read
    if not wrong >= 0:
        raise ValueError(f"the cost of a wrong value must be >= 0 turns, got {wrong}")
    doubt = max(0.0, 1.0 - p)
    echoed = costs.objects * costs.repair + (1 - costs.objects) * wrong
    asked = (1 - costs.careless) * costs.repair + costs.careless * wrong
    expected = {
        Confirmation.ACCEPT: doubt * wrong,
        Confirmation.IMPLICIT: costs.implicit + doubt * echoed,
        Confirmation.EXPLICIT: costs.explicit + doubt * asked,
        Confirmation.CHOICE: costs.choice + max(0.0, doubt - second) * asked,
        Confirmation.ASK_AGAIN: costs.ask_again,
    }
    if second <= 0:
        del expected[Confirmation.CHOICE]
    if is_write and not may_be_silent:
        del expected[Confirmation.ACCEPT]
    return Weighed(choice=min(expected, key=expected.__getitem__), costs=expected)
