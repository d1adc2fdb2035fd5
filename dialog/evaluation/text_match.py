"""How alike two values are, by a pre-processing and a ratio that are pinned here.

Libraries differ in both (fuzzywuzzy keeps underscores, rapidfuzz does not pre-process at all unless
told to), so a figure is comparable only together with this file.
"""

import re

FUZZY_VERSION = "lower, non-alphanumerics to spaces, tokens sorted, InDel ratio rounded to 1/100"

_OTHER = re.compile(r"[\W_]+")


def sorted_tokens(text: str) -> str:
    """Return a value lower-cased, with spaces for all but letters and digits, its tokens sorted."""
    return " ".join(sorted(_OTHER.sub(" ", text.lower()).split()))


def token_sort_ratio(a: str, b: str) -> int:
    """Return 0 to 100: twice the longest common subsequence over both lengths, tokens sorted.

    That is 1 - InDel distance / (|a| + |b|), as `Levenshtein.ratio` has it, rounded half to even.
    Two texts without letters or digits are equal.
    """
    return indel_ratio(sorted_tokens(a), sorted_tokens(b))


def indel_ratio(a: str, b: str) -> int:
    """Return the ratio of two texts as they are."""
    total = len(a) + len(b)
    return round(200 * _common(a, b) / total) if total else 100


def _common(a: str, b: str) -> int:
    """Length of the longest common subsequence, by bit-parallel rows (Hyyrö, 2004)."""
    if a == b:
        return len(a)
    masks: dict[str, int] = {}
    for i, letter in enumerate(a):
        masks[letter] = masks.get(letter, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for letter in b:
        matches = row & masks.get(letter, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()
