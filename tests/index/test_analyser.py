"""The terms of texts: words, identifiers, operators, scripts without spaces."""

import keyword
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.analyser import MAX_TERM_CHARS, analyse, fingerprint, language_of, surfaces, tokens
from index.folding import fold, fold_with_origins
from index.stop_words import STOP_WORDS, Language


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
        ("COVID19 il2 p53a", "covid19 covid 19 il2 il p53a 53"),
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
    words = STOP_WORDS[Language.ENGLISH]
    assert analyse(" ".join(sorted(words))) == []
    assert not words & set(keyword.kwlist)


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        (Language.GERMAN, "Die Häuser und das Haus", "haus haus"),
        (Language.FRENCH, "les maisons de la maison, élevées", "maison maison eleve"),
        (Language.SPANISH, "los gatos y el gato", "gat gat"),
        (Language.RUSSIAN, "новый и новые", "нов нов"),
        (Language.SWEDISH, "bilarna och bilen", "bil bil"),
        (Language.TURKISH, "kitaplar kitap", "kitap kitap"),
        (Language.NONE, "The houses", "the houses"),
    ],
)
def test_each_language_has_its_stems_and_stop_words(
    language: Language, text: str, terms: str
) -> None:
    assert analyse(text, language) == terms.split()
    assert language_of(fingerprint(language)) is language
    assert STOP_WORDS[language] == {fold(word).casefold() for word in STOP_WORDS[language]}


def test_the_terms_of_older_programs_are_english() -> None:
    assert language_of("terms-1/snowball-3.0.1") is Language.ENGLISH


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


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_every_place_is_one_of_the_text(text: str) -> None:
    """A term stands between its offsets, and its span of the original folds to what holds it."""
    folded = fold_with_origins(text)
    assert folded.text == fold(text)
    places = [*tokens(folded.text, Language.ENGLISH), *surfaces(folded.text)]
    assert [token.text for token in tokens(folded.text, Language.ENGLISH)] == analyse(text)
    for token in places:
        start, end = folded.origin_of(token.start, token.end)
        assert 0 <= start < end <= len(text)
        assert folded.text[token.start : token.end] in fold(text[start:end])


def test_surfaces_are_words_as_written() -> None:
    text = "The Café's str.join(x_1) 茶文化!"
    assert [token.text for token in surfaces(fold(text))] == [
        *("the", "cafe", "s", "str", "join", "x", "1", "茶", "文", "化")
    ]


def test_threads_get_the_terms_that_one_gets() -> None:
    """The stemmer works in place."""
    words = [
        f"{stem}{end}" for stem in "abcdefgh" for end in ("nationally", "ousness", "ingly")
    ] * 9
    texts = [" ".join(f"{word}{i}izations" for word in words) for i in "qrstuvwx"]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(analyse, texts))
    assert parallel == [analyse(text) for text in texts]
