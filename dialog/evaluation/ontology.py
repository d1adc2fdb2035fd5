"""The slots of a corpus as a tracker sees them: types, words, roles.

What a value is called comes from the schema, from tables of other dialogues or of the corpus, and
from the own lists here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dialog.evaluation.corpus import Corpus, Row, ServiceSchema, SlotSchema
from dialog.evaluation.corpus_types import (
    DATES,
    MONEY,
    NUMBERS,
    TIMES,
    ClockType,
    NamedType,
    OpenType,
    SpanType,
    digits,
)
from dialog.evaluation.cuisines import CUISINE_NAMES, CUISINES
from dialog.slot_types.base import Candidate, JsonValue, SlotType, TextContext, Violation
from dialog.tracker.lexicon import Lexicon
from dialog.tracker.situation import SlotView
from dialog.tracker.slot_words import slot_role, slot_words
from dialog.tracker.words import common_words, split

NOW = datetime(2019, 3, 1, 9, tzinfo=UTC)
"""The first of March 2019, on which SGD's dialogues are dated; only relative dates depend on it."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "centre": (
        "center", "central", "city centre", "city center", "town centre", "middle of town",
        "downtown", "centre of town", "center of town", "centrally",
    ),
    "center": ("centre", "central", "city centre", "city center", "town centre", "downtown"),
    "north": ("northern", "north side", "north part"),
    "south": ("southern", "south side", "south part"),
    "east": ("eastern", "east side", "east part"),
    "west": ("western", "west side", "west part"),
    "cheap": ("inexpensive", "cheaply", "low priced", "low cost", "budget", "affordable", "cheaper",
              "low price", "not expensive", "not too expensive", "low end"),
    "moderate": ("moderately", "moderately priced", "medium priced", "mid priced", "medium price",
                 "reasonably priced", "reasonable", "mid range", "average price", "mid-range",
                 "moderately-priced", "medium"),
    "expensive": ("high end", "upscale", "fancy", "pricey", "costly", "high priced", "luxury",
                  "high-end", "expensively", "luxurious", "high class"),
    "guesthouse": ("guest house", "guesthouses", "guest houses", "bed and breakfast"),
    "yes": ("free",),
}  # fmt: skip
_WORDS: Mapping[str, tuple[str, ...]] = {
    "food": ("food", "cuisine", "type of food", "kind of food", "serves", "serving",
             "restaurant type"),
    "area": ("area", "part of town", "part", "location", "where", "side of town", "side",
             "anywhere"),
    "price range": ("price range", "price", "priced", "prices", "how much", "budget", "cost"),
    "pricerange": ("price range", "price", "priced", "prices", "budget", "pricing", "cost"),
    "book people": ("people", "person", "persons", "guests", "of us", "tickets", "party of",
                    "party", "seats", "adults", "ticket", "individuals"),
    "book stay": ("nights", "night", "days", "stay", "length of stay"),
    "stars": ("star", "stars", "rating", "rated"),
    "internet": ("internet", "wifi", "wi-fi", "wi fi"),
    "parking": ("parking", "park"),
    "book day": ("day", "starting", "days"),
    "type": ("type", "kind", "attraction type"),
    "phone": ("phone", "phone number", "telephone", "number"),
    "postcode": ("postcode", "post code", "postal code", "zip code", "zip", "postal"),
    "address": ("address", "located", "location", "where is it"),
    "name": ("name", "called"),
}  # fmt: skip
_ATTRIBUTES = frozenset({"phone", "postcode", "address", "name"})
_AS_TYPE = (
    "hotel type",
    "type hotel",
    "a hotel not",
    "hotel instead",
    "hotel rather",
    "be a hotel",
)
_PEOPLE = frozenset({"book people", "book stay", "stars"})
_TYPES: Mapping[str, tuple[str, ...]] = {
    "museum": ("museums",), "college": ("colleges",), "park": ("parks",),
    "theatre": ("theatres", "theater"), "cinema": ("cinemas", "movie theater"),
    "nightclub": ("night club", "nightclubs", "club", "clubs"),
    "swimmingpool": ("swimming pool", "swimming", "pool"),
    "architecture": ("architectural", "churches"),
    "boat": ("boats", "boating"), "concerthall": ("concert hall", "concert"), "entertainment": (),
    "multiple sports": ("sports", "multiple sports"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gazetteer:
    """Names by slot, from rows that services returned in dialogues that are not scored."""

    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, corpus: Corpus) -> "Gazetteer":
        """Collect the values of all rows by slot; slots of places share theirs."""
        names: dict[str, set[str]] = defaultdict(set)
        for dialogue in corpus.dialogues:
            for turn in dialogue.turns:
                for _, row in turn.results:
                    for slot, value in row.items():
                        names[_group(slot)].add(value)
        return cls(names={slot: frozenset(values) for slot, values in names.items()})

    def of_slot(self, slot: str) -> frozenset[str]:
        """Return the names that are known for a slot."""
        return self.names.get(_group(slot), frozenset())


def slot_views(
    corpus: Corpus, service: ServiceSchema, gazetteer: Gazetteer, places: frozenset[str]
) -> tuple[SlotView, ...]:
    """Return the slots of a service, empty; `places` are names that journeys go between."""
    views = []
    for order, slot in enumerate(service.slots):
        kind = _type(corpus, service, slot, gazetteer, places)
        about = "" if corpus.format == "multiwoz" else slot.description
        views.append(
            SlotView(
                task=service.name,
                name=slot.name,
                type=kind,
                context=TextContext(now=NOW, slot=slot.name),
                words=_WORDS.get(slot.name) or slot_words(slot.name, about),
                about=slot.description,
                role=slot_role(slot.name, about, kind.name.split(":")[0]),
                order=order,
                is_constraint=is_tracked(corpus, service, slot),
                is_free=is_tracked(corpus, service, slot),
                is_open=True,
                is_current=True,
            )
        )
    return tuple(views)


def _type(
    corpus: Corpus,
    service: ServiceSchema,
    slot: SlotSchema,
    gazetteer: Gazetteer,
    places: frozenset[str],
) -> SlotType:
    rows = corpus.tables.get(service.name, ())
    if corpus.format == "sgd":
        return _sgd_type(slot, gazetteer)
    if corpus.format == "multiwoz":
        return _multiwoz_type(service, slot, rows, places)
    if slot.name == "food":
        return _cuisines(column(rows, "food"))
    if slot.is_categorical:
        return Lexicon({value: _NAMES.get(value, ()) for value in slot.values})
    return Lexicon({})  # asked for, never a constraint


def _cuisines(of_table: Iterable[str]) -> Lexicon:
    known = {*CUISINES, *of_table}
    return Lexicon({value: CUISINE_NAMES.get(value, ()) for value in sorted(known)})


def _multiwoz_type(
    service: ServiceSchema, slot: SlotSchema, rows: tuple[Row, ...], places: frozenset[str]
) -> SlotType:
    name = slot.name
    if name in ("internet", "parking"):
        return NamedType(phrases=_WORDS[name], yes="yes", no="no")
    if name in _PEOPLE:
        return Lexicon(digits(slot.values), name="integer", is_fuzzy=False)
    if name in ("arriveBy", "leaveAt", "book time"):
        return ClockType()
    if name == "food":
        return _cuisines(column(rows, "food"))
    if name in ("departure", "destination", "name"):
        of_table = column(rows, "name" if name == "name" else "departure")
        known = places if service.name == "taxi" else of_table
        return Lexicon({value: _short(value) for value in sorted(known)}, name="entity:place")
    return _kinds(service, slot, rows)


def _kinds(service: ServiceSchema, slot: SlotSchema, rows: tuple[Row, ...]) -> SlotType:
    """Return the type of a closed slot; "a hotel" names a domain more often than a type."""
    if (service.name, slot.name) == ("attraction", "type"):
        return Lexicon({**dict.fromkeys(column(rows, "type"), ()), **_TYPES})
    if (service.name, slot.name) == ("hotel", "type"):
        called = {"guesthouse": ("guesthouse", *_NAMES["guesthouse"]), "hotel": _AS_TYPE}
        return Lexicon(called, by_itself=False)
    return Lexicon({value: _NAMES.get(value, ()) for value in slot.values})


def _sgd_type(slot: SlotSchema, gazetteer: Gazetteer) -> SlotType:
    values = set(slot.values)
    if values == {"True", "False"}:
        return NamedType(phrases=slot_words(slot.name, "")[:2])
    if slot.is_categorical:
        names = digits(slot.values)
        is_number = all(value.isdigit() for value in values)
        called = {value: (*names[value], *_spoken(value)) for value in slot.values}
        return Lexicon(called, name="integer" if is_number else "choice", is_fuzzy=not is_number)
    for kind, pattern, parts in _SGD_SPANS:
        if any(slot.name.startswith(part) or part in slot.name for part in parts):
            return SpanType(name=kind, pattern=pattern)
    known = gazetteer.of_slot(slot.name) | values
    if not known:
        return OpenType()
    return ListedOrOpen(Lexicon({value: _spoken(value) for value in sorted(known)}))


_SGD_SPANS = (
    ("time", TIMES, ("time", "_at")),
    ("date", DATES, ("date", "_day", "day_")),
    ("money", MONEY, ("amount", "price", "fare", "balance", "rent", "cost")),
    ("integer", NUMBERS, ("number_of", "num_")),
)


class ListedOrOpen:
    """Names of a list, and where the text has none of them, runs of capitalised words."""

    name = "open"

    def __init__(self, listed: Lexicon) -> None:
        self._listed = listed
        self._open = OpenType()

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the listed names, else the runs."""
        listed = [
            replace(c, value=text[c.start : c.end]) for c in self._listed.parse(text, context)
        ]
        return listed or self._open.parse(text, context)

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the words."""
        return self._open.say(value, locale)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the words."""
        return self._open.canonical(value, context)


def is_tracked(corpus: Corpus, service: ServiceSchema, slot: SlotSchema) -> bool:
    """Tell whether a slot can be a constraint: an argument of an intent; food, area or price."""
    if corpus.format == "sgd":
        return any(slot.name in (*i.required, *i.optional) for i in service.intents)
    return corpus.format == "multiwoz" or slot.name not in _ATTRIBUTES


def column(rows: Iterable[Row], name: str) -> frozenset[str]:
    """Return the values of a column, in lower case, but those of common words ("the place")."""
    named = frozenset(row[name].lower() for row in rows if row.get(name))
    return named - {name for name in named if set(split(name)) <= common_words()}


def _short(name: str) -> tuple[str, ...]:
    """Return how a name is cut short: without "the", without the kind of place at its end."""
    words = name.split()
    bare = words[1:] if words[:1] == ["the"] else words
    kinds = {"hotel", "restaurant", "guesthouse", "house", "museum", "college", "bar", "lodge"}
    cut = bare[:-1] if len(bare) > 1 and bare[-1] in kinds - {"house", "college"} else bare
    shorter = (" ".join(part) for part in (bare, cut))
    return tuple(dict.fromkeys(part for part in shorter if len(part) > 3 and part != name))


def _spoken(value: str) -> tuple[str, ...]:
    """Return how a value of a schema is said: "Las Vegas" too without what comes behind a comma."""
    before, comma, _ = value.partition(",")
    return (before,) if comma and len(before) > 2 else ()


def _group(slot: str) -> str:
    """Return the name that like slots share: all places one, others without their numbers."""
    places = ("city", "location", "origin", "destination", "area", "where_to", "pickup")
    return "place" if any(part in slot for part in places) and "address" not in slot else slot
