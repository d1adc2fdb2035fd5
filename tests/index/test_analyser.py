"""The terms of texts: words, identifiers, operators, scripts without spaces."""

import keyword
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.analyser import MAX_TERM_CHARS, STOP_WORDS, analyse


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running RUNS run", "run run run"),
        ("the author's; don't", "author"),
        ("café naïve Straße İstanbul ﬁne", "cafe naiv strass istanbul fine"),
        ("3.11 and 1,000", "xid32e11 3 11 and 1 000"),
        ("__enter__", "xid5f5fenter5f5f enter"),
        ("os.path.join()", "xidos2epath2ejoin os path join"),
        ("read_text", "xidread5ftext read text"),
        ("OSError mRNA", "oserror os error mrna"),
        ("DictReader", "dictread dict reader"),
        ("with x is not in y", "with x is not in y"),
        ("u // v", "u xop2f2f v"),
        ("x**-1", "x xop2a2a 1"),
        ("x+=1", "x xop2b3d 1"),
        ("(y:=2)", "y xop3a3d 2"),
        ("x >> y", "x xop3e3e y"),
        ("@property ~x ^y", "xop40 properti xop7e x xop5e y"),
        ("`...` or …", "xop2e2e2e or xop2e2e2e"),
        ("`%` or 50%", "xop25 or 50"),
        ("well-known https://x/y", "well known https x y"),
        (">>> print\n=====\n----", "print"),
        ("茶文化 と茶", "茶文 文化 と茶"),
        ("茶", "茶"),
        ("Python入門", "python 入門"),
        ("हिन्दी भाषा।", "हिन्दी भाषा"),
        ("zero\u200bwidth soft\u00adhyphen", "zerowidth softhyphen"),
        ("_ . , ; ' \" \x00", ""),
    ],
)
def test_terms(text: str, terms: str) -> None:
    assert analyse(text) == terms.split()


def test_stop_words_are_no_terms_and_no_keywords_of_python() -> None:
    assert analyse(" ".join(sorted(STOP_WORDS))) == []
    assert not STOP_WORDS & set(keyword.kwlist)


def test_a_long_word_is_known_by_its_beginning() -> None:
    assert analyse("7" * 1000) == ["7" * MAX_TERM_CHARS]
    assert max(map(len, analyse("ab_" * 500))) <= MAX_TERM_CHARS


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_term_has_no_character_that_splits_it(text: str) -> None:
    """Of ASCII only letters and digits, in lower case: FTS5's `ascii` keeps such a term whole."""
    for term in analyse(text):
        assert term
        assert not re.search(r"[\x00-/:-`{-\x7f]", term)


def test_threads_get_the_terms_that_one_gets() -> None:
    """The stemmer works in place."""
    words = [
        f"{stem}{end}" for stem in "abcdefgh" for end in ("nationally", "ousness", "ingly")
    ] * 9
    texts = [" ".join(f"{word}{i}izations" for word in words) for i in "qrstuvwx"]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(analyse, texts))
    assert parallel == [analyse(text) for text in texts]
