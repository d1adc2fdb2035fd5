import importlib
from types import ModuleType

import pytest

from tools.builtin import units
from tools.builtin.units import convert_units, unit_converter
from tools.errors import FatalError, InvalidArgumentError


@pytest.mark.parametrize(
    ("value", "source", "target", "found"),
    [
        (5, "mile", "km", 8.04672),
        (100, "celsius", "fahrenheit", 212),
        (72, "°F", "°C", 22.2222222222),
        (0, "degC", "K", 273.15),
        (1, "kWh", "J", 3_600_000),
        (60, "km/h", "m/s", 16.6666666667),
        (60, "mile per hour", "mph", 60),
        (1, "m^2", "cm**2", 10_000),
        (0.1, "kg", "g", 100),
    ],
)
def test_quantities_are_converted(value: float, source: str, target: str, found: float) -> None:
    assert convert_units(value, source, target)["value"] == found


@pytest.mark.parametrize(
    ("source", "target", "argument"),
    [
        ("kg", "m", "to_unit"),
        ("blorp", "m", "from_unit"),
        ("m", "__import__('os')", "to_unit"),
        ("9**9**9", "m", "from_unit"),
        ("m^9^9^9^9", "m", "from_unit"),
        ("m**99999999", "m", "from_unit"),
        ("(m)", "m", "from_unit"),
        ("", "m", "from_unit"),
        ("m;import os", "m", "from_unit"),
    ],
)
def test_what_is_no_unit_is_refused(source: str, target: str, argument: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        convert_units(1, source, target)
    assert refused.value.argument == argument


def test_a_number_that_overflows_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="outside"):
        convert_units(1e308, "km", "mm")


def test_without_the_package_the_tool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    load = importlib.import_module

    def absent(name: str) -> ModuleType:
        if name == "pint":
            raise ImportError(name)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    units._registry.cache_clear()
    with pytest.raises(FatalError, match="pint is not installed"):
        convert_units(1, "m", "km")
    assert unit_converter().name == "convert_units"
