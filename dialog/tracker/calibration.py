"""From what a tracker says to how often it is right: temperature, then isotonic regression.

Fitted on decisions whose outcome is known, of dialogues that are not judged by it. Stored with the
hash of the bot, since another bot's decisions have other odds.
"""

import json
import logging
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENOUGH = 500
"""So many labelled decisions are needed before isotonic regression is trusted."""
_EDGE = 1e-6

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A decision: its raw probability, the kind of evidence for it, whether it was right."""

    p: float
    is_right: bool
    evidence: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be in [0, 1], got {self.p}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted map from probability to probability, per kind of evidence where it was seen.

    `shift` moves the log-odds of decisions of a kind of evidence; `temperature` divides them; the
    steps of the isotonic regression are the last word, where there were enough decisions.
    """

    bot_hash: str = ""
    temperature: float = 1.0
    shift: Mapping[str, float] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        if len(self.edges) != len(self.values) or list(self.edges) != sorted(self.edges):
            raise ValueError("isotonic steps need as many values as edges, the edges in order")

    def __call__(self, p: float, evidence: str = "") -> float:
        """Return the calibrated probability; monotone in `p` for each kind of evidence."""
        scaled = self._scaled(p, evidence)
        if not self.edges:
            return scaled
        return self.values[max(0, bisect_right(self.edges, scaled) - 1)]

    def _scaled(self, p: float, evidence: str) -> float:
        return _sigmoid(_log_odds(p) / self.temperature + self.shift.get(evidence, 0.0))

    def to_payload(self) -> dict[str, object]:
        """Return the map as JSON."""
        return {
            "bot_hash": self.bot_hash,
            "temperature": self.temperature,
            "shift": dict(self.shift),
            "edges": list(self.edges),
            "values": list(self.values),
        }


def calibration_of(payload: Mapping[str, Any]) -> Calibration:
    """Return the map that was written as JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return Calibration(
            bot_hash=str(payload["bot_hash"]),
            temperature=float(payload["temperature"]),
            shift={str(kind): float(by) for kind, by in payload["shift"].items()},
            edges=tuple(map(float, payload["edges"])),
            values=tuple(map(float, payload["values"])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no calibration: {error!r}") from error


def read_calibration(path: Path, bot_hash: str) -> Calibration | None:
    """Return the map beside a bot; None if there is none, or it was fitted to another version.

    The latter, and a file that cannot be read, are told in the log.
    """
    if not path.is_file():
        return None
    try:
        found = calibration_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        logger.warning("%s is not used: %s; fit it anew with `bot calibrate`", path.name, error)
        return None
    if found.bot_hash != bot_hash:
        logger.warning(
            "%s is not used: it was fitted to another version of the bot; fit it anew with"
            " `bot calibrate`",
            path.name,
        )
        return None
    return found


def fit(outcomes: Sequence[Outcome], *, bot_hash: str = "") -> Calibration:
    """Fit temperature, shifts and, from `ENOUGH` decisions on, isotonic steps.

    Raises:
        ValueError: there is no decision to learn from.
    """
    if not outcomes:
        raise ValueError("calibration needs at least one decision whose outcome is known")
    temperature = fit_temperature(outcomes)
    first = Calibration(
        bot_hash=bot_hash, temperature=temperature, shift=_shifts(outcomes, temperature)
    )
    if len(outcomes) < ENOUGH:
        return first
    scaled = [(first(o.p, o.evidence), float(o.is_right)) for o in outcomes]
    edges, values = isotonic(scaled)
    return Calibration(
        bot_hash=bot_hash,
        temperature=temperature,
        shift=first.shift,
        edges=tuple(edges),
        values=tuple(values),
    )


def fit_temperature(outcomes: Sequence[Outcome]) -> float:
    """Return the temperature of the greatest likelihood among 81 between 1/16 and 16."""
    grid = [2 ** (k / 10) for k in range(-40, 41)]
    odds = [(_log_odds(o.p), o.is_right) for o in outcomes]
    return min(grid, key=lambda t: (_loss(odds, t), abs(math.log(t))))


def isotonic(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the least-squares non-decreasing steps through (x, y), by pooling adjacent violators.

    Step k holds from its edge on; equal x are one point.
    """
    pooled: list[list[float]] = []  # [edge, sum of y, count]
    for x, y in sorted(points):
        if pooled and pooled[-1][0] == x:
            pooled[-1][1] += y
            pooled[-1][2] += 1
        else:
            pooled.append([x, y, 1.0])
    steps: list[list[float]] = []
    for block in pooled:
        steps.append(list(block))
        while len(steps) > 1 and steps[-2][1] * steps[-1][2] >= steps[-1][1] * steps[-2][2]:
            last = steps.pop()
            steps[-1][1] += last[1]
            steps[-1][2] += last[2]
    return [s[0] for s in steps], [s[1] / s[2] for s in steps]


def _shifts(outcomes: Sequence[Outcome], temperature: float) -> dict[str, float]:
    """Return for each kind of evidence what brings its mean to its frequency, drawn towards 0.

    As if each kind had been seen right and wrong once more.
    """
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.evidence, []).append(outcome)
    shifts = {}
    for evidence, group in groups.items():
        wanted = (sum(o.is_right for o in group) + 1) / (len(group) + 2)
        mean = sum(_log_odds(o.p) / temperature for o in group) / len(group)
        shifts[evidence] = _log_odds(wanted) - mean
    return shifts


def _loss(odds: Sequence[tuple[float, bool]], temperature: float) -> float:
    total = 0.0
    for value, is_right in odds:
        signed = value / temperature if is_right else -value / temperature
        total += math.log1p(math.exp(-signed)) if signed > -700 else -signed
    return total


def _log_odds(p: float) -> float:
    held = min(max(p, _EDGE), 1 - _EDGE)
    return math.log(held / (1 - held))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
