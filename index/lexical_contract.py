"""The contract that every `LexicalIndex` keeps, as does the double in `index.testing`."""

import math

import pytest

from index.protocol import Item
from index.testing import WordedCollection, axis, store_text


class LexicalIndexContract:
    """Laws of the `LexicalIndex` port; the fixture is that of `CollectionContract`."""

    @pytest.fixture
    def collection(self) -> WordedCollection:
        """Return the collection under test, empty."""
        raise NotImplementedError

    def test_words_find_their_chunks_rarest_first(self, collection: WordedCollection) -> None:
        """Whatever their form; a chunk without any of them is no hit."""
        store_text(collection, "a", "running tea tea-pot", [axis(0)] * 3)
        store_text(collection, "b", "Runs walks", [axis(0)] * 2)
        assert [hit.text for hit in collection.search_terms("who runs?", 9)] == ["running", "Runs"]
        assert [hit.text for hit in collection.search_terms("POTS of tea", 9)] == ["tea-pot", "tea"]
        assert [hit.rank for hit in collection.search_terms("pots of tea", 9)] == [1, 2]
        assert [hit.text for hit in collection.search_terms("walk", 9)] == ["walks"]
        assert all(hit.score > 0 for hit in collection.search_terms("tea run walk", 9))

    @pytest.mark.parametrize(
        "query", ["", " ", "what is the", "?!", "zebra", '"', "NOT (", "a* OR"]
    )
    def test_a_query_without_known_terms_finds_nothing(
        self, collection: WordedCollection, query: str
    ) -> None:
        """And no query is a syntax error."""
        assert not collection.search_terms(query, 3)
        store_text(collection, "u", "tea", [axis(0)])
        assert not collection.search_terms(query, 3)

    def test_operators_and_identifiers_are_words(self, collection: WordedCollection) -> None:
        """Each finds itself only; a part of an identifier finds the whole."""
        store_text(collection, "a", "// ** := ... str.join __enter__ 茶文化", [axis(0)] * 7)
        for query in ("//", "**", ":=", "...", "str.join", "__enter__"):
            assert [hit.text for hit in collection.search_terms(f"what is {query} ?", 1)] == [query]
        assert [hit.text for hit in collection.search_terms("enter", 9)] == ["__enter__"]
        assert [hit.text for hit in collection.search_terms("文化", 9)] == ["茶文化"]

    def test_a_phrase_must_stand_in_a_chunk_as_it_is_written(
        self, collection: WordedCollection
    ) -> None:
        """Its stop words as well; the other words only rank."""
        items = [Item(start=0, end=22), Item(start=23, end=45)]
        text = "to be or not to be wet to wet the brown fox's"
        store_text(collection, "a", text, [axis(0)] * 2, items=items)
        assert [h.start for h in collection.search_terms('"brown FOX"', 9)] == [23]
        assert [h.start for h in collection.search_terms('"to be" brown', 9)] == [0]
        assert [h.start for h in collection.search_terms('wet "to"', 9)] == [0, 23]
        assert not collection.search_terms('"fox brown" wet', 9)
        assert [h.start for h in collection.search_terms('brown "fox', 9)] == [23]

    def test_the_beginning_of_a_word_finds_the_words(self, collection: WordedCollection) -> None:
        """Whatever they are stemmed to; an asterisk elsewhere is no beginning."""
        store_text(collection, "a", "runner running ran Rundfunk 茶文化", [axis(0)] * 5)
        found = collection.search_terms("runn*", 9)
        assert sorted(hit.text for hit in found) == ["runner", "running"]
        assert all(hit.score > 0 for hit in found)
        assert len(collection.search_terms("RUN*", 9)) == 3
        assert [hit.text for hit in collection.search_terms('"文化"', 9)] == ["茶文化"]
        assert not collection.search_terms("runz*", 9)
        assert not collection.search_terms("runn*er", 9)

    def test_titles_and_headings_are_found(self, collection: WordedCollection) -> None:
        """Every chunk of the document or under the heading."""
        items = [Item(start=0, end=3, heading_path=("Brewing", "Green")), Item(start=4, end=7)]
        store_text(collection, "zebra", "one two", [axis(0)] * 2, items=items)
        assert [hit.text for hit in collection.search_terms("green", 9)] == ["one"]
        assert [hit.text for hit in collection.search_terms("the title", 9)] == ["two", "one"]

    def test_words_that_were_replaced_or_deleted_are_gone(
        self, collection: WordedCollection
    ) -> None:
        """From hits and from weights."""
        before = collection.term_weights(["tea"])
        store_text(collection, "a", "tea", [axis(0)])
        gone = store_text(collection, "b", "tea cup", [axis(0)] * 2)
        store_text(collection, "a", "milk", [axis(0)])
        assert {hit.uri for hit in collection.search_terms("tea milk", 9)} == {"a", "b"}
        assert collection.term_weights(["tea"])["tea"] == pytest.approx(math.log(1 + 2.5 / 1.5))
        collection.delete(gone.id)
        assert not collection.search_terms("tea", 9)
        collection.delete(collection.search_terms("milk", 9)[0].document_id)
        assert collection.term_weights(["tea"]) == before == {"tea": pytest.approx(math.log(2))}

    def test_weights_are_inverse_frequencies(self, collection: WordedCollection) -> None:
        """Of every term asked for, also where no chunk has it."""
        store_text(collection, "a", "tea tea milk", [axis(0)] * 3)
        assert collection.term_weights(["tea", "milk", "none", "tea"]) == {
            "tea": pytest.approx(math.log(1 + 1.5 / 2.5)),
            "milk": pytest.approx(math.log(1 + 2.5 / 1.5)),
            "none": pytest.approx(math.log(1 + 3.5 / 0.5)),
        }
        assert collection.term_weights([]) == {}

    def test_equals_come_in_the_order_of_storing(self, collection: WordedCollection) -> None:
        """Also where `k` cuts between them."""
        for uri in "qwert":
            store_text(collection, uri, "tea", [axis(0)])
        assert [hit.uri for hit in collection.search_terms("tea", 3)] == ["q", "w", "e"]
        with pytest.raises(ValueError, match="k must be >= 1, got 0"):
            collection.search_terms("tea", 0)
