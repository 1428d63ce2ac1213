"""Units of blood pressure: millimetres of mercury, and how fast it drifts."""

from __future__ import annotations

import re
from fractions import Fraction as Exact
from typing import Annotated

from pydantic import Field

from scenarios.units import Quantity

_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"


def _read(found: re.Match[str]) -> Exact:
    return Exact(found[1])


def _read_rate(found: re.Match[str]) -> Exact:
    return Exact(found[1]) / (365 if found[2].startswith("y") else 1)


PRESSURE = Quantity(
    "a pressure", ("130 mmHg", "4.5 mmHg"), rf"{_NUMBER} *mmHg", _read, "mmHg",
    forms=(("", " mmHg", Exact(1)),), show="{:g} mmHg".format,
)  # fmt: skip
PRESSURE_RATE = Quantity(
    "a change of pressure", ("1.5 mmHg/y", "-2 mmHg/y"), rf"{_NUMBER} *mmHg *(?:/|per ) *(y|year|d|day)",
    _read_rate, "mmHg per day", forms=(("", " mmHg/y", Exact(1, 365)), ("", " mmHg/d", Exact(1))),
    show=lambda rate: f"{365 * rate:g} mmHg/y",
)  # fmt: skip

Pressure = Annotated[float, PRESSURE, Field(ge=0)]
"""Pressure or spread of pressures in mmHg, >= 0."""
PositivePressure = Annotated[float, PRESSURE, Field(gt=0)]
"""Pressure in mmHg, > 0."""
SignedPressure = Annotated[float, PRESSURE]
"""Difference of pressures in mmHg, of either sign."""
PressurePerDay = Annotated[float, PRESSURE_RATE]
"""Change of pressure in mmHg per day, of either sign."""
