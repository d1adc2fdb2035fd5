"""The documents of a collection as questions are made of them: sentences, headings and names.

Read once, held in memory: about three times the bytes of the text.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from index.analyser import analyse
from index.protocol import NewDocument
from index.stop_words import Language
from rag.document import Chunk
from rag.evaluation_set import Relevant
from rag.sentences import split_sentences

MAX_SENTENCES = 200_000  # of more, the documents that come after are not made questions of

_NAME = re.compile(
    r"(?<=[\w,;:)] )(?:[A-Z][\w+#'-]*\w|[A-Z]{2,})(?: (?:of |the |de |von )?[A-Z][\w+#'-]*\w)*"
)
_FILL = re.compile(r"\d[\d.,:/-]*\d|\d|(?<=\w )[A-Z][\w-]*\w")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSentence:
    """A sentence of a document: its byte span, its text, and the title above it."""

    uri: str
    title: str
    start: int
    end: int
    text: str

    @property
    def place(self) -> Relevant:
        """Where it stands."""
        return Relevant(uri=self.uri, start=self.start, end=self.end)

    @property
    def template(self) -> str:
        """The sentence without its numbers and names, which near duplicates have in common."""
        return fold(_FILL.sub("\0", self.text))

    @property
    def fills(self) -> tuple[str, ...]:
        """The numbers and names, in their order."""
        return tuple(found[0] for found in _FILL.finditer(self.text))

    @property
    def names(self) -> tuple[str, ...]:
        """What is capitalised within it, without its first word."""
        return tuple(dict.fromkeys(found[0] for found in _NAME.finditer(self.text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The span of a document below one heading; `path` ends with it."""

    uri: str
    title: str
    path: tuple[str, ...]
    start: int
    end: int

    @property
    def place(self) -> Relevant:
        """Where it stands."""
        return Relevant(uri=self.uri, start=self.start, end=self.end)


def fold(text: str) -> str:
    """Return a text by which equal ones are told: no case, single spaces."""
    return _SPACE.sub(" ", text).strip().casefold()


class Corpus:
    """Sentences and sections of documents, and in how many documents a term stands."""

    def __init__(
        self, documents: Iterable[NewDocument], *, language: Language = Language.ENGLISH
    ) -> None:
        """Read the documents in their order."""
        self.language = language
        self.sentences: list[CorpusSentence] = []
        self.sections: list[Section] = []
        self.chunks: list[tuple[str, str, Chunk]] = []
        self.num_documents = 0
        self.num_unread = 0
        self._df: Counter[str] = Counter()
        for document in documents:
            self.num_documents += 1
            self._df.update(set(self.terms(f"{document.title} {document.text}")))
            if len(self.sentences) >= MAX_SENTENCES:
                self.num_unread += 1
                continue
            chunks = list(_chunks_of(document))
            self.chunks.extend((document.uri, document.title, chunk) for chunk in chunks)
            self.sentences.extend(_sentences_of(document, chunks))
            self.sections.extend(_sections_of(document, chunks))

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text in the corpus's language."""
        return analyse(text, self.language)

    def num_with(self, word: str) -> int:
        """Return in how many documents the rarest term of a word stands; 0 for no term."""
        return min((self._df[term] for term in self.terms(word)), default=0)

    @cached_property
    def places_of(self) -> dict[str, list[CorpusSentence]]:
        """The sentences by their folded text: the same may stand in several places."""
        return _grouped((fold(one.text), one) for one in self.sentences)

    @cached_property
    def by_template(self) -> dict[str, list[CorpusSentence]]:
        """The sentences by what remains without numbers and names."""
        return _grouped((one.template, one) for one in self.sentences)

    @cached_property
    def by_name(self) -> dict[str, list[CorpusSentence]]:
        """The sentences by the names within them."""
        return _grouped((name, one) for one in self.sentences for name in one.names)


def _grouped(
    pairs: Iterable[tuple[str, CorpusSentence]],
) -> dict[str, list[CorpusSentence]]:
    found: dict[str, list[CorpusSentence]] = defaultdict(list)
    for key, one in pairs:
        found[key].append(one)
    return dict(found)


def _chunks_of(document: NewDocument) -> Iterator[Chunk]:
    data = document.text.encode()
    for item in document.items:
        yield Chunk(
            start=item.start,
            end=item.end,
            text=data[item.start : item.end].decode(),
            heading_path=item.heading_path,
        )


def _sentences_of(document: NewDocument, chunks: Sequence[Chunk]) -> Iterator[CorpusSentence]:
    seen: set[tuple[int, int]] = set()  # chunks may overlap
    for chunk in chunks:
        for sentence in split_sentences(chunk):
            if (sentence.start, sentence.end) not in seen:
                seen.add((sentence.start, sentence.end))
                yield CorpusSentence(
                    uri=document.uri,
                    title=document.title,
                    start=sentence.start,
                    end=sentence.end,
                    text=sentence.text,
                )


def _sections_of(document: NewDocument, chunks: Sequence[Chunk]) -> Iterator[Section]:
    """Yield what lies below each heading, as far as it is of one piece."""
    path: tuple[str, ...] = ()
    start = end = 0
    for chunk in (*chunks, None):
        if chunk is not None and chunk.heading_path == path:
            end = max(end, chunk.end)
            continue
        if path and end > start:
            yield Section(uri=document.uri, title=document.title, path=path, start=start, end=end)
        if chunk is not None:
            path, start, end = chunk.heading_path, chunk.start, chunk.end
