"""What each loader brings out of a small file, against what a reader would copy from it.

F1 of the words as multisets (SQuAD's token F1, without its dropping of articles). The expected
texts are written by hand from what the files show, not from what a loader gave.
"""

import re
from collections import Counter

import pytest

from rag.parsing import parse
from tests.rag.office_files import ebook, presentation, spreadsheet
from tests.rag.sample_files import pdf, word_document

LEAST = 0.98

PAGE = """<!DOCTYPE html><html lang="en"><head><title>Planting garlic</title>
<style>.menu { float: left }</style><script>track("visit");</script></head><body>
<div id="cookie-banner" class="cookie-consent"><p>We use cookies to improve your visit.</p>
<button>Accept all</button></div>
<header><nav><ul><li><a href="/">Start</a></li><li><a href="/shop">Shop</a></li></ul></nav></header>
<main><article><h1>Planting garlic</h1>
<p>Garlic is planted in October, six weeks before the ground freezes for the first time.</p>
<h2>Choosing the place</h2>
<p>It wants full sun and a soil that drains well; in wet ground the bulbs rot over the winter.</p>
<ul><li>Break the bulb into cloves.</li><li>Set each clove five centimetres deep.</li></ul>
<table><tr><th>Variety</th><th>Harvest</th></tr><tr><td>Messidrome</td><td>July</td></tr></table>
</article></main>
<aside class="related"><h3>Related offers</h3><a href="/x">Buy onion sets now</a></aside>
<footer><p>Imprint. All rights reserved by the Garden Company.</p></footer></body></html>"""
PAGE_SAYS = """Planting garlic
Garlic is planted in October, six weeks before the ground freezes for the first time.
Choosing the place
It wants full sun and a soil that drains well; in wet ground the bulbs rot over the winter.
Break the bulb into cloves. Set each clove five centimetres deep.
Variety Harvest Messidrome July"""
BOILERPLATE = ("cookies", "Accept", "Shop", "onion", "Imprint", "Garden Company", "track", "float")

WORD_SAYS = """Vacation policy Everybody has thirty days. Ask early. Ask kindly.
Year Days 2023 28 as agreed Carry-over Until March."""
SHEET_SAYS = """Harvest
Harvest of the garden
Crop: Apples Year: 2023 Weight: 12.5 Sold: TRUE
Crop: Pears Year: 2023 Weight: 7
Opening days
Day: 2024-05-01 # of guests: 30
Day: 2024-05-02 09:30:00 # of guests: 41"""
SLIDES_SAY = """Bees in winter
They keep together in a dense cluster. They live on honey.
Notes: Pass the comb around.
Slide 2 Month Honey May 3 kg Weighed in the evening."""
BOOK_SAYS = """Spring A hive needs sun, and water near it.
Summer In summer the bees bring honey. Weights Month Honey May 3 kg"""
RECORDS = """[
 {"title": "Filling in the form", "steps": ["Open the page.", "Sign."], "fee": 12.50,
  "office": {"street": "Hill Road 3", "open": true, "fax": null}},
 {"id": 7, "visits": [{"day": "Monday", "from": 9}, {"day": "Friday", "from": 13}]}
]"""
RECORDS_SAY = """Filling in the form
steps: Open the page., Sign. fee: 12.50 office.street: Hill Road 3 office.open: true
id: 7 visits[0].day: Monday visits[0].from: 9 visits[1].day: Friday visits[1].from: 13"""
MODULE = '"""Adds numbers."""\n\n\ndef add(a, b):\n    """Return the sum."""\n    return a + b\n'
CASES = {
    "notes.txt": (b"Bees sleep at night.\n\nWasps do not.", "Bees sleep at night. Wasps do not."),
    "guide.md": (b"# Guide\n\nRead *it* first.\n", "Guide Read it first."),
    "page.html": (PAGE.encode(), PAGE_SAYS),
    "table.csv": (b"name;age\nAnn;3\nBob;\n", "name: Ann age: 3 name: Bob"),
    "paper.pdf": (pdf(["Hello there.", "Second page."]), "Hello there. Second page."),
    "policy.docx": (word_document(), WORD_SAYS),
    "book.xlsx": (spreadsheet(), SHEET_SAYS),
    "talk.pptx": (presentation(), SLIDES_SAY),
    "book.epub": (ebook(), BOOK_SAYS),
    "records.json": (RECORDS.encode(), RECORDS_SAY),
    "records.jsonl": (b'{"day": "Monday"}\n{"day": "Friday"}\n', "day: Monday day: Friday"),
    "adds.py": (MODULE.encode(), MODULE),
    "main.rs": (b'fn main() {\n    println!("hello");\n}\n', 'fn main() { println!("hello"); }'),
}


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def f1(found: str, expected: str) -> float:
    """Harmonic mean of precision and recall of the words."""
    shared = (words(found) & words(expected)).total()
    return 2 * shared / (words(found).total() + words(expected).total())


def test_the_measure_itself() -> None:
    assert f1("a b b", "b a b") == 1
    assert f1("a b c d", "a b") == pytest.approx(2 / 3)
    assert f1("a", "b") == 0


@pytest.mark.parametrize("name", CASES)
def test_the_words_of_a_file_come_out_and_no_others(name: str) -> None:
    data, expected = CASES[name]
    found = parse(data, name).text
    value = f1(found, expected)
    print(f"F1 {name}: {value:.3f}")  # noqa: T201 - the figure is what the test is for
    assert value >= LEAST, found


def test_menus_banners_and_footers_are_gone() -> None:
    found = parse(PAGE.encode(), "page.html").text
    assert [word for word in BOILERPLATE if word in found] == []
