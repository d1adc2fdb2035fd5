"""What a finding means, in one plain sentence."""

import math

from api.watermark_finder import ALPHA, Finding

_SURE = 1e-3
_LARGEST_ODDS = 1e15


def sentence(finding: Finding) -> str:
    """Return the sentence; it claims no more than the p-value does."""
    what = "passage of the text" if finding.is_search else "text"
    if len(finding.replies) > 1:
        what = "conversation"
    if not finding.is_detected:
        share = percent(finding.p_value)
        return (
            f"No mark was found: {share} of unmarked texts show as much evidence. This does not say"
            " that the text is unmarked, since short or predictable replies carry little evidence."
        )
    sure = "carries" if finding.log_p_value <= math.log(_SURE) else "probably carries"
    article = "A" if finding.is_search else "The"
    return (
        f"{article} {what} {sure} the mark of the key {finding.key!r}: of texts without the mark,"
        f" {odds(finding.log_p_value)} shows as much evidence."
    )


def odds(log_p_value: float) -> str:
    """Return `about 1 in 1,200` for a natural logarithm."""
    if log_p_value < -math.log(_LARGEST_ODDS):
        return "fewer than 1 in a million billion"
    number = math.exp(-log_p_value)
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"about 1 in {int(round(number / 10**digits) * 10**digits):,}"


def percent(p_value: float) -> str:
    """Return `32 %`; never a rounded 0 or 100 that is none."""
    assert p_value > ALPHA
    return f"{100 * p_value:.0f} %" if p_value < 0.995 else "nearly all"
