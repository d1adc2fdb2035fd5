"""How often the mark of simulated replies is found: beside the prediction, and the design's table.

The design simulated 200 sequences a cell; a share of ours and one of theirs may differ by three
standard errors of their difference.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.report import Figure, share
from benchmarks.watermark_schemes import ALPHAS, simulated_schemes
from benchmarks.watermark_simulation import Simulation
from llm.watermark.power import PowerMeter
from llm.watermark.scheme import Scheme
from llm.watermark.step_probs import step_probs

LENGTHS = (25, 50, 100, 200)
ENTROPIES = (0.5, 1.0, 2.0)
TOLERANCE = 0.05
_OFFERS = 64
_DESIGN_REPLIES = 200
# found at 1 % after 25, 50, 100 and 200 tokens, by nats per token
DESIGN: dict[str, dict[float, tuple[float, ...]]] = {
    "KGW gamma .25": {
        0.5: (0.08, 0.24, 0.50, 0.80),
        1.0: (0.30, 0.65, 0.94, 1.0),
        2.0: (0.74, 1.0, 1.0, 1.0),
    },
    "KGW gamma .5": {
        0.5: (0.20, 0.25, 0.53, 0.90),
        1.0: (0.40, 0.72, 0.97, 1.0),
        2.0: (0.84, 0.98, 1.0, 1.0),
    },
    "Gumbel, one sub-key": {
        0.5: (0.27, 0.54, 0.82, 0.98),
        1.0: (0.81, 0.99, 1.0, 1.0),
        2.0: (1.0, 1.0, 1.0, 1.0),
    },
    "SynthID mean": {0.5: (0.19, 0.40, 0.69, 0.95), 2.0: (1.0,)},
    "SynthID weighted": {
        0.5: (0.26, 0.52, 0.83, 0.99),
        1.0: (0.82, 1.0, 1.0, 1.0),
        2.0: (1.0,),
    },
}


def power_figures(
    num: int, seed: int, *, is_asked: Callable[[str], bool] = lambda _: True
) -> Iterator[Figure]:
    """Return the shares found, each beside its prediction and, where there is one, the design's."""
    for name, scheme in simulated_schemes().items():
        if not is_asked(name):
            continue
        rows: list[Figure] = []
        beyond = 0
        for entropy in ENTROPIES:
            for length, row in _power_of(name, scheme, entropy, num, seed):
                rows.append(row)
                yield row
                designed = DESIGN.get(name, {}).get(entropy, ())[LENGTHS.index(length) :][:1]
                for said in designed:
                    beyond += abs(row.value - said) > allowed(row.value, said, num)
                    yield Figure(
                        name=f"design, {name}, {entropy} nat, {length} tokens",
                        value=row.value,
                        unit=row.unit,
                        spread=row.spread,
                        baseline=said,
                    )
        yield calibration(f"power, {name}", rows, num)
        if name in DESIGN:
            yield Figure(
                name=f"design, {name}: cells further off than three standard errors",
                value=float(beyond),
                unit="cells",
                target=0.0,
                higher_is_better=False,
            )


def allowed(ours: float, theirs: float, num: int) -> float:
    """Return by how much both shares may differ; the design's are rounded to 0.01."""
    both = (ours * num + theirs * _DESIGN_REPLIES + 1) / (num + _DESIGN_REPLIES + 2)
    return 3 * math.sqrt(both * (1 - both) * (1 / num + 1 / _DESIGN_REPLIES)) + 0.005


def _power_of(
    name: str, scheme: Scheme, entropy: float, num: int, seed: int
) -> Iterator[tuple[int, Figure]]:
    simulation = Simulation(scheme, num, seed=seed)
    offers = step_probs(entropy, _OFFERS, simulation.rng)
    told = [scheme.expect(probs, seed=i) for i, probs in enumerate(offers)]
    meter = PowerMeter(scheme)
    unmarked = simulation.num_unmarked
    for position in range(LENGTHS[-1] + unmarked):
        given = offers[position % _OFFERS]
        simulation.step(np.broadcast_to(given, (num, offers.shape[1])))
        if position < unmarked:
            continue
        meter.add(told[position % _OFFERS])
        length = position + 1 - unmarked
        if length in LENGTHS:
            found = round(simulation.detected(ALPHAS[0]) * num)
            row = share(f"power, {name}, {entropy} nat, {length} tokens", found, num)
            yield (
                length,
                Figure(
                    name=row.name,
                    value=row.value,
                    unit=row.unit,
                    spread=row.spread,
                    baseline=meter.power(ALPHAS[0]).value,
                ),
            )


def calibration(what: str, rows: Sequence[Figure], num: int) -> Figure:
    """Return the largest distance of a prediction from its share, less the error of that share.

    Two standard errors of a share of `num` are taken off, as far as chance explains them; `spread`
    is from the mean distance to the largest as it is.
    """
    pairs = [(row.value, row.baseline) for row in rows if row.baseline is not None]
    away = [max(abs(found - told) - 2 * _error(told, num), 0.0) for found, told in pairs]
    plain = [abs(found - told) for found, told in pairs]
    return Figure(
        name=f"{what}: largest error of a prediction, beyond two standard errors",
        value=max(away),
        unit="share",
        spread=(sum(plain) / len(plain), max(plain)),
        target=TOLERANCE,
        higher_is_better=False,
    )


def _error(chance: float, num: int) -> float:
    return math.sqrt(chance * (1 - chance) / num)
