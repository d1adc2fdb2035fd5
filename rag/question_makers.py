"""Questions made from a corpus by rules, without a model; each says how it was made.

Each maker yields candidates in an order that depends on the corpus and the seed alone. What is
relevant is every place that answers: a sentence that stands in three documents is right in each.
Sets made so flatter whatever resembles their making (headings and gaps share words with their
source, which favours terms), so figures belong to a kind and not to their mixture.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np

from rag.corpus import Corpus, CorpusSentence, Section, fold
from rag.evaluation_set import EvaluationItem, Relevant

GAP = "___"
MAX_HELD_OUT = 5  # documents taken away for one question
_MIN_WORDS = 8
_MAX_WORDS = 40
_MAX_PLACES = 5
_MIN_HEADING_TERMS = 2
_WORD = re.compile(r"[^\W\d_][\w'-]*\w|\d[\d.,]*\d|\d")
_DEFINITION = re.compile(
    r"^(?:The |An? )?(?P<name>[A-Z][\w+#.' -]{2,40}?) (?:is|are|was|were) (?:an?|the|one) "
)
_GENERIC = frozenset(["introduction", "overview", "summary", "contents", "abstract", "conclusion"])

Maker = Callable[[Corpus, np.random.Generator], Iterator[EvaluationItem]]
T = TypeVar("T")


def heading_questions(corpus: Corpus, rng: np.random.Generator) -> Iterator[EvaluationItem]:
    """Headings as queries, for the text below them; only such as stand above one section."""
    counts = Counter(_asked(section) for section in corpus.sections)
    for section in _shuffled(corpus.sections, rng):
        query = _asked(section)
        heading = section.path[-1]
        num_terms = len(set(corpus.terms(query)))
        if counts[query] > 1 or num_terms < _MIN_HEADING_TERMS or fold(heading) in _GENERIC:
            continue
        yield EvaluationItem(
            id=f"heading:{section.uri}:{section.start}",
            query=query,
            kind="heading",
            made_by=f"the heading {heading!r} of {section.uri}",
            relevant=(section.place,),
        )


def cloze_questions(corpus: Corpus, rng: np.random.Generator) -> Iterator[EvaluationItem]:
    """Sentences without their rarest word, which is the answer."""
    for sentence in _shuffled(_usable(corpus), rng):
        word = _rarest(corpus, sentence)
        if word is None:
            continue
        query = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", GAP, sentence.text)
        yield EvaluationItem(
            id=f"cloze:{sentence.uri}:{sentence.start}",
            query=query,
            kind="cloze",
            made_by=f"a sentence of {sentence.uri} without {word!r}",
            relevant=_places(corpus.places_of[fold(sentence.text)]),
            answers=(word,),
        )


def entity_questions(corpus: Corpus, rng: np.random.Generator) -> Iterator[EvaluationItem]:
    """Questions for names that few documents hold: what it is, or what is said of it."""
    for name in _shuffled(sorted(corpus.by_name), rng):
        told = corpus.by_name[name]
        if not 1 <= corpus.num_with(name) <= _MAX_PLACES or len(told) > _MAX_PLACES:
            continue
        defining = [one for one in told if _defines(one, name)]
        if defining:
            query, right = f"What is {name}?", defining
        else:
            topic = _topic(corpus, told[0], name)
            if topic is None:
                continue
            query = f"What about {name} and {topic}?"
            right = [one for one in told if topic in _WORD.findall(one.text)]
        yield EvaluationItem(
            id=f"entity:{right[0].uri}:{right[0].start}:{name}",
            query=query,
            kind="entity",
            made_by=f"the name {name!r} of {right[0].uri}",
            relevant=_places(right),
        )


def trap_questions(corpus: Corpus, rng: np.random.Generator) -> Iterator[EvaluationItem]:
    """Sentences that others equal but for a number or name; their title tells which is meant."""
    for template in _shuffled(sorted(corpus.by_template), rng):
        alike = corpus.by_template[template]
        if len({one.uri for one in alike}) < 2 or not alike[0].fills:  # a pair
            continue
        meant = alike[int(rng.integers(len(alike)))]
        others = [one for one in alike if one.uri != meant.uri and one.title != meant.title]
        fill = next(
            (
                mine
                for i, mine in enumerate(meant.fills)
                if any(mine != one.fills[i] for one in others)
            ),
            None,
        )
        if fill is None or not meant.title.strip() or _num_words(meant.text) < _MIN_WORDS // 2:
            continue
        right = [one for one in alike if one.uri == meant.uri and one.fills == meant.fills]
        gapped = re.sub(rf"(?<!\w){re.escape(fill)}(?!\w)", GAP, meant.text, count=1)
        yield EvaluationItem(
            id=f"trap:{meant.uri}:{meant.start}",
            query=f"{meant.title}: {gapped}",
            kind="trap",
            made_by=f"a sentence of {meant.uri} that {others[0].uri} has with another {fill!r}",
            relevant=_places(right),
            answers=(fill,),
        )


def unanswerable_questions(corpus: Corpus, rng: np.random.Generator) -> Iterator[EvaluationItem]:
    """Questions of the other kinds whose documents are held out, all that could answer them."""
    makers = [
        maker(corpus, rng) for maker in (entity_questions, heading_questions, cloze_questions)
    ]
    while makers:
        for maker in list(makers):
            item = next(maker, None)
            if item is None:
                makers.remove(maker)
                continue
            hidden = sorted({one.uri for one in item.relevant})
            if len(hidden) > MAX_HELD_OUT or len(hidden) >= corpus.num_documents:
                continue
            if item.kind == "entity" and _is_told_elsewhere(corpus, item, hidden):
                continue
            yield EvaluationItem(
                id=f"unanswerable:{item.id}",
                query=item.query,
                kind="unanswerable",
                made_by=f"{item.made_by}, which is held out",
                answerable=False,
                held_out=tuple(hidden),
            )


MAKERS: Final[dict[str, Maker]] = {
    "heading": heading_questions,
    "cloze": cloze_questions,
    "entity": entity_questions,
    "trap": trap_questions,
    "unanswerable": unanswerable_questions,
}


def _asked(section: Section) -> str:
    heading = section.path[-1]
    if len(heading.split()) > _MIN_HEADING_TERMS:
        return heading
    above = section.path[-2] if len(section.path) > 1 else section.title
    return heading if fold(above) == fold(heading) else f"{above}: {heading}"


def _usable(corpus: Corpus) -> list[CorpusSentence]:
    return [
        one
        for text, same in corpus.places_of.items()
        if len(same) <= _MAX_PLACES and _MIN_WORDS <= _num_words(text) <= _MAX_WORDS
        for one in same[:1]
    ]


def _rarest(corpus: Corpus, sentence: CorpusSentence) -> str | None:
    """Return the word that the fewest documents hold, the longest of several."""
    words = dict.fromkeys(_WORD.findall(sentence.text)[1:])
    known = [(corpus.num_with(word), -len(word), word) for word in words if corpus.terms(word)]
    return min(known)[2] if known else None


def _topic(corpus: Corpus, sentence: CorpusSentence, name: str) -> str | None:
    words = [
        word
        for word in _WORD.findall(sentence.text)[1:]
        if word.casefold() not in name.casefold()
        and word.isalpha()
        and word.islower()
        and corpus.terms(word)
    ]
    return min(words, key=lambda word: (corpus.num_with(word), -len(word), word), default=None)


def _defines(sentence: CorpusSentence, name: str) -> bool:
    found = _DEFINITION.match(sentence.text)
    return found is not None and found["name"] == name


def _is_told_elsewhere(corpus: Corpus, item: EvaluationItem, hidden: Sequence[str]) -> bool:
    """Tell whether the rarest word of a question stands in a document that is not held out."""
    rarest = min(corpus.num_with(word) for word in _WORD.findall(item.query) if corpus.terms(word))
    return rarest > len(hidden)


def _places(sentences: Sequence[CorpusSentence]) -> tuple[Relevant, ...]:
    return tuple(dict.fromkeys(one.place for one in sentences))


def _num_words(text: str) -> int:
    return len(text.split())


def _shuffled(values: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [values[int(i)] for i in rng.permutation(len(values))]
