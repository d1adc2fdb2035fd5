"""The schemes that are measured, by the names of the tables."""

import math

import numpy as np

from benchmarks.watermark_simulation import NUM_SYMBOLS, VOCABULARY, step_probs
from llm.watermark.bayesian import BayesianSynthID, fit
from llm.watermark.contexts import Seeding
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram

ALPHAS = (0.01, 0.001)
SMALL_VOCABULARY = 1000  # of exact lists under the null: a list costs a word for each token
_FITTED_ON = (0.3, 0.6, 1.0, 1.5, 2.5)  # nats
_FITTED_EACH = 200


def bayesian(seed: int = 0) -> BayesianSynthID:
    """Return the Bayesian detector, fitted on made-up distributions of several entropies."""
    rng = np.random.default_rng(seed)
    offers = np.concatenate([step_probs(entropy, _FITTED_EACH, rng) for entropy in _FITTED_ON])
    assert offers.shape[1] == NUM_SYMBOLS
    return fit(SynthID(), list(offers), seed=seed)


def null_schemes() -> dict[str, Scheme]:
    """Return all that is looked for in unmarked texts."""
    return {
        "Gumbel": Gumbel(),
        "Gumbel min-hash": Gumbel(seeding=Seeding(kind="min")),
        "SBW": GreenLists(),
        "SBW gamma .25": GreenLists(gamma=0.25),
        "SBW left-hash": GreenLists(seeding=Seeding(width=1)),
        "SBW min-hash": GreenLists(seeding=Seeding(kind="min")),
        "SBW self-hash": GreenLists(seeding=Seeding(kind="self")),
        "KGW of 1,000 tokens": GreenLists(gamma=0.25, vocabulary_size=SMALL_VOCABULARY),
        "SynthID mean": SynthID(statistic="mean"),
        "SynthID weighted": SynthID(),
        "SynthID Bayesian": bayesian(),
        "Unigram": Unigram(vocabulary_size=VOCABULARY),
    }


def simulated_schemes() -> dict[str, Scheme]:
    """Return what made-up distributions are marked by; the first five as the design simulates."""
    return {
        "KGW gamma .25": GreenLists(gamma=0.25),
        "KGW gamma .5": GreenLists(),
        "Gumbel, one sub-key": Gumbel(num_sub_keys=1),
        "SynthID mean": SynthID(statistic="mean"),
        "SynthID weighted": SynthID(),
        "SynthID Bayesian": bayesian(),
        "Gumbel": Gumbel(),
        "KGW hard": GreenLists(delta=math.inf),
        "SBW left-hash": GreenLists(seeding=Seeding(width=1)),
    }
