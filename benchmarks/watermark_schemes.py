"""The schemes that are measured, by the names of the tables."""

import math

from benchmarks.watermark_simulation import VOCABULARY
from llm.watermark.bayesian import bayesian_synthid
from llm.watermark.contexts import Seeding
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram

ALPHAS = (0.01, 0.001)
SMALL_VOCABULARY = 1000  # of exact lists under the null: a list costs a word for each token


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
        "SynthID Bayesian": bayesian_synthid(),
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
        "SynthID Bayesian": bayesian_synthid(),
        "Gumbel": Gumbel(),
        "KGW hard": GreenLists(delta=math.inf),
        "SBW left-hash": GreenLists(seeding=Seeding(width=1)),
    }
