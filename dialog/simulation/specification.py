"""What a bot file's `simulate:` asks for, checked once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dialog.errors import SimulationError
from dialog.simulation.goal import Persona
from dialog.simulation.noise import Noise
from dialog.simulation.tool_behaviour import ToolBehaviour

_BOUND: Final = re.compile(r"\s*(>=|<=|=)?\s*([0-9]*\.?[0-9]+)\s*")
_KEYS: Final = ("users", "noise", "tools", "dialogues", "trials", "seed", "now", "expect")
_SOURCE: Final = "source"  # where the loader notes the line of an entry
_FIGURES: Final = (
    *("success", "pass^k", "turns_p50", "turns_p90", "unconfirmed_writes", "exact_repeats"),
    "simulator_errors",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A figure that must be reached."""

    figure: str
    sign: str
    value: float

    def holds(self, reached: float) -> bool:
        """Tell whether a figure is within the bound."""
        match self.sign:
            case ">=":
                return reached >= self.value
            case "<=":
                return reached <= self.value
        return reached == self.value

    def __str__(self) -> str:
        return f"{self.figure} {self.sign} {self.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSpec:
    """Who talks to the bot, how often, and what must come of it."""

    users: Mapping[Persona, float] = field(default_factory=lambda: {Persona.COOPERATIVE: 1.0})
    noise: Noise = field(default_factory=Noise)
    tools: Mapping[ToolBehaviour, float] = field(default_factory=dict)
    dialogues: int = 200
    trials: int = 5
    seed: int = 7
    now: str = "2025-03-03T09:00"
    max_turns: int = 40
    expect: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        if self.dialogues < 1 or self.trials < 1:
            raise SimulationError(
                f"dialogues and trials must be at least 1, got {self.dialogues} and {self.trials}"
            )
        if not self.users or min(self.users.values()) < 0 or not sum(self.users.values()):
            raise SimulationError("users needs a persona with a weight above 0")


def read_specification(written: Any) -> SimulationSpec:
    """Return one entry of `simulate:`; its scalars may be text.

    Raises:
        SimulationError: an unknown key, persona, rate or figure.
    """
    if not isinstance(written, Mapping):
        raise SimulationError(
            f"an entry of simulate is a mapping such as {{users: {{cooperative: 60}}}}, got"
            f" {written!r}"
        )
    _check_keys("simulate", {k: v for k, v in written.items() if k != _SOURCE}, _KEYS)
    given: dict[str, Any] = {}
    if "users" in written:
        given["users"] = _weights(written["users"], Persona, "users")
    if "tools" in written:
        given["tools"] = _weights(written["tools"], ToolBehaviour, "tools")
    if "noise" in written:
        rates = written["noise"]
        _check_keys("noise", rates, Noise.__slots__)
        try:
            given["noise"] = Noise(**{name: float(rate) for name, rate in rates.items()})
        except ValueError as error:
            raise SimulationError(str(error)) from error
    for name in ("dialogues", "trials", "seed"):
        if name in written:
            given[name] = int(_number(name, written[name]))
    if "now" in written:
        given["now"] = str(written["now"])
    if "expect" in written:
        given["expect"] = tuple(_bound(*pair) for pair in written["expect"].items())
    return SimulationSpec(**given)


def _check_keys(where: str, written: Mapping[str, Any], known: Any) -> None:
    for key in written:
        if key not in known:
            raise SimulationError(f"{where} has no key {key!r}; it has {', '.join(known)}")


def _weights(written: Any, kind: Any, where: str) -> dict[Any, float]:
    names = [member.value for member in kind]
    if not isinstance(written, Mapping):
        raise SimulationError(f"{where} maps {', '.join(names)} to weights, got {written!r}")
    _check_keys(where, written, names)
    return {kind(name): _number(f"{where}.{name}", weight) for name, weight in written.items()}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SimulationError(f"{name} is a number, got {value!r}") from None


def _bound(figure: str, written: Any) -> Bound:
    found = _BOUND.fullmatch(str(written))
    base = re.sub(r"\^\d+$", "^k", figure)
    if found is None or base not in _FIGURES:
        raise SimulationError(
            f'expect is one of {", ".join(_FIGURES)} with a bound such as ">= .95", got'
            f" {figure}: {written!r}"
        )
    return Bound(figure=figure, sign=found[1] or "=", value=float(found[2]))
