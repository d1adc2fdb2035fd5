"""The slot types that need nothing but their name."""

from collections.abc import Mapping

from dialog.slot_types.base import SlotType
from dialog.slot_types.boolean import BoolType
from dialog.slot_types.card import CardType
from dialog.slot_types.contact import EmailType, PhoneType, UrlType
from dialog.slot_types.dates import DateType
from dialog.slot_types.durations import DateRangeType, DurationType
from dialog.slot_types.money import MoneyType
from dialog.slot_types.quantities import NumberType, PercentType
from dialog.slot_types.text import FreeTextType, PersonType
from dialog.slot_types.times import DateTimeType, TimeType

PLAIN_TYPES: Mapping[str, SlotType] = {
    "text": FreeTextType(),
    "address": FreeTextType(name="address", keeps_lines=True),
    "person": PersonType(),
    "email": EmailType(),
    "url": UrlType(),
    "phone": PhoneType(),
    "number": NumberType(),
    "integer": NumberType(is_integer=True),
    "percent": PercentType(),
    "money": MoneyType(),
    "date": DateType(),
    "time": TimeType(),
    "datetime": DateTimeType(),
    "duration": DurationType(),
    "daterange": DateRangeType(),
    "bool": BoolType(),
    "card": CardType(),
}

PLAIN_NAMES = tuple(PLAIN_TYPES)


def plain_type(name: str) -> SlotType | None:
    """Return the type of a name; None for those that need more, and for unknown ones."""
    return PLAIN_TYPES.get(name)
