"""BLEU of a corpus (Papineni et al., 2002): how many n-grams of a text stand in its reference.

BLEU = BP * exp(mean over n of log p_n), n = 1 to 4, over all texts together; BP = exp(1 - r / c)
where the texts are shorter (c words) than the references (r words). One reference a text.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"\w+|[^\w\s]")
BLEU_VERSION = "lower case, words and single marks, n = 1 to 4, no smoothing"


def bleu(texts: Sequence[str], references: Sequence[str], *, most: int = 4) -> float:
    """Return BLEU in [0, 100]; 0 where no n-gram of some length is right.

    Raises:
        ValueError: there are not as many references as texts, or none at all.
    """
    if len(texts) != len(references) or not texts:
        raise ValueError(f"BLEU needs a reference a text, got {len(references)} for {len(texts)}")
    right, total = [0] * most, [0] * most
    words_said = words_meant = 0
    for text, reference in zip(texts, references, strict=True):
        said, meant = _TOKEN.findall(text.lower()), _TOKEN.findall(reference.lower())
        words_said, words_meant = words_said + len(said), words_meant + len(meant)
        for n in range(1, most + 1):
            found, wanted = _ngrams(said, n), _ngrams(meant, n)
            right[n - 1] += (found & wanted).total()
            total[n - 1] += found.total()
    if not all(right):
        return 0.0
    precision = math.fsum(math.log(r / t) for r, t in zip(right, total, strict=True)) / most
    brevity = min(0.0, 1 - words_meant / words_said)
    return 100 * math.exp(brevity + precision)


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
