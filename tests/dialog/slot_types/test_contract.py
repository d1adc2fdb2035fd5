"""Every slot type keeps the contract of its port, the double too."""

import pytest

from dialog.bot.source import SourceLine
from dialog.bot.tables import EntityTable
from dialog.slot_types.base import JsonValue, SlotType, TextContext
from dialog.slot_types.catalogue import PLAIN_TYPES
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.entity import EntityType
from dialog.slot_types.pattern import PatternType
from dialog.slot_types.testing import ListedType, SlotTypeContract
from tests.dialog.slot_types.conftest import context as monday

_TABLE = EntityTable(
    name="cities",
    key="id",
    show="name",
    search=("name",),
    columns={"id": "text", "name": "text"},
    rows={"be": {"id": "be", "name": "Bern"}, "zh": {"id": "zh", "name": "Zürich"}},
    source=SourceLine(file="bot.yaml", line=1, column=1),
)
_SAMPLES: dict[str, list[JsonValue]] = {
    "text": ["a window seat"], "address": ["1 High Street"], "person": ["Ana Lind"],
    "email": ["ana@example.org", "bo@example.org"], "url": ["https://example.org/a"],
    "phone": ["+41446681800"], "number": [2.5, 7], "integer": [4, 12], "percent": [12.5],
    "money": [{"amount": "12.50", "currency": "EUR"}], "date": ["2025-03-07", "2025-12-24"],
    "time": ["18:30", "07:05"], "datetime": ["2025-03-07T18:30+01:00"],
    "duration": ["P2D", "PT1H30M"],
    "daterange": [{"start": "2025-03-07", "end": "2025-03-09"}], "bool": [True, False],
    "card": ["⟨card:4242⟩"],
}  # fmt: skip
_KINDS: list[tuple[SlotType, list[JsonValue]]] = [
    *((PLAIN_TYPES[name], values) for name, values in _SAMPLES.items()),
    (ChoiceType(values={"cheap": {}, "half_board": {"": ("demi",)}}), ["cheap", "half_board"]),
    (EntityType(table=_TABLE), ["be", "zh"]),
    (PatternType(pattern="[A-Z]{2}[0-9]{2}", examples=("AB12",)), ["AB12"]),
    (ListedType(values=("red", "blue")), ["red", "blue"]),
]


@pytest.fixture(params=range(len(_KINDS)), ids=[kind.name for kind, _ in _KINDS])
def place(request: pytest.FixtureRequest) -> int:
    return int(request.param)


class TestSlotTypes(SlotTypeContract):
    @pytest.fixture
    def kind(self, place: int) -> SlotType:
        return _KINDS[place][0]

    @pytest.fixture
    def samples(self, place: int) -> list[JsonValue]:
        return _KINDS[place][1]

    @pytest.fixture
    def context(self) -> TextContext:
        return monday("en", is_asked=True)


def test_the_contract_covers_all_plain_types() -> None:
    assert set(_SAMPLES) == set(PLAIN_TYPES)
