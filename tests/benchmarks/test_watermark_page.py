"""What docs/watermark.md says was measured is what the committed results say."""

import json

from benchmarks.watermark_page import PAGE, RESULTS, filled, tables


def test_the_page_shows_the_committed_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS]
    assert filled(page, *reports) == page


def test_a_missed_figure_is_told_as_missed() -> None:
    row = {"unit": "share", "spread": None, "baseline": 0.1, "target": 0.05, "met": False}
    report = {
        "commit": "0123456789abcdef",
        "machine": {"cpu": "a processor"},
        "seed": 0,
        "figures": [
            {**row, "name": "price, gumbel, cost", "value": 0.08},
            {**row, "name": "power, SBW, 0.5 nat, 25 tokens", "value": 0.12},
            {**row, "name": "null, SBW, WikiText-2: at 0.01", "value": 0.011, "unit": "share of 9"},
        ],
    }
    told = tables(report)
    assert "| price, gumbel, cost | 0.08 share (missed) |  | 0.1 | 0.05 |" in told
    assert "| SBW, 0.5 nat | 0.12 / 0.10 |" in told
    assert "| SBW, WikiText-2 | 9 |  | 0.011 |  |" in told
