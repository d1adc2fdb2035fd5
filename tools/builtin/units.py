"""Unit conversion as a tool, through `pint`."""

import importlib
import math
import re
from decimal import Decimal, DecimalException
from functools import cache
from typing import Annotated, Any

from tools.argument_types import Size
from tools.base import Effect, Tool
from tools.errors import FatalError, InvalidArgumentError

DIGITS = 12

# `pint` computes what a unit's text says: only products and small powers of names get there.
_TERM = r"[A-Za-zµμΩ°%][\w°%]*(?: ?(?:\^|\*\*) ?-?[1-9])?"
_UNIT = re.compile(rf"(?:1 ?/ ?)?{_TERM}(?:(?: ?[*/·] ?| ){_TERM})*")
_PER = re.compile(r" +per +")
_SPOKEN = {"°c": "degC", "°f": "degF", "celsius": "degC", "fahrenheit": "degF", "c": "degC"}
_SPOKEN |= {"f": "degF", "mph": "mile/hour", "l": "liter", "mpg": "mile/gallon"}

UnitName = Annotated[str, Size(least=1, most=60)]


def convert_units(value: float, from_unit: UnitName, to_unit: UnitName) -> dict[str, Any]:
    """Convert a quantity to another unit of the same kind.

    Args:
        value: how many.
        from_unit: what they are now; "km", "mile", "kg", "km/h", "celsius" are units.
        to_unit: what they shall become.
    """
    quantities = _registry()
    source, target = _unit(from_unit, "from_unit"), _unit(to_unit, "to_unit")
    try:
        found = quantities.Quantity(Decimal(repr(value)), source).to(target).magnitude
    except (ArithmeticError, DecimalException) as error:
        raise InvalidArgumentError("value", "is outside of what can be computed") from error
    except (ValueError, TypeError) as error:  # pint's DimensionalityError among them
        raise InvalidArgumentError(
            "to_unit", f"{from_unit} is not measured in {to_unit}"
        ) from error
    rounded = float(f"{Decimal(found):.{DIGITS}g}")
    if not math.isfinite(rounded):
        raise InvalidArgumentError("value", "is outside of what can be computed")
    return {"value": rounded, "unit": f"{target:~P}" or to_unit}


def unit_converter() -> Tool:
    """Return the converter; what the units are is read at the first call."""
    return Tool.from_function(convert_units, effect=Effect.READ, timeout_s=10.0)


def _unit(name: str, argument: str) -> Any:
    text = _PER.sub("/", name.strip().rstrip(",;."))  # as a small model copies them from a list
    if not _UNIT.fullmatch(text):
        raise InvalidArgumentError(argument, f"{name!r} is no unit; write it like km/h or m^2")
    try:
        return _registry().parse_units(_SPOKEN.get(text.casefold(), text))
    except (AttributeError, ValueError, TypeError, ArithmeticError, SyntaxError) as error:
        raise InvalidArgumentError(argument, f"no unit is called {name!r}") from error


@cache
def _registry() -> Any:
    # Only when asked for: it costs half a second.
    try:
        pint = importlib.import_module("pint")
    except ImportError as error:
        raise FatalError("units cannot be converted: the package pint is not installed") from error
    return pint.UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=True)
